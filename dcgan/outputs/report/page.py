"""The page itself: gathers everything, draws it and puts it into page.html.

The file holds its own style, script and pictures; a content policy in it forbids browsers to load
anything from any address.
"""

import functools
import json
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import jinja2
import markupsafe
import numpy as np

from dcgan import images, program
from dcgan.files import read_json
from dcgan.outputs import provenance
from dcgan.outputs.report import chart, formatting, measurements, pictures, quality
from dcgan.outputs.report.contents import Contents, CopySearch
from dcgan.outputs.report.history import LINES_SHOWN, History, read_history
from dcgan.outputs.report.judgement import judge, verdict
from dcgan.outputs.report.measurements import Series
from dcgan.outputs.report.pictures import EmbeddedPicture
from dcgan.outputs.report.summary import summary
from dcgan.run.run_dir import RunDir

FOLDER = Path(__file__).parent
# Bytes that the pictures of each kind may take; in base64 a third more. Together below 5 MB.
GRID, FRAMES, FILM, WALKS, NEAR, DRAWN = 400_000, 800_000, 600_000, 400_000, 350_000, 250_000
RIBBON, RIBBON_IMAGES = 80_000, 10
MAX_SEEDS = 12  # named in a sentence


def render(run: RunDir, contents: Contents) -> bytes:
    """Renders the report as an HTML file.

    From the run folder it reads metrics.jsonl, log.txt, environment.json, samples/, training.gif,
    evaluation/ and generated/; the page says what is missing.
    """
    history = read_history(run)
    series = measurements.read_series(run.evaluation)
    ribbon = contents.model.samples[:RIBBON_IMAGES]
    walk_bytes = WALKS // max(len(contents.walks), 1)
    parts = {  # page.html has these names
        "mark": provenance.mark(f"report --run_dir {contents.folder}, step {contents.model.step}"),
        "contents": contents,
        "ribbon": pictures.embed_row(ribbon, max_bytes=RIBBON),
        "facts": _facts(contents, history, series),
        "verdict": verdict(
            series,
            trouble=contents.health.trouble,
            summary=contents.health.summary,
            run_dir=contents.folder,
        ),
        "summary": summary(contents, history, series),
        "reals": _read_reals(run),
        "grid": pictures.embed_picture(images.grid(contents.model.samples), max_bytes=GRID),
        "seeds": seeds_in_words(contents.model.seeds),
        "time": _grids_in_time(run, contents),
        "training": _training_charts(history, contents.health.collapsed),
        "judged": history.steps.max(initial=0) >= contents.health.judged_from,
        "protocols": quality.by_protocol(series),
        "describe_floors": quality.describe_floors,
        "judge": judge,
        "notes_of": quality.notes_of,
        "metric_charts": quality.charts(series),
        "histograms": measurements.read_histograms(run.evaluation),
        "walk": functools.partial(pictures.embed_row, max_bytes=walk_bytes),
        "drawn": _read_figures(run.root / "generated"),
        "small": _embed_small(contents.copy_search),
        "history": history,
        "speed": chart.draw(
            "Images a second",
            history.steps,
            _smooth(history, images_per_second=("images a second", "d")),
        ),
        "environment": _environment(run),
        "log": history.log[-LINES_SHOWN:],
    }
    commands = ("report", "evaluate", "neighbours")
    parts |= {one: program.command_line(one, "--run_dir", contents.folder) for one in commands}
    return html("page.html", parts)


def html(name: str, parts: dict, *folders: Path) -> bytes:
    """Renders a template; all values in it are escaped.

    Templates are looked for in these folders and in the report's own.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, FOLDER], encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (formatting.number, formatting.percent, formatting.duration)
    filters += (formatting.join_words, measurements.interval, measurements.protocol)
    environment.filters |= {one.__name__: one for one in filters}
    environment.filters |= {"flags": _flags, "value": format_value}
    # File names may not be UTF-8.
    return environment.get_template(name).render(parts).encode("utf-8", "replace")


def _flags(text: str) -> markupsafe.Markup:
    """Returns text in which no line breaks within a flag's name."""
    marked_up = re.sub(r"--\w+", r'<span class="flag">\g<0></span>', str(markupsafe.escape(text)))
    return markupsafe.Markup(marked_up)


def _facts(contents: Contents, history: History, series: Sequence[Series]) -> list[tuple[str, str]]:
    """Returns (number, what it is) of the facts at the top of the page."""
    steps = int(history.steps.max(initial=contents.model.step))
    facts = [tuple(formatting.count(steps, "step").split(" "))]
    if (epoch := history.last("epoch")) is not None:
        facts.append((formatting.number(epoch), "passes over the data"))
    if seconds := history.last("seconds"):
        value, unit = formatting.duration(seconds).split(" ")
        facts.append((value, f"{unit} of training"))
    if speed := history.images_per_second:
        facts.append((formatting.number(speed), "images a second"))
    if series:
        facts.append((formatting.number(series[0].newest["value"]), series[0].name))
    return facts


