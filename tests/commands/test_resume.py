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
from running import (
    TIMEOUT,
    arrays_of,
    checkpoints,
    content,
    grids,
    kill_when,
    last_step,
    logged,
    run,
    send_when,
    small_flags,
    started,
    temporaries,
    wait_until,
    write_pictures,
)

import main
from dcgan.files import read_json_lines

STEPS = 100  # of a finished run: 20 epochs of 5 steps
CADENCE = ("--ckpt_freq", 20, "--sample_freq", 10, "--log_freq", 5, "--max_to_keep", 5)
ONE_CHECKPOINT = ("--ckpt_freq", 1000)  # drawing the curves at each takes most of a short run


PRESETS = {
    "silva": (40, ()),
    # With its kernels, batches, average and augmentation, which draws anew at each step.
    "best": (80, ("--preset", "best", "--batch_size", 16)),
}
best = pytest.param("best", marks=pytest.mark.slow)
both_presets = pytest.mark.parametrize("whole", ["silva", best], indirect=True)


class Setup:
    """The uninterrupted run, which is only read, and the pictures."""

    def __init__(self, base: Path, preset: str = "silva"):
        count, self.own = PRESETS[preset]
        self.pictures = write_pictures(base / "pictures", count, (160, 160))
        self.cache = base / "cache"
        self.run = base / "run"
        self.result = run(*self.flags(base))

    def flags(self, base: Path) -> tuple:
        """Of a whole training into `base`/run with the shared cache; later flags win."""
        small = small_flags(self.pictures, base)
        return (*small, "--cache_dir", self.cache, "--epoch", STEPS // 5, *CADENCE, *self.own)

    def copy(self, target: Path, step: int) -> Path:
        """The run folder as it was just after the checkpoint of a step."""
        shutil.copytree(self.run, target)
        numbered = [*target.glob("checkpoints/*.npz"), *target.glob("samples/0*.png")]
        for path in numbered:
            if int(path.stem) > step:
                path.unlink()
        lines = [line for line in read_json_lines(target / "metrics.jsonl") if line["step"] <= step]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (target / "metrics.jsonl").write_text(text)
        return target


@pytest.fixture(scope="module")
def whole(request, tmp_path_factory) -> Setup:
    setup = Setup(tmp_path_factory.mktemp("whole"), getattr(request, "param", "silva"))
    assert setup.result.returncode == 0, setup.result.stderr
    return setup


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


def assert_same_lines(run_dir: Path, whole: Setup) -> None:
    """Every line, also one that was written again, is the uninterrupted run's."""
    expected = {line["step"]: line for line in logged(whole.run)}
    found = logged(run_dir)
    assert {line["step"] for line in found} == expected.keys()
    for line in found:
        assert line == expected[line["step"]]


def finish(flags) -> subprocess.CompletedProcess:
    result = run(*flags)
    assert result.returncode == 0, result.stderr
    return result


# -------------------------------------------------------------------------------------- kill -9


@both_presets
def test_killed_at_four_moments(whole, tmp_path):
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

    # Between two checkpoints.
    def is_between() -> bool:
        return last_step(run_dir) > max(checkpoints(run_dir), default=0)

    kill_when(flags, lambda: last_step(run_dir) >= 25 and is_between(), is_between)

    # While a checkpoint is written.
    def writes() -> bool:
        return bool(list((run_dir / "checkpoints").glob(".0*.npz.*.tmp")))

    kill_when(flags, writes, writes)
    steps = checkpoints(run_dir)
    assert steps and steps[-1] < STEPS and all(step % 20 == 0 for step in steps)

    result = finish(flags)
    assert f"Resuming from step {steps[-1]}" in result.stdout
    assert_same_end(run_dir, whole)
    assert_same_lines(run_dir, whole)


# ---------------------------------------------------------------------- signals and the time budget


@both_presets
def test_stopped_by_sigterm_ctrl_c_and_the_time_budget(whole, tmp_path):
    run_dir = tmp_path / "run"
    flags = (*whole.flags(tmp_path), *ONE_CHECKPOINT)  # so only the stops save

    code, output = send_when(flags, lambda: last_step(run_dir) >= 5, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM == 143, output
    (first,) = checkpoints(run_dir)
    assert 5 <= first < STEPS and f"Stopped by SIGTERM after {first} steps" in output

    code, output = send_when(flags, lambda: last_step(run_dir) > first, signal.SIGINT)
    assert code == 128 + signal.SIGINT == 130, output
    second = checkpoints(run_dir)[-1]
    assert first < second < STEPS and f"Resuming from step {first}" in output

    result = finish((*flags, "--time_budget", "0.3s"))
    third = checkpoints(run_dir)[-1]
    assert second < third < STEPS
    assert f"Stopped by time budget after {third} steps" in result.stdout

    finish(flags)
    assert_same_end(run_dir, whole)
    assert {line["step"] for line in logged(run_dir)} >= {first, second, third, STEPS}


def test_a_time_alone_ends_a_run_with_a_grid_and_goes_on_as_the_preset_chose(idle, tmp_path, capfd):
    data = write_pictures(tmp_path / "pictures", 40)
    folders = ("--dataset", data, "--cache_dir", tmp_path, "--run_dir", tmp_path / "run")
    small = ("--output_size", 8, "--g_width", 16, "--d_width", 4, "--num_samples", 4)
    flags = (*folders, *small, "--preset", "best", *ONE_CHECKPOINT)

    def go(*more) -> tuple[int, str]:
        code = main.main(list(map(str, (*flags, *more))))
        return code, "".join(capfd.readouterr())

    code, said = go("--time_budget", "0.1s", "--sample_freq", 10**6)
    (step,) = checkpoints(tmp_path / "run")
    chosen = "For 0.1s of 40 images at 8x8 on a CPU the preset best takes --batch_size 16 --"
    assert code == 0 and chosen in said and "0.1s of training, on CPU" in said
    assert (tmp_path / "run" / "samples" / f"{step:08d}.png").exists()
    code, said = go("--steps", step + 1, "--batch_size", 8)
    assert code == 2 and "--batch_size: 16 in the run, 8 now" in said
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["learning_rate"] = 0.0003  # as if the preset chose otherwise at that time
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    code, said = go("--steps", step + 1)
    assert code == 0 and f"Resuming from step {step}" in said and "preset best takes" not in said


def test_a_second_process_is_refused_and_disturbs_nothing(whole, tmp_path):
    """Also: another uninterrupted run of the same options is the same run."""
    flags = whole.flags(tmp_path)
    with started(*flags) as first:
        wait_until((tmp_path / "run" / "config.json").exists, first)
        first.send_signal(signal.SIGSTOP)  # it shall not be done before the second asks
        before = content(tmp_path / "run")
        second = run(*flags)
        assert content(tmp_path / "run") == before
        first.send_signal(signal.SIGCONT)
        assert second.returncode == 2
        assert f"Process {first.pid} is already training" in second.stderr
        assert "Traceback" not in second.stderr
        _, errors = first.communicate(timeout=TIMEOUT)
        assert first.returncode == 0, errors
    assert_same_end(tmp_path / "run", whole)
    assert_same_lines(tmp_path / "run", whole)


# -------------------------------------------------------------------------------------- damage


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    # More than one byte, for a single one may fall where it changes nothing, such as padding.
    middle = len(data) // 2
    turned = bytes(byte ^ 255 for byte in data[middle : middle + 512])
    return data[:middle] + turned + data[middle + 512 :]


def emptied(data: bytes) -> bytes:
    return b""


def damage(run_dir: Path, step: int, how: Callable[[bytes], bytes]) -> None:
    path = run_dir / "checkpoints" / f"{step:08d}.npz"
    path.write_bytes(how(path.read_bytes()))


def test_goes_on_from_the_newest_whole_checkpoint(whole, tmp_path):
    run_dir = whole.copy(tmp_path / "run", 100)
    for step, how in ((60, emptied), (80, flipped), (100, cut)):
        damage(run_dir, step, how)
    result = finish((*whole.flags(tmp_path), *ONE_CHECKPOINT))
    assert "Resuming from step 40" in result.stdout
    aside = sorted(path.name for path in run_dir.glob("checkpoints/*.damaged"))
    assert aside == [f"{step:08d}.npz.damaged" for step in (60, 80, 100)]
    assert all(name.removesuffix(".damaged") in result.stdout for name in aside)
    assert_same_end(run_dir, whole)


# ------------------------------------------------------------------------------- what is refused


def test_the_last_line_is_a_verdict_with_the_runs_own_numbers(whole):
    last = whole.result.stdout.splitlines()[-1]
    assert last.startswith("Verdict: Too early to judge the training; D(x) is 0.")
    assert last.endswith(f"python main.py evaluate --run_dir {whole.run}")


def learnt(run_dir: Path) -> tuple:
    """What must not change when nothing is trained."""
    files = content(run_dir)
    files = {name: files[name] for name in files if name.startswith(("checkpoints/", "samples/"))}
    return files, logged(run_dir)


def test_a_run_that_is_done_trains_nothing(whole, tmp_path, capfd):
    run_dir = whole.copy(tmp_path / "run", 100)
    for grid in run_dir.glob("samples/0*.png"):
        grid.unlink()  # a user tidied up; that is no error either
    before = learnt(run_dir)
    assert main.main(list(map(str, whole.flags(tmp_path)))) == 0
    said = "".join(capfd.readouterr())
    assert f"already has its {STEPS} steps" in said and "--epoch" in said
    assert "Wrote checkpoint" not in said and "Holds checkpoint" in said
    assert learnt(run_dir) == before


def test_a_loss_that_is_not_finite_stops_and_names_the_last_good_checkpoint(whole, tmp_path):
    """A kernel that is finite, but whose sums of squares (1e76) are beyond float32 (3e38)."""
    run_dir = whole.copy(tmp_path / "run", 40)
    path = run_dir / "checkpoints" / "00000040.npz"
    with np.load(path) as file:
        arrays = dict(file)
    kernel = next(name for name in arrays if name.startswith("discriminator/conv"))
    np.savez(path, **{**arrays, kernel: np.full_like(arrays[kernel], 1e38)})
    before = checkpoints(run_dir)
    result = run(*whole.flags(tmp_path))
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert f"is nan, so training has stopped; the last good checkpoint is {path}" in result.stderr
    assert checkpoints(run_dir) == before


def test_a_larger_epoch_goes_on_also_with_another_cadence(whole, tmp_path):
    run_dir = whole.copy(tmp_path / "run", 40)
    config = json.loads((run_dir / "config.json").read_text())
    (run_dir / "config.json").write_text(json.dumps(config | {"epoch": 8}))  # 40 steps, all done
    result = finish((*whole.flags(tmp_path), "--log_freq", 7, "--ckpt_freq", 33))
    assert "Resuming from step 40" in result.stdout
    assert checkpoints(run_dir) == [20, 40, 66, 99, 100]
    assert [line["step"] for line in logged(run_dir)][-3:] == [98, 99, 100]
    assert_same_end(run_dir, whole)


# -------------------------------------------------------------------------------------- full disk


def assert_full(result: subprocess.CompletedProcess, reason: str) -> None:
    assert result.returncode == 2, result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: A file could not be read or written") and reason in last
    assert "same command" in last and "Traceback" not in result.stderr


def assert_still_whole(run_dir: Path, whole: Setup) -> None:
    """The checkpoint of step 40 is what it was, and nothing half written is left."""
    assert checkpoints(run_dir) == [20, 40] and not temporaries(run_dir)
    expected, found = arrays_of(whole.run, 40), arrays_of(run_dir, 40)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_a_file_that_cannot_grow(whole, tmp_path):
    """As on a full disk, where the tests may not mount one."""
    run_dir = whole.copy(tmp_path / "run", 40)
    size = (run_dir / "checkpoints" / "00000040.npz").stat().st_size
    limit = (size // 2, resource.RLIM_INFINITY)
    forbid_large_files = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, limit)
    result = run(*whole.flags(tmp_path), preexec_fn=forbid_large_files)
    assert_full(result, "File too large")
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


def test_a_full_disk(whole, small_disk):
    disk, resize = small_disk
    run_dir = whole.copy(disk / "run", 40)
    fill(disk, 20_000)
    result = run(*whole.flags(disk))
    assert_full(result, "No space left on device")
    assert str(disk) in result.stderr.strip().splitlines()[-1]
    assert_still_whole(run_dir, whole)
    resize("8m")
    finish((*whole.flags(disk), *ONE_CHECKPOINT))
    assert_same_end(run_dir, whole)


def fill(disk: Path, free: int) -> None:
    """Fills a file system up to so many bytes."""
    with open(disk / "filler", "wb", buffering=0) as file:
        while shutil.disk_usage(disk).free > free:
            try:
                file.write(bytes(4096))
            except OSError:
                break
        os.fsync(file.fileno())
