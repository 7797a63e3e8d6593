"""File systems that lack locks, flushing, swaps of names or mapping: nothing ends, nothing is lost.

The processes here run with system calls that fail as on such a file system (`poor_disk`).
"""

import errno
import functools
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from idle import begin_idle
from poor_disk import on_a_poor_disk
from running import checkpoints, content, logged, run, small_flags, temporaries, write_pictures

from dcgan import UserError, disk, files
from dcgan.datasets import cached, image_store
from dcgan.datasets.folder import FolderSource
from dcgan.datasets.image_store import FileStore
from dcgan.evaluation.spill import Table
from dcgan.files import replace_folder, write_bytes
from dcgan.preparation.pack import PackOptions, pack
from dcgan.run.run_dir import RunDir

LACKING = [errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL]


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch):
    monkeypatch.setattr(disk, "_warned", set())


def failing(number: int):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


def warnings(caplog) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]


# ---- locks ----


@pytest.mark.parametrize("number", LACKING)
def test_without_locks_it_warns_once_and_goes_on(tmp_path, monkeypatch, caplog, number):
    monkeypatch.setattr(disk.fcntl, "flock", failing(number))
    run = RunDir(tmp_path)
    for _ in range(2):
        with run.lock(), files.lock_target(tmp_path / ".state", tmp_path, "cropping"):
            assert (tmp_path / ".lock").read_text() == str(os.getpid())
    [said] = warnings(caplog)
    assert said.startswith(f"{tmp_path} cannot be locked ({os.strerror(number)})")


@pytest.mark.parametrize("number", [errno.EIO, errno.EINTR, errno.ENOSPC])
def test_a_lock_that_fails_otherwise_is_an_error(tmp_path, monkeypatch, number):
    monkeypatch.setattr(disk.fcntl, "flock", failing(number))
    with pytest.raises(OSError) as raised, RunDir(tmp_path).lock():
        pass
    assert raised.value.errno == number


