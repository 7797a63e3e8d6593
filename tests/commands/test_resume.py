"""However a run ends and starts again, it ends with the same weights: real processes, real signals.

The tests share one uninterrupted run, and take copies of it as of an earlier step for runs that
were interrupted there.
"""

import functools
import json
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from idle import draw_nothing, learning_nothing
from running import (
    TIMEOUT,
    arrays_of,
    checkpoints,
    content,
    copy_as_of,
    grids,
    kill_when,
    last_step,
    logged,
    run,
    small_flags,
    started,
    temporaries,
    wait_until,
    write_pictures,
)

import main
from dcgan.run import checkpoint_file

STEPS = 100  # of a finished run: 20 epochs of 5 steps
CADENCE = ("--ckpt_freq", 20, "--sample_freq", 10, "--log_freq", 5, "--max_to_keep", 5)
ONE_CHECKPOINT = ("--ckpt_freq", 1000)  # only an end saves

PRESETS = {
    "silva": (40, ()),
    # With its kernels, batches, average and augmentation, which draws anew at each step.
    "best": (80, ("--preset", "best", "--batch_size", 16)),
}
best = pytest.param("best", marks=pytest.mark.slow)


class Setup:
    """The uninterrupted run, which is only read, and the pictures."""

    def __init__(self, base: Path, preset: str = "silva"):
        count, self.own = PRESETS[preset]
        self.pictures = write_pictures(base / "pictures", count, (160, 160))
        self.cache = base / "cache"
        self.run = base / "run"
        result = run(*self.flags(base), preexec_fn=draw_nothing)
        assert result.returncode == 0, result.stderr

    def flags(self, base: Path) -> tuple:
        """Of a whole training into `base`/run with the shared cache; later flags win."""
        small = small_flags(self.pictures, base)
        return (*small, "--cache_dir", self.cache, "--epoch", STEPS // 5, *CADENCE, *self.own)


@pytest.fixture(scope="module")
def setups(tmp_path_factory) -> Callable[[str], Setup]:
    """Gives the setup of a preset, made once."""
    return functools.cache(lambda preset: Setup(tmp_path_factory.mktemp(preset), preset))


@pytest.fixture
def whole(request, setups) -> Setup:
    return setups(getattr(request, "param", "silva"))


@pytest.fixture
def go(capfd, idle) -> Callable[..., tuple[int, str, str]]:
    """Trains in this process, without learning; gives the exit code, the output and the errors."""

    def go(*flags) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main.main(list(map(str, flags)))
        return code, *capfd.readouterr()

    return go


# ------------------------------------------------------------------------------ what must be alike


def assert_same_end(run_dir: Path, whole: Setup) -> None:
    """The weights, moments, average and step, bit for bit, and the pictures."""
    expected, found = arrays_of(whole.run, STEPS), arrays_of(run_dir, checkpoints(run_dir)[-1])
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        assert np.array_equal(found[name], array), name
    assert int(found["step"]) == STEPS
    assert grids(run_dir) == grids(whole.run)
    assert not temporaries(run_dir)


def assert_same_lines(run_dir: Path, whole: Setup, *, since: int) -> None:
    """Every line from a step on, also one that was written again, is the uninterrupted run's."""
    expected = {line["step"]: line for line in logged(whole.run) if line["step"] >= since}
    found = [line for line in logged(run_dir) if line["step"] >= since]
    assert {line["step"] for line in found} == expected.keys()
    for line in found:
        assert line == expected[line["step"]]


# ------------------------------------------------------------------------------ kills and stops


@pytest.mark.parametrize("whole", ["silva", best], indirect=True)
def test_killed_at_three_moments_and_stopped_a_run_ends_alike(whole, tmp_path, capfd):
    """And while it trains, a second process is refused and disturbs nothing."""
    flags = (*whole.flags(tmp_path), "--cache_dir", tmp_path / "cache")
    run_dir, cache = tmp_path / "run", tmp_path / "cache"

    # While the pictures are decoded.
    kill_when(
        flags,
        lambda: bool(list(cache.glob("*.npy.*.tmp"))),
        lambda: bool(temporaries(cache)) and not list(cache.glob("*.npy")),
        before=lambda: shutil.rmtree(cache, ignore_errors=True),
    )
    # Before the first step.
    kill_when(flags, (run_dir / "config.json").exists, lambda: not logged(run_dir))
    assert not temporaries(cache)

    # Stopped at a step that is none of the cadence's, so only the stop saves.
    odd = (*ONE_CHECKPOINT, "--log_freq", 7)
    with started(*flags, *odd, preexec_fn=draw_nothing) as process:
        wait_until(lambda: last_step(run_dir) >= 7, process)
        process.send_signal(signal.SIGSTOP)  # it shall not be done before the second asks
        before = content(run_dir)
        assert main.main(list(map(str, flags))) == 2
        assert f"Process {process.pid} is already training" in capfd.readouterr().err
        assert content(run_dir) == before
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        output, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + signal.SIGTERM == 143, errors
    (first,) = checkpoints(run_dir)
    assert f"Stopped by SIGTERM after {first} steps" in output
    assert 7 <= first == last_step(run_dir) < STEPS

    # While a checkpoint is written, with lines and grids already that are newer than the last one.
    def writes() -> bool:
        return bool(list((run_dir / "checkpoints").glob(".0*.npz.*.tmp")))

    kill_when((*flags, "--ckpt_freq", 10), writes, writes, preexec_fn=draw_nothing)
    last = checkpoints(run_dir)[-1]
    assert first <= last < last_step(run_dir) and (last == first or last % 10 == 0)

    result = run(*flags, preexec_fn=draw_nothing)
    assert result.returncode == 0, result.stderr
    assert f"Resuming from step {last}" in result.stdout
    assert_same_end(run_dir, whole)
    assert_same_lines(run_dir, whole, since=first + 5)  # the first one is of fewer steps


def test_a_time_alone_ends_a_run_with_a_grid_and_goes_on_as_the_preset_chose(go, tmp_path):
    data = write_pictures(tmp_path / "pictures", 40)
    folders = ("--dataset", data, "--cache_dir", tmp_path, "--run_dir", tmp_path / "run")
    small = ("--output_size", 8, "--g_width", 16, "--d_width", 4, "--num_samples", 4)
    flags = (*folders, *small, "--preset", "best", *ONE_CHECKPOINT)

    code, said, _ = go(*flags, "--time_budget", "0.1s", "--sample_freq", 10**6)
    (step,) = checkpoints(tmp_path / "run")
    chosen = "For 0.1s of 40 images at 8x8 on a CPU the preset best takes --batch_size 16 --"
    assert code == 0 and chosen in said and "0.1s of training, on CPU" in said
    assert f"Stopped by time budget after {step} steps" in said
    assert last_step(tmp_path / "run") == step
    assert (tmp_path / "run" / "samples" / f"{step:08d}.png").exists()
    code, _, errors = go(*flags, "--steps", step + 1, "--batch_size", 8)
    assert code == 2 and "--batch_size: 16 in the run, 8 now" in errors
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["learning_rate"] = 0.0003  # as if the preset chose otherwise at that time
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    code, said, _ = go(*flags, "--steps", step + 1)
    assert code == 0 and f"Resuming from step {step}" in said and "preset best takes" not in said


def test_a_checkpoint_has_the_statistics_of_its_own_averaged_weights(whole, tmp_path, go):
    """And one of an earlier version, with averages of the training's statistics, gets them."""
    run_dir = copy_as_of(whole.run, tmp_path / "run", 40)
    path = run_dir / "checkpoints" / "00000040.npz"
    arrays, meta = checkpoint_file.read(path)
    for name, array in arrays.items():
        if name.startswith("averaged_generator/") and "moving" in name:
            arrays[name] = array + np.float32(1)
    checkpoint_file.write(path, arrays.items(), meta)
    assert go(*whole.flags(tmp_path), "--epoch", 13, "--sample_freq", 1000)[0] == 0
    assert_is_of(run_dir, 60, whole, learnt=40)


# -------------------------------------------------------------------------------------- damage


def assert_is_of(run_dir: Path, step: int, whole: Setup, *, learnt: int) -> None:
    """That a checkpoint, of which nothing was learnt since, is the uninterrupted run's."""
    expected, found = arrays_of(whole.run, learnt), arrays_of(run_dir, step)
    assert found.keys() == expected.keys() and int(found.pop("step")) == step
    assert all(np.array_equal(array, expected[name]) for name, array in found.items())


def flipped(data: bytes) -> bytes:
    # More than one byte, for a single one may fall where it changes nothing, such as padding.
    middle = len(data) // 2
    turned = bytes(byte ^ 255 for byte in data[middle : middle + 512])
    return data[:middle] + turned + data[middle + 512 :]


def test_goes_on_from_the_newest_whole_checkpoint(whole, tmp_path, go):
    run_dir = copy_as_of(whole.run, tmp_path / "run", 100)
    damages = {60: lambda data: b"", 80: flipped, 100: lambda data: data[: len(data) // 2]}
    for step, damage in damages.items():
        path = run_dir / "checkpoints" / f"{step:08d}.npz"
        path.write_bytes(damage(path.read_bytes()))
    code, said, _ = go(*whole.flags(tmp_path), *ONE_CHECKPOINT)
    assert code == 0 and "Resuming from step 40" in said
    aside = sorted(path.name for path in run_dir.glob("checkpoints/*.damaged"))
    assert aside == [f"{step:08d}.npz.damaged" for step in damages]
    assert all(name.removesuffix(".damaged") in said for name in aside)
    assert_is_of(run_dir, 100, whole, learnt=40)


# ------------------------------------------------------------------------------- what is refused


def test_the_last_line_is_a_verdict_with_the_runs_own_numbers(whole):
    last = (whole.run / "log.txt").read_text("utf-8").splitlines()[-1]
    assert " Verdict: Too early to judge the training; D(x) is 0." in last
    assert last.endswith(f"python main.py evaluate --run_dir {whole.run}")


def learnt(run_dir: Path) -> tuple:
    """What must not change when nothing is trained."""
    files = content(run_dir)
    files = {name: files[name] for name in files if name.startswith(("checkpoints/", "samples/"))}
    return files, logged(run_dir)


def test_a_run_that_is_done_trains_nothing(whole, tmp_path, go):
    run_dir = copy_as_of(whole.run, tmp_path / "run", 100)
    for grid in run_dir.glob("samples/0*.png"):
        grid.unlink()  # a user tidied up; that is no error either
    before = learnt(run_dir)
    code, said, _ = go(*whole.flags(tmp_path))
    assert code == 0 and f"already has its {STEPS} steps" in said and "--epoch" in said
    assert "Wrote checkpoint" not in said and "Holds checkpoint" in said
    assert learnt(run_dir) == before


def test_a_loss_that_is_not_finite_stops_and_names_the_last_good_checkpoint(whole, tmp_path, go):
    run_dir = copy_as_of(whole.run, tmp_path / "run", 40)
    before = learnt(run_dir)
    with learning_nothing(scalar=np.nan):
        code, _, errors = go(*whole.flags(tmp_path))
    assert code == 2 and "Traceback" not in errors
    path = run_dir / "checkpoints" / "00000040.npz"
    assert f"is nan, so training has stopped; the last good checkpoint is {path}" in errors
    assert learnt(run_dir) == before


def test_a_larger_epoch_goes_on_also_with_another_cadence(whole, tmp_path, go):
    run_dir = copy_as_of(whole.run, tmp_path / "run", 40)
    config = json.loads((run_dir / "config.json").read_text())
    (run_dir / "config.json").write_text(json.dumps(config | {"epoch": 8}))  # 40 steps, all done
    code, said, _ = go(*whole.flags(tmp_path), "--log_freq", 7, "--ckpt_freq", 33)
    assert code == 0 and "Resuming from step 40" in said
    assert checkpoints(run_dir) == [20, 40, 66, 99, 100]
    assert [line["step"] for line in logged(run_dir)][-3:] == [98, 99, 100]
    assert grids(run_dir).keys() == grids(whole.run).keys()


# -------------------------------------------------------------------------------------- full disk


def assert_full(code: int, errors: str, reason: str) -> None:
    assert code == 2 and "Traceback" not in errors
    last = errors.strip().splitlines()[-1]
    assert last.startswith("error: A file could not be read or written") and reason in last
    assert "same command" in last


def assert_still_whole(run_dir: Path, whole: Setup) -> None:
    """The checkpoint of step 40 is what it was, and nothing half written is left."""
    assert checkpoints(run_dir) == [20, 40] and not temporaries(run_dir)
    assert_is_of(run_dir, 40, whole, learnt=40)


def test_a_file_that_cannot_grow(whole, tmp_path, go):
    """As on a full disk, where the tests may not mount one."""
    run_dir = copy_as_of(whole.run, tmp_path / "run", 40)
    size = (run_dir / "checkpoints" / "00000040.npz").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, before[1]))
    try:
        code, _, errors = go(*whole.flags(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_full(code, errors, "File too large")
    assert_still_whole(run_dir, whole)


@pytest.fixture
def small_disk(tmp_path):
    """A mounted file system of 2 MiB, and a function that gives it another size."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*words):
        return subprocess.run(["mount", *words], capture_output=True, text=True, check=False)

    try:
        made = mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder))
    except FileNotFoundError:
        pytest.skip("there is no program mount")
    if made.returncode:
        pytest.skip(f"mounting is not permitted: {made.stderr.strip()}")
    yield folder, lambda size: mount("-o", f"remount,size={size}", str(folder))
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(whole, small_disk, go):
    disk, resize = small_disk
    run_dir = copy_as_of(whole.run, disk / "run", 40)
    fill(disk, 20_000)
    code, _, errors = go(*whole.flags(disk))
    assert_full(code, errors, "No space left on device")
    assert str(disk) in errors.strip().splitlines()[-1]
    assert_still_whole(run_dir, whole)
    resize("8m")
    code, _, errors = go(*whole.flags(disk), *ONE_CHECKPOINT)
    assert code == 0 and not temporaries(run_dir), errors
    assert_is_of(run_dir, 100, whole, learnt=40)


def fill(disk: Path, free: int) -> None:
    """Fills a file system up to so many bytes."""
    with open(disk / "filler", "wb", buffering=0) as file:
        while shutil.disk_usage(disk).free > free:
            try:
                file.write(bytes(4096))
            except OSError:
                break
        os.fsync(file.fileno())
