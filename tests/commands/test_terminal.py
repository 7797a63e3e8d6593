"""Names of files that would steer a terminal: every command writes them out, on their own line."""

import logging
import re
from pathlib import Path

import numpy as np
import pytest
from idle import learn_nothing
from PIL import Image
from running import python, run

from dcgan.terminal import console

ROOT = Path(__file__).parents[2]
# A formula that there is not would end the drawing of a picture headed with such a name.
# And the last byte is not UTF-8.
STEERING = "\x1b[2J\n forged: line\r\u202e$\\z$b\udce9"
SHOWN = r"\x1b[2J\n forged: line\r\u202e$\z$b\udce9"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Eight pictures and two files that are none, in folders, all with such names."""
    path = tmp_path_factory.mktemp("data") / f"faces{STEERING}"
    for i in range(8):
        picture = path / f"class{i % 2}{STEERING}" / f"{i}{STEERING}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(picture)
        (picture.parent / f"broken{STEERING}.png").write_bytes(b"words")
    return path


TRAINING = ("--output_height", "8", "--batch_size", "4", "--g_width", "8", "--d_width", "8")
COMMANDS = {
    "inspect": ("inspect", "--to", "sheet.png"),
    "pack": ("pack", "--to", "packed.zip", "--size", "8"),
    "train": ("--train", "--run_dir", f"run{STEERING}", "--steps", "1", *TRAINING),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_names_give_the_terminal_no_orders(folder, tmp_path, name):
    command, *flags = COMMANDS[name]
    caches = ("--cache_dir", tmp_path / "cache") if command == "--train" else ()
    data = "--from" if name == "pack" else "--dataset"
    words = (command, *flags, data, folder, *caches)
    if name == "train":
        result = run(*words, cwd=tmp_path, preexec_fn=learn_nothing)
        out, err = result.stdout, result.stderr
    else:
        result = python(ROOT / "main.py", *words, cwd=tmp_path, text=False)
        out, err = result.stdout.decode(), result.stderr.decode()
    assert result.returncode == 0, err
    assert SHOWN in out
    said = [out, err]
    said += [path.read_text("utf-8") for path in tmp_path.glob("run*/log.txt")]
    assert len(said) == 3 if name == "train" else 2
    for text in said:
        # A progress bar goes back to the beginning of its line, and to the bar above it.
        text = text.replace("\x1b[A", "")
        assert {c for c in text if not c.isprintable()} <= {"\n", "\r"}
        assert not re.search(r"^ forged", text, re.MULTILINE)
    assert "\r" not in out


def test_an_error_is_one_line(tmp_path):
    (tmp_path / f"a{STEERING}").mkdir()
    (tmp_path / f"a{STEERING}" / f"broken{STEERING}.png").write_bytes(b"words")
    words = (ROOT / "main.py", "inspect", "--dataset", tmp_path / f"a{STEERING}")
    result = python(*words, cwd=tmp_path)
    assert result.returncode == 2 and result.stderr.count(SHOWN) == 2
    assert "forged" not in {line.strip()[:6] for line in result.stderr.splitlines()}


def test_what_is_put_into_a_line_stays_in_it():
    """The line's own ends are ours; numbers keep their formats."""
    record = logging.LogRecord("x", logging.INFO, "", 1, "\n%s: %d of %.1f %s", None, None)
    record.args = (STEERING, 3, 0.25, Path(STEERING))
    assert console.Formatter().format(record) == f"\n{SHOWN}: 3 of 0.2 {SHOWN}"
    assert record.args[0] == STEERING  # other handlers see what was logged
