"""A run folder as the report reads it, made without training, and the page taken apart again."""

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from dcgan import images
from dcgan.outputs.report.contents import (
    Contents,
    Health,
    Lookalike,
    Match,
    Memory,
    Model,
    Option,
    Walk,
)
from dcgan.run_dir import RunDir, write_bytes, write_json

SHAPE = (12, 12, 3)
SECTIONS = (
    *("summary", "pictures", "time", "training", "quality"),
    *("walks", "memory", "speed", "options", "environment"),
)
PROTOCOL = {
    "extractor": "pixels",
    "extractor_fingerprint": "",
    "resize": "none",
    "real_count": 512,
    "generated_count": 512,
    "split": "train",
    "data": "d1",
    "seed": 0,
    "mirrored": False,
}
INLINE = {"a", "code", "span", "strong", "time"}  # do not end a word
VOID = {"meta", "link", "img", "input", "br"}


def pictures(count: int, seed: int = 0, shape=SHAPE) -> np.ndarray:
    """Noise on plain grounds: uint8 [count, *shape]."""
    random = np.random.default_rng(seed)
    ground = random.integers(40, 200, (count, 1, 1, shape[2]))
    return (ground + random.integers(-30, 30, (count, *shape))).astype(np.uint8)


def record(metric: str, step: int, value: float, **more) -> dict:
    """A line of evaluation/<metric>-512-pixels.jsonl."""
    return {
        **PROTOCOL,
        "metric": metric,
        "step": step,
        "epoch": step / 100,
        "value": value,
        "low": 0.9 * value,
        "high": 1.1 * value,
        "better": "lower",
        "interval": "95 % from the spread over 10 groups of the images",
        "generator": f"g{step}",
        "made": f"2026-01-01T00:00:{step // 100:02d}",
        **more,
    }


def add_lines(path: Path, lines) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def fill(root: Path, *, steps: int = 1200, shape=SHAPE, grids: int = 5) -> RunDir:
    """Writes what training and evaluation leave, but for config.json and checkpoints."""
    run, random = RunDir(root), np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    run.metrics.unlink(missing_ok=True)
    rows = [
        {
            "step": step,
            "epoch": step / 100,
            "images": 64 * step,
            "seconds": step / 2,
            "images_per_second": 128 + random.normal(0, 9),
            "d_loss": 0.9 + random.normal(0, 0.1),
            "g_loss": 1.6 + step / 1000 + random.normal(0, 0.2),
            "d_real": 0.7 + random.normal(0, 0.03),
            "d_fake": 0.3 + random.normal(0, 0.03),
            **({"diversity": 0.8 + step / 10_000} if step % 200 == 0 else {}),
        }
        for step in range(20, steps + 1, 20)
    ]
    add_lines(run.metrics, rows)
    stamp = "2026-01-01 10:00:00,123 "
    run.log.write_text(
        f"{stamp}Training into runs/toy.\n{stamp}Step 900: the generated images vary again.\n"
    )
    write_json(run.environment, {"argv": ["main.py", "--dataset", "my faces"], "cpus": 2})
    for i in range(grids):
        grid = images.grid(pictures(16, i, shape))
        write_bytes(run.sample(i * steps // max(grids - 1, 1)), images.png_bytes(grid))
    write_bytes(run.reals, images.png_bytes(images.grid(pictures(16, 99, shape))))
    folder = root / "evaluation"
    floor = {"of": "halves", "count": 256, "value": 12.5, "low": 12, "high": 13}
    fids = [record("fid", step, 90 - step / 20, floor=floor) for step in (400, 800, 1200)]
    add_lines(folder / "fid-512-pixels.jsonl", fids)
    precision = record("precision", 1200, 0.61, better="higher")
    add_lines(folder / "precision-512-pixels.jsonl", [precision])
    shares = {"names": ["red", "blue"], "real": [0.5, 0.5], "generated": [0.8, 0.2]}
    add_lines(
        folder / "classes-512-classifier.jsonl",
        [{**PROTOCOL, "labelling": "hair", **shares, "step": 1200, "sure": 0.75}],
    )
    return run


def contents(root: Path, **changes) -> Contents:
    """What the command says of it."""
    samples, near = pictures(16, 1), pictures(8, 2)
    match = [Match(i, near[i], i == 1, f"{10 + i}") for i in range(4)]
    values = {
        "dataset": "my faces",
        "folder": str(root),
        "made": "2026-01-01 12:00 UTC",
        "training_images": 5000,
        "model": Model(1200, SHAPE, 3_400_000, 1_200_000, range(16), samples),
        "options": [
            Option("dataset", "my faces", "avatars", "What to learn from.", "data"),
            Option("flip", True, True, "Mirror every second image at random.", "data"),
            Option("epoch", 25, 25, "Passes over the data in total.", "training"),
        ],
        "health": Health([], 800, 0.3),
        "walks": [Walk(0, 1, pictures(9, 3)), Walk(1, 2, pictures(9, 4))],
        "method": "slerp",
        "memory": Memory(
            5000,
            5000,
            16,
            [3],
            ["In pixels: far."],
            [Lookalike(3, samples[3], [("pixels", match), ("features", match)])],
        ),
    }
    return Contents(**(values | changes))


class Page(HTMLParser):
    """The page, read as a browser reads it.

    Attributes:
        tags: (name, attributes) of all, in order.
        words: the text of each section by its id, folded to single blanks.
        addresses: all that an attribute leads to.
    """

    def __init__(self, html: str):
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict]] = []
        self.words: dict[str, str] = {}
        self.addresses: list[str] = []
        self._open: list[str] = []
        self._section = ""
        self.feed(html)
        self.close()
        assert self._open == [], "every element is closed"
        self.words = {name: " ".join(text.split()) for name, text in self.words.items()}

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        for name, value in attrs:
            if name in ("src", "href", "srcset", "poster", "action", "data", "xlink:href"):
                self.addresses.append(value)
        if tag == "section":
            self._section = dict(attrs)["id"]
        if tag not in INLINE:
            self.handle_data(" ")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag == "section":
            self._section = ""

    def handle_data(self, data):
        if self._section and self._open[-1] not in ("script", "style"):
            self.words[self._section] = self.words.get(self._section, "") + data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def contrasts(page, names: Sequence[str]) -> list[float]:
    """WCAG 2 contrast of the first text of each kind with what is behind it.

    Args:
        page: in a browser.
        names: CSS selectors.
    """
    found = page.evaluate(
        """(names) => names
            .flatMap((name) => [...document.querySelectorAll(name)].slice(0, 1))
            .map((one) => {
                let ground = one;
                const clear = 'rgba(0, 0, 0, 0)';
                while (ground && getComputedStyle(ground).backgroundColor === clear)
                    ground = ground.parentElement;
                return [one, ground ?? document.documentElement].map((e, i) =>
                    getComputedStyle(e)[i ? 'backgroundColor' : 'color']);
            })""",
        list(names),
    )
    assert len(found) == len(names)
    pairs = [sorted((luminance(one), luminance(other)), reverse=True) for one, other in found]
    return [(light + 0.05) / (dark + 0.05) for light, dark in pairs]


def luminance(colour: str) -> float:
    """Relative luminance of "rgb(r, g, b)", by WCAG 2."""
    levels = np.array([int(n) for n in re.findall(r"\d+", colour)[:3]]) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