def _read_reals(run: RunDir) -> EmbeddedPicture | None:
    reals = pictures.read_or_warn(run.reals) if run.reals.exists() else None
    return None if reals is None else pictures.embed_picture(reals, max_bytes=GRID)


def seeds_in_words(seeds: Sequence[int]) -> str:
    """Names seeds in words; says that none was picked out only if they are consecutive."""
    if len(seeds) == 1:
        return f"Seed {seeds[0]}"
    if list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"Seeds {seeds[0]} to {seeds[-1]}, none picked out,"
    some = [str(seed) for seed in seeds[:MAX_SEEDS]]
    more = len(seeds) - len(some)
    return f"Seeds {formatting.join_words(some + [f'{more} more'] * (more > 0))}"


def _grids_in_time(run: RunDir, contents: Contents) -> dict | None:
    """Gathers the sample grids in order of time; None if there are none."""
    grids = pictures.read_grids(run.sample_grids())
    if not grids:
        return None
    arrays = [array for _, array in grids]
    film = pictures.embed_animation(arrays, contents.model.shape[:2], run.animation, max_bytes=FILM)
    made = pictures.embed_frames(grids, max_bytes=FRAMES)
    return {
        "film": film,
        "whole": run.animation.exists(),
        "last": made[-1],
        "steps": [step for step, _ in made],
        "addresses": [one.data_url for _, one in made],
        "all": len(run.sample_grids()),
    }


def _training_charts(history: History, collapsed: float) -> list[dict]:
    """Draws losses, what the discriminator believes, and diversity."""
    steps = history.steps
    measured = np.isfinite(history.column("diversity"))
    charts = [
        chart.draw(
            "Losses",
            steps,
            _smooth(history, d_loss=("discriminator", "d"), g_loss=("generator", "g")),
            unit="loss",
        ),
        chart.draw(
            "What the discriminator believes",
            steps,
            _smooth(history, d_real=("D(x), real images", "d"), d_fake=("D(G(z)), generated", "g")),
            unit="probability of being real",
            top=1.0,
            line=(0.5, "cannot tell"),
        ),
        chart.draw(
            "Diversity",
            steps[measured],
            [chart.Curve("generated images", "g", history.column("diversity")[measured])],
            unit="share of the real images’ diversity",
            top=1.0,
            line=(collapsed, "collapsed below"),
        ),
    ]
    return [one for one in charts if one]


def _smooth(history: History, **looks: tuple[str, str]) -> list[chart.Curve]:
    """Makes curves of quantities in metrics.jsonl, each with its (label, CSS class)."""
    return [chart.Curve(*look, history.column(key), smooth=True) for key, look in looks.items()]


def _embed_small(copies: CopySearch | str) -> Callable[[np.ndarray], EmbeddedPicture]:
    """Makes what embeds the pictures of a search, in `NEAR` bytes together."""
    near = [] if isinstance(copies, str) else [one.near for one in copies.closest]
    count = sum(1 + sum(len(matches) for _, matches in spaces) for spaces in near)
    return functools.partial(pictures.embed_picture, max_bytes=NEAR // max(count, 1))


def _read_figures(folder: Path) -> list[tuple[str, EmbeddedPicture]]:
    """Reads the figures that other commands have put into generated/, such as strips."""
    paths = [path for path in sorted(folder.glob("*.png")) if path.name != "neighbours.png"]
    ours = [path for path in paths if provenance.MARK.encode() in path.read_bytes()]
    found = {
        path.name: array for path in ours if (array := pictures.read_or_warn(path)) is not None
    }
    return [
        (name, pictures.embed_picture(array, max_bytes=DRAWN // len(found)))
        for name, array in found.items()
    ]


def format_value(value: object) -> str:
    if value is None:
        return "not given"
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _environment(run: RunDir) -> list[tuple[str, str]]:
    """Reads environment.json as rows of (name, value), the command line first."""
    if not run.environment.exists():
        return []
    found = read_json(run.environment)
    argv = found.pop("argv", None)
    started, *words = map(str, argv) if isinstance(argv, list) and argv else ("",)
    rows = [("command", f"{program.name(started)} {shlex.join(words)}")] if argv else []
    for name, value in found.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        rows.append((name.replace("_", " "), "unknown" if value is None else text))
    return rows