# ---- flushing ----


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])
def test_what_cannot_be_flushed_is_written_all_the_same(tmp_path, monkeypatch, caplog, number):
    monkeypatch.setattr(os, "fsync", failing(number))
    write_bytes(tmp_path / "a", b"1")
    write_bytes(tmp_path / "b", b"2", shared=True)
    store = FileStore(tmp_path / "c.npy", (2,), 3)
    store.append(np.arange(6, dtype=np.uint8).reshape(3, 2))
    store.finish()
    files.flush_tree(tmp_path)
    assert (tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes() == b"12"
    assert np.load(tmp_path / "c.npy").tolist() == [[0, 1], [2, 3], [4, 5]]
    [said] = warnings(caplog)
    assert said.startswith(f"Files in {tmp_path} cannot be flushed to the disk")


def test_a_disk_that_fails_at_flushing_is_an_error(tmp_path, monkeypatch):
    for number in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
        monkeypatch.setattr(os, "fsync", failing(number))
        with pytest.raises(OSError):
            write_bytes(tmp_path / "a", b"1")
        with pytest.raises(OSError):
            disk.flush_folder(tmp_path)
        assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_opened_is_not_flushed(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(os, "open", failing(errno.EACCES))
    disk.flush_folder(tmp_path)
    assert len(warnings(caplog)) == 1


# ---- failures of the disk and of files ----


@pytest.mark.parametrize("number", [None, errno.EINVAL, errno.EOVERFLOW])
def test_what_a_file_says_is_no_failure_of_the_disk(number):
    assert disk.find_disk_error(OSError(number, "x") if number else OSError("x")) is None
    assert disk.find_disk_error(ValueError()) is disk.find_disk_error(None) is None


def test_a_failure_of_the_disk_is_found_behind_other_errors():
    failure = OSError(errno.EIO, os.strerror(errno.EIO))
    with pytest.raises(ValueError) as caught:
        try:
            try:
                raise failure
            except OSError:
                raise KeyError("x") from None
        except KeyError as error:
            raise ValueError from error
    assert disk.find_disk_error(caught.value) is failure


# ---- swaps of names ----


@pytest.fixture
def two_folders(tmp_path, monkeypatch) -> tuple[Path, Path]:
    monkeypatch.setattr(disk, "swap", lambda one, other: False)
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model").write_text(name)
    return tmp_path / "new", tmp_path / "old"


def test_a_folder_is_replaced_in_steps(tmp_path, two_folders):
    replace_folder(*two_folders)
    assert content(tmp_path) == {"old/model": b"new"}


def test_where_a_step_fails_the_old_folder_is_back(tmp_path, two_folders, monkeypatch):
    rename, new = os.rename, two_folders[0]
    fail = failing(errno.EIO)
    monkeypatch.setattr(os, "rename", lambda a, b: fail() if a == new else rename(a, b))
    with pytest.raises(OSError):
        replace_folder(*two_folders)
    assert content(tmp_path) == {"old/model": b"old", "new/model": b"new"}


# ---- mapping ----


@pytest.fixture
def no_mapping(monkeypatch):
    monkeypatch.setattr("mmap.mmap", failing(errno.ENODEV))


def test_what_cannot_be_mapped_is_read(tmp_path, no_mapping, caplog):
    rows = np.arange(12, dtype=np.uint8).reshape(6, 2)
    np.save(tmp_path / "a.npy", rows)
    assert cached.map_array(tmp_path / "a.npy").tolist() == rows.tolist()
    table = Table()
    for start, stop in ((0, 2), (2, 6)):
        table.append(rows[start:stop])
        assert table.array().tolist() == rows[:stop].tolist()
    [said] = warnings(caplog)
    assert "cannot be mapped into memory (No such device)" in said


def test_a_damaged_array_is_found_without_mapping(tmp_path, no_mapping):
    np.save(tmp_path / "a.npy", np.zeros((100, 2), np.uint8))
    os.truncate(tmp_path / "a.npy", 200)
    with pytest.raises(ValueError):
        cached.map_array(tmp_path / "a.npy")


def test_what_is_larger_than_the_memory_is_refused(tmp_path, no_mapping, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros((100, 2), np.uint8))
    monkeypatch.setattr(cached, "free_memory", lambda: 327)
    with pytest.raises(UserError, match=r"328 bytes, 327 bytes of memory .* --cache_dir"):
        cached.map_array(tmp_path / "a.npy")


def test_a_disk_that_does_not_say_its_size_is_taken_for_large_enough(tmp_path, monkeypatch):
    usage = image_store.shutil.disk_usage(tmp_path)._replace(total=0, free=0)
    monkeypatch.setattr(image_store.shutil, "disk_usage", lambda _: usage)
    FileStore(tmp_path / "a.npy", (2,), 6).close()
    monkeypatch.setattr(image_store.shutil, "disk_usage", lambda _: usage._replace(total=1))
    with pytest.raises(OSError, match="0.0 GiB are free"):
        FileStore(tmp_path / "a.npy", (2,), 6)


def test_room_is_asked_for_in_bytes(tmp_path, monkeypatch):
    usage = image_store.shutil.disk_usage(tmp_path)._replace(free=47)
    monkeypatch.setattr(image_store.shutil, "disk_usage", lambda _: usage)
    FileStore(tmp_path / "a.npy", (2,), 6).close()  # 12 bytes
    with pytest.raises(OSError, match="are needed"):
        FileStore(tmp_path / "a.npy", (2,), 6, "<f4")  # 48


# ---- all of it, as a user meets it ----


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"), 104)


@pytest.fixture
def poor(tmp_path_factory):
    """Runs commands as on such a system, which succeed and say of each lack once."""
    folder = tmp_path_factory.mktemp("site")

    def go(*words, warm: bool = True, idle: bool = False, lacks=("locked", "flushed")) -> str:
        how = on_a_poor_disk(folder, "ENOLCK", warm=warm)
        if idle:
            how["preexec_fn"] = functools.partial(begin_idle, how["preexec_fn"])
        result = run(*words, warm=warm, **how)
        said = result.stdout + result.stderr
        assert result.returncode == 0, said
        for lack in ("locked", "flushed", "mapped"):
            assert said.count(f" cannot be {lack}") == (lack in lacks), said
        return said

    return go


OFTEN = ("--ckpt_freq", 2, "--sample_freq", 2, "--log_freq", 2)
EVERYTHING = ("locked", "flushed", "mapped")


def test_training_goes_on(tmp_path, poor, pictures):
    for steps in (2, 4):
        flags = (*small_flags(pictures, tmp_path), "--steps", steps, *OFTEN)
        said = poor(*flags, idle=True, lacks=EVERYTHING)
    assert "Resuming from step 2," in said
    assert [line["step"] for line in logged(tmp_path / "run")] == [2, 4]
    assert checkpoints(tmp_path / "run") == [2, 4]
    assert temporaries(tmp_path) == []


@pytest.mark.slow
def test_a_run_is_exported_and_evaluated(tmp_path, poor, pictures):
    poor(*small_flags(pictures, tmp_path), "--steps", 4, lacks=EVERYTHING)
    poor("export", "--run_dir", tmp_path / "run")
    poor(
        *("evaluate", "--run_dir", tmp_path / "run", "--extractor", "pixels"),
        *("--metrics", "swd", "--num_images", 100),
        lacks=("flushed", "mapped"),
    )
    assert temporaries(tmp_path) == []


def test_packing_needs_none_of_it(tmp_path, poor, pictures):
    poor(*("pack", "--from", pictures, "--to", tmp_path / "a.zip"), warm=False, lacks=("flushed",))
    pack(FolderSource(pictures), str(tmp_path / "b.zip"), PackOptions())
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
