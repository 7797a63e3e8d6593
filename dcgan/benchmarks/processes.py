"""Measures whole processes: start-up, peak memory, and programs of other projects.

A process of ours and one of the baseline run in turn. If one fails, the benchmark ends with
the last that it wrote to standard error.
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
from dcgan.benchmarks.turns import PairedFigures, measure_in_turn

ROOT = Path(__file__).parents[2]
BARE = Path(__file__).with_name("bare.py")
IMPORT = "import tensorflow, time; print(time.time())"
PEAK_STEPS = 30
# Options of the training whose peak is measured: it makes several grids and checkpoints.
PEAK_FLAGS = (f"--steps={PEAK_STEPS}", "--log_freq=10", "--sample_freq=10", "--ckpt_freq=10")
# A rate in the output of a program: in JSON, or before its unit.
RATE = re.compile(r'"images_per_second": *([\d.eE+-]+)|(\d[\d.,]*) *(?:images|img)/s')
SAID = 300  # characters of a failed program's output that are shown

logger = logging.getLogger("dcgan")


def startup(train: Sequence[str], *, pairs: int) -> PairedFigures:
    """Measures the time from starting train to its first step's end, against `import tensorflow`.

    `train` are the command's flags without --run_dir, --steps and frequencies. Its data must be
    cached.
    """

    def first_step() -> float:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            flags = (*train, f"--run_dir={run}", "--steps=1", "--log_freq=1")
            start = time.time()
            _python(["-m", "dcgan", "train", *flags])
            # metrics.jsonl is written right after the first step, before the files at a run's end.
            return (run / "metrics.jsonl").stat().st_mtime - start

    def bare() -> float:
        start = time.time()
        return float(_python(["-c", IMPORT])) - start

    figures = measure_in_turn(first_step, bare, pairs=pairs, name="startup")
    return PairedFigures("startup", "s", *figures, "import tensorflow", more_is_better=False)


def memory(train: Sequence[str], spec: dict, *, pairs: int) -> PairedFigures:
    """Measures the peak memory of a training process against that of a bare step's process.

    For `train` see `startup`. Raises UserError on Windows, which does not report it.
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

    figures = measure_in_turn(ours, bare, pairs=pairs, name="memory")
    return PairedFigures("memory", "MB", *figures, "bare step's process", more_is_better=False)


def _peak(folder: Path, program: str | Path, flags: Sequence[str], given: str = "") -> float:
    """Runs a program of ours; returns its peak memory in megabytes, which it writes to a file."""
    to = folder / "peak"
    _python(["-m", "dcgan.benchmarks.peak", str(to), str(program), *flags], given)
    return float(to.read_text())


def outside(command: str, spec: dict, *, steps: int, pairs: int) -> PairedFigures:
    """Measures our bare step against another project's program, each in a process of its own.

    Its rate is the last `"images_per_second": N` or `N images/s` that it prints to standard
    output. If it prints none, the seconds of both whole processes are compared. It should make as
    many steps as ours, with as many images. Raises UserError if it cannot be started, or fails.
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

    figures = measure_in_turn(ours, theirs, pairs=pairs, name="compare")
    _note_differences(said[0], images=steps * spec["recipe"]["batch_size"])
    rates = [[rate(printed) for _, printed in one] for one in figures]
    if None in rates[1]:
        seconds = [tuple(taken for taken, _ in one) for one in figures]
        return PairedFigures("compare", "s", *seconds, command, more_is_better=False)
    return PairedFigures("compare", "images/s", tuple(rates[0]), tuple(rates[1]), command)


def rate(printed: str) -> float | None:
    """Returns the last rate in images per second that a program printed; None if there is none."""
    found = None
    for json_number, number in RATE.findall(printed):
        found = float(json_number or number.replace(",", "").rstrip("."))
    return found


def _note_differences(printed: str, *, images: int) -> None:
    """Warns if the program's own JSON reports a different amount of work than ours."""
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
    """Runs this Python with this project on its path; returns what the process prints."""
    paths = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return _output([sys.executable, *words], given, environment)


def _output(words: Sequence[str], given: str = "", environment: dict | None = None) -> str:
    """Returns what a process prints; raises UserError if it cannot be started or fails."""
    shown = shlex.join(words)
    try:
        ended = subprocess.run(
            words,
            input=given,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",  # other programs print what they like
            check=False,
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
