"""What only whole processes show: start-up, peak memory, and programs of others.

A process of ours and one of the baseline run by turns. One that fails ends the benchmark with the
end of what it said.
"""

import json
import logging
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from dcgan import UserError
from dcgan.benchmarks.turns import PairedFigures, in_turn

ROOT = Path(__file__).parents[2]
BARE = Path(__file__).with_name("bare.py")
IMPORT = "import tensorflow, time; print(time.time())"
# Of the training whose peak is measured: grids and checkpoints happen in it, several times.
PEAK_FLAGS = ("--steps=30", "--log_freq=10", "--sample_freq=10", "--ckpt_freq=10")
PEAK_STEPS = 30
# A figure in what a program prints: in JSON, or before its unit.
RATE = re.compile(r'"images_per_second": *([\d.eE+-]+)|(\d[\d.,]*) *(?:images|img)/s')
SAID = 300  # characters of a failed program's last words

logger = logging.getLogger("dcgan")


def startup(train: Sequence[str], *, pairs: int) -> PairedFigures:
    """Measures from the command's start to the end of its first step, against `import tensorflow`.

    `train` is the command's flags without run folder and cadence. Its data must be cached.
    """

    def first_step() -> float:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            flags = (*train, f"--run_dir={run}", "--steps=1", "--log_freq=1")
            start = time.time()
            _python(["-m", "dcgan", "train", *flags])
            # Written behind the first step, before anything else that the end of a run writes.
            return (run / "metrics.jsonl").stat().st_mtime - start

    def bare() -> float:
        start = time.time()
        return float(_python(["-c", IMPORT])) - start

    figures = in_turn(first_step, bare, pairs=pairs, name="startup")
    return PairedFigures("startup", "s", *figures, "import tensorflow", more_is_better=False)


def memory(train: Sequence[str], spec: dict, *, pairs: int) -> PairedFigures:
    """Measures the peak memory of a training process against that of a bare step's process.

    For `train` see `startup`. Raises UserError on Windows, which does not tell.
    """
    if os.name != "posix":
        raise UserError("Peak memory is measured on Linux and macOS only: leave memory out.")

    def ours() -> float:
        with tempfile.TemporaryDirectory() as folder:
            flags = ("train", *train, *PEAK_FLAGS, f"--run_dir={folder}/run")
            return _peak(Path(folder), "dcgan", flags)

    def bare() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return _peak(Path(folder), BARE, (f"--steps={PEAK_STEPS}",), json.dumps(spec))

    figures = in_turn(ours, bare, pairs=pairs, name="memory")
    return PairedFigures("memory", "MB", *figures, "bare step's process", more_is_better=False)


def _peak(folder: Path, program: str | Path, flags: Sequence[str], given: str = "") -> float:
    """Megabytes of a process that runs a program of ours; `folder` is for the figure."""
    to = folder / "peak"
    _python(["-m", "dcgan.benchmarks.peak", str(to), str(program), *flags], given)
    return float(to.read_text())


def outside(command: str, spec: dict, *, steps: int, pairs: int) -> PairedFigures:
    """A program of others against our bare step, a process each.

    Its figure is the last `"images_per_second": N` or `N images/s` that it prints; where it prints
    none, the seconds of both whole processes are compared. It should be told to do as many steps,
    of as many images. A UserError where it is not there, or fails.
    """
    words, said = _split(command), []

    def ours() -> tuple[float, str]:
        start = time.perf_counter()
        printed = _python(["-m", "dcgan.benchmarks.bare", f"--steps={steps}"], json.dumps(spec))
        return time.perf_counter() - start, printed

    def theirs() -> tuple[float, str]:
        start = time.perf_counter()
        said.append(_output(words))
        return time.perf_counter() - start, said[-1]

    figures = in_turn(ours, theirs, pairs=pairs, name="compare")
    _note_differences(said[0], images=steps * spec["recipe"]["batch_size"])
    rates = [[rate(printed) for _, printed in one] for one in figures]
    if None in rates[1]:
        seconds = [tuple(taken for taken, _ in one) for one in figures]
        return PairedFigures("compare", "s", *seconds, command, more_is_better=False)
    return PairedFigures("compare", "images/s", tuple(rates[0]), tuple(rates[1]), command)


def rate(printed: str) -> float | None:
    """The last figure in images a second that a program printed; None where there is none."""
    found = None
    for json_number, number in RATE.findall(printed):
        found = float(json_number or number.replace(",", "").rstrip("."))
    return found


def _note_differences(printed: str, *, images: int) -> None:
    """Says so when the program's own JSON tells of another amount of work than ours."""
    numbers = {k: int(v) for k, v in re.findall(r'"(batch|steps)": *(\d+)', printed)}
    theirs = numbers.get("batch", 0) * numbers.get("steps", 0)
    if theirs and theirs != images:
        logger.warning(
            "The outside program times %s images, ours %s: give both the same batch and steps.",
            f"{theirs:,}",
            f"{images:,}",
        )


def _split(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UserError(
            f"--compare {command!r} cannot be read ({error}): fix its quotes."
        ) from error
    if not words:
        raise UserError("--compare must be a command, such as 'python program.py'; received none.")
    return words


def _python(words: Sequence[str], given: str = "") -> str:
    """What a process of this Python prints, with this project on its path."""
    paths = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return _output([sys.executable, *words], given, environment)


def _output(words: Sequence[str], given: str = "", environment: dict | None = None) -> str:
    """Returns what a process prints; raises UserError if it cannot be started or fails."""
    shown = shlex.join(words)
    try:
        ended = subprocess.run(
            words, input=given, env=environment, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise UserError(
            f"{shown} cannot be started ({error.strerror}): name a program that can be started."
        ) from error
    if ended.returncode:
        last = " ".join(ended.stderr.split())[-SAID:]
        raise UserError(
            f"{shown} failed with exit code {ended.returncode}: fix it, or run it by itself; it "
            f"ended with: {last or '(nothing)'}"
        )
    return ended.stdout
