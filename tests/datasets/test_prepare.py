"""Decoding once into the cache: equal to a plain decode however it is done, and whole or absent."""

import errno
import functools
import importlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded, fill
from PIL import Image
from running import write_pictures

from dcgan import UserError, files
from dcgan.datasets import image_store
from dcgan.datasets.folder import FolderSource, find
from dcgan.datasets.image_store import FileStore
from dcgan.datasets.picture_formats import UnusableFile
from dcgan.datasets.source import Decoded, ImageSpec, Labels, Skipped, Summary

# The package has a function of the same name.
prepare = importlib.import_module("dcgan.datasets.prepare")
ROOT = Path(__file__).parents[2]
SPEC = ImageSpec(8, 8, 3)


def png(level: int, side: int = 8) -> bytes:
    return encoded(Image.new("RGB", (side, side), (level, 255 - level, 7)))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Twenty pictures in two folders, numbers 3, 4 and 19 of them unusable."""
    bad = {3: b"words", 4: b"", 19: png(19)[:-30]}
    names = [f"{'boys' if i < 10 else 'girls'}/{i:02}.png" for i in range(20)]
    return fill(tmp_path / "faces", {name: bad.get(i, png(i)) for i, name in enumerate(names)})


USED = [i for i in range(20) if i not in (3, 4, 19)]


def levels(images: np.ndarray) -> list[int]:
    return images[:, 0, 0, 0].tolist()


def run(source, cache=None, **options):
    return prepare.prepare(source, options.pop("spec", SPEC), cache_dir=cache, **options)


def test_uses_what_is_usable_and_says_what_is_not(folder, tmp_path):
    prepared = run(find(folder), tmp_path / "cache")
    assert levels(prepared.images) == USED
    assert prepared.images.dtype == np.uint8 and prepared.images.shape == (17, 8, 8, 3)
    label = prepared.labels["label"]
    assert [label.names[v] for v in label.values] == ["boys" if i < 10 else "girls" for i in USED]
    report = prepared.report
    assert (report.source, report.found, report.used, report.channels) == ("faces", 20, 17, 3)
    assert [(s.name, s.reason) for s in report.skipped] == [
        ("boys/03.png", "not an image"),
        ("boys/04.png", "empty file"),
        ("girls/19.png", "truncated"),
    ]
    assert report.sizes == (((8, 8), 18),)
    assert report.sentences() == [
        "faces: 20 found, 17 used, 3 skipped.",
        "Skipped 1: not an image (boys/03.png).",
        "Skipped 1: empty file (boys/04.png).",
        "Skipped 1: truncated (girls/19.png).",
        "Sizes (height x width): 8x8 (18); colour.",
    ]


def test_cache_gives_the_same_without_decoding(folder, tmp_path):
    first = run(find(folder), tmp_path)
    source, summary = find(folder), find(folder).summary()
    source.decode = source.summary = None  # calling either would raise
    assert prepare.summarize(source, cache_dir=tmp_path) == summary and len(summary.skipped) == 2
    again, memory = run(source, tmp_path), run(find(folder)).images
    for mapped in (first.images, again.images):
        assert isinstance(mapped, np.memmap) and not mapped.flags.writeable
        np.testing.assert_array_equal(mapped, memory)
    np.testing.assert_array_equal(again.labels["label"].values, first.labels["label"].values)
    assert again.report == first.report and not isinstance(memory, np.memmap)


@pytest.mark.parametrize("reason", ["cannot be read (Permission denied)", "HEIC, which needs: x"])
def test_what_was_no_fault_of_the_file_is_tried_again(folder, tmp_path, monkeypatch, reason):
    """After chmod or pip install the files and their times are the same, and so is the key."""
    opened = FolderSource.open

    def fail(source, index):
        if source.names[index] == "girls/15.png":
            raise UnusableFile(reason)
        return opened(source, index)

    def used() -> list[int]:
        return levels(run(find(folder), tmp_path).images)

    with monkeypatch.context() as ill:
        ill.setattr(FolderSource, "open", fail)
        assert used() == [i for i in USED if i != 15]
        ill.setattr(prepare, "_decode_all", None)  # calling it would raise
        assert used() == [i for i in USED if i != 15]
    assert len(prepare.summarize(find(folder), cache_dir=tmp_path).skipped) == 2
    assert used() == USED


@pytest.mark.parametrize("limit, used", [(1, 1), (4, 4), (17, 17), (18, 17), (1000, 17)])
@pytest.mark.parametrize("cached", [True, False])
def test_limit_takes_the_first_usable(folder, tmp_path, monkeypatch, limit, used, cached):
    monkeypatch.setattr(prepare, "CHUNK", 3)
    cache = tmp_path / "cache" if cached else None
    for _ in range(2):
        prepared = run(find(folder), cache, limit=limit)
        assert levels(prepared.images) == USED[:used]
        assert len(prepared.labels["label"].values) == used
        assert prepared.report.used == used and prepared.report.found == 20
    first = prepared.report.sentences()[0]
    assert ("not asked for" in first) == (limit < 17)
    with pytest.raises(UserError, match="at least 1, received 0"):
        run(find(folder), limit=0)


def test_another_spec_limit_or_file_is_another_cache(folder, tmp_path):
    cache = tmp_path / "cache"
    run(find(folder), cache)
    run(find(folder), cache, limit=3)
    run(find(folder), cache, spec=ImageSpec(8, 8, 1))
    run(find(folder), cache, spec=ImageSpec(8, 8, 3, crop=False))
    (folder / "boys" / "00.png").write_bytes(png(99, side=9))
    assert levels(run(find(folder), cache).images)[0] == 99
    assert len(list(cache.glob("*.npy"))) == 5


def test_parallel_equals_serial(folder, tmp_path, monkeypatch):
    serial = run(find(folder), workers=1)
    monkeypatch.setattr(prepare, "CHUNK", 2)
    parallel = run(find(folder), tmp_path / "cache", workers=2)
    np.testing.assert_array_equal(parallel.images, serial.images)
    assert parallel.report == serial.report
    np.testing.assert_array_equal(run(find(folder), workers=2, limit=5).images, serial.images[:5])


class Numbers:
    """A source whose pictures are their own numbers, to see which are decoded where."""

    name, fingerprint, labels, parallel, notes, parts = "numbers", "abc", {}, True, (), {}

    def __init__(self, count: int, bad: tuple[int, ...] = ()):
        self.count, self.bad = count, bad

    def __len__(self):
        return self.count

    def summary(self):
        return Summary(self.count, (), (((8, 8), self.count),), 1)

    def decode(self, indices, spec):
        used = [i for i in indices if i not in self.bad]
        shape = (len(used), spec.height, spec.width, spec.channels)
        images = np.broadcast_to(np.array(used, np.uint8)[:, None, None, None], shape)
        return Decoded(images, used, [Skipped(str(i), "bad") for i in indices if i in self.bad])


class Ends(Numbers):
    """Its decoding ends a worker process, but not the process it was made in."""

    def __init__(self, count: int):
        super().__init__(count)
        self.home = os.getpid()

    def decode(self, indices, spec):
        if os.getpid() != self.home and 6 in indices:
            os._exit(1)
        return super().decode(indices, spec)


def test_goes_on_in_one_process_when_the_workers_die(monkeypatch, caplog):
    monkeypatch.setattr(prepare, "CHUNK", 2)
    assert levels(run(Ends(12), workers=2).images) == list(range(12))
    assert "going on in one process" in caplog.text


def test_labels_follow_the_used_pictures():
    source = Numbers(6, bad=(0, 3))
    source.labels = {"hair": Labels(np.arange(6, dtype=np.int32), tuple("abcdef"))}
    label = run(source).labels["hair"]
    assert label.values.tolist() == [1, 2, 4, 5] and label.names == tuple("abcdef")


def test_nothing_usable_is_an_error_that_counts_the_reasons(tmp_path):
    with pytest.raises(UserError, match=r"numbers holds no usable picture: looked at 3 files "):
        run(Numbers(3, bad=(0, 1, 2)), tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.npy*"))


def test_a_damaged_cache_is_made_again(folder, tmp_path):
    first = run(find(folder), tmp_path)
    whole = np.array(first.images)  # what is mapped is cut off with the file
    (images,) = tmp_path.glob("*.npy")
    with open(images, "r+b") as file:
        file.truncate(300)
    np.testing.assert_array_equal(run(find(folder), tmp_path).images, whole)
    images.unlink()
    np.testing.assert_array_equal(run(find(folder), tmp_path).images, whole)
    # The entry is written last: without it the writer was killed in between.
    images.write_bytes(images.read_bytes()[:-8] + b"\xff" * 8)
    images.with_suffix(".json").unlink()
    np.testing.assert_array_equal(run(find(folder), tmp_path).images, whole)
    for entry in tmp_path.glob("*.json"):
        entry.write_text('{"found": ')
    again = run(find(folder), tmp_path)
    np.testing.assert_array_equal(again.images, whole)
    assert again.report == first.report


def entries(cache: Path) -> list[Path]:
    """Of the images, then of the summary."""
    return sorted(cache.glob("*.json"), key=lambda path: not path.with_suffix(".npy").exists())


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("change", [{"found": -1}, {"unused": [3, 3, 4]}, {"content": 3}, None])
def test_an_entry_that_we_did_not_write_is_not_believed(folder, tmp_path, which, change):
    first = run(find(folder), tmp_path)
    path = entries(tmp_path)[which]
    path.write_text(
        "[" * 100_000 if change is None else json.dumps(json.loads(path.read_text()) | change)
    )
    again = run(find(folder), tmp_path)
    assert (again.report, again.content) == (first.report, first.content)
    assert again.used.tolist() == first.used.tolist() and levels(again.images) == USED
    assert prepare.summarize(find(folder), cache_dir=tmp_path) == find(folder).summary()


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((16, 8, 8, 3), "u1"), ((17, 8, 8, 1), "u1"), ((17, 8, 24), "u1"), ((17, 8, 8, 3), "i1")],
)
def test_images_of_another_kind_are_not_believed(folder, tmp_path, shape, dtype):
    run(find(folder), tmp_path)
    (path,) = tmp_path.glob("*.npy")
    path.unlink()
    np.save(path, np.ones(shape, dtype))
    assert levels(run(find(folder), tmp_path).images) == USED


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize("suffix", ["json", "npy"])
def test_what_is_no_plain_file_is_no_cache(folder, tmp_path, make, suffix):
    cache = tmp_path / "cache"
    run(find(folder), cache)
    (path,) = (path.with_suffix(f".{suffix}") for path in cache.glob("*.npy"))
    path.unlink()
    make(path)
    assert levels(run(find(folder), cache).images) == USED


@pytest.mark.parametrize("moment", ["first", "later", "fsync"])
def test_a_full_disk_means_memory_and_a_warning(folder, tmp_path, monkeypatch, caplog, moment):
    monkeypatch.setattr(prepare, "CHUNK", 4)
    calls, write = [], FileStore._write

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def write_a_little(self, data):
        calls.append(len(data))
        if len(calls) == (1 if moment == "first" else 3):
            write(self, data[:100])  # a part fits
            full()
        write(self, data)

    monkeypatch.setattr(
        *((os, "fsync", full) if moment == "fsync" else (FileStore, "_write", write_a_little))
    )
    prepared = run(find(folder), tmp_path / "cache")
    assert levels(prepared.images) == USED
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "No space left on device" in caplog.text
    assert not list((tmp_path / "cache").glob("*.npy*"))


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), KeyboardInterrupt])
def test_what_fails_beside_the_cache_is_not_its_fault(folder, tmp_path, caplog, error):
    """Such as too many open files where workers are started: nothing is decoded a second time."""
    source, calls = find(folder), []

    def fail(*_):
        calls.append(1)
        raise error

    source.decode = fail
    with pytest.raises(error if isinstance(error, type) else OSError):
        run(source, tmp_path / "cache")
    assert len(calls) == 1 and "cannot be kept" not in caplog.text
    assert not list((tmp_path / "cache").glob("*.npy*"))


def test_a_disk_too_small_is_seen_before_decoding(folder, tmp_path, monkeypatch, caplog):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(image_store.shutil, "disk_usage", lambda _: usage)
    assert levels(run(find(folder), tmp_path).images) == USED
    assert "are free" in caplog.text
    (tmp_path / "file").touch()
    assert levels(run(find(folder), tmp_path / "file" / "cache").images) == USED
    assert "cannot be kept in" in caplog.text and "Not a directory" in caplog.text
    monkeypatch.setattr(image_store, "free_memory", lambda: 1000)
    with pytest.raises(UserError, match="20 images take .* GiB of memory are free"):
        run(find(folder), tmp_path)


WRITER = """
import importlib, sys, time
from pathlib import Path
from dcgan.datasets.folder import FolderSource
from dcgan.datasets.source import ImageSpec

prepare = importlib.import_module("dcgan.datasets.prepare")

class Slow(FolderSource):
    def decode(self, indices, spec):
        if indices[0] and float(sys.argv[3]):
            print("half", flush=True)
            time.sleep(float(sys.argv[3]))
        return super().decode(indices, spec)

if __name__ == "__main__":
    prepare.CHUNK = 10
    source = Slow(sys.argv[1])
    prepared = prepare.prepare(source, ImageSpec(8, 8, 3), cache_dir=Path(sys.argv[2]))
    print(prepared.images.sum(dtype=int), len(prepared.images))
"""


def writer(folder: Path, cache: Path, sleep: float) -> subprocess.Popen:
    command = [sys.executable, "-c", WRITER, str(folder), str(cache), str(sleep)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def test_a_killed_writer_leaves_nothing_that_counts(folder, tmp_path):
    cache = tmp_path / "cache"
    with writer(folder, cache, 60) as process:
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    assert len(list(cache.glob("*.npy.*.tmp"))) == 1 and not list(cache.glob("*.npy"))
    assert levels(run(find(folder), cache).images) == USED
    assert not list(cache.glob("*.tmp"))  # what the dead process left is gone
    assert len(list(cache.glob("*.npy"))) == 1


def test_two_processes_at_once_both_succeed(folder, tmp_path):
    cache = tmp_path / "cache"
    both = [writer(folder, cache, 0.5) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    lines = [out.splitlines() for out, _ in outputs]
    assert lines[0][0] == lines[1][0] == "half"  # neither had found the other's cache
    assert lines[0][1] == lines[1][1] == f"{run(find(folder)).images.sum(dtype=int)} 17"
    assert len(list(cache.glob("*.npy"))) == 1 and not list(cache.glob("*.tmp"))


def test_temporary_files_of_living_processes_and_other_machines_stay(tmp_path):
    mine = files.temporary_name(tmp_path / "a.npy")
    other = tmp_path / "a.npy.1234abcd.999999999.another-machine.tmp"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = Path(str(mine).replace(f".{os.getpid()}.", f".{dead.pid}."))
    for path in (mine, other, gone):
        path.touch()
    files.remove_stale(tmp_path)
    assert mine.exists() and other.exists() and not gone.exists()


@pytest.mark.parametrize("limit", [None, 5])
def test_a_look_reports_what_preparing_would_and_leaves_nothing(tmp_path, limit):
    folder = write_pictures(tmp_path / "data", 9, (16, 16))
    whole = (folder / "0003.png").read_bytes()
    (folder / "0001.png").write_bytes(whole[:-40])  # damage that its header does not show
    (folder / "notes.txt").write_text("no picture")
    source, spec = find(folder), ImageSpec(8, 8, 3)
    look = functools.partial(
        prepare.look, source, spec, summary=source.summary(), cache_dir=tmp_path / "cache"
    )
    seen = look(limit=limit)
    assert not (tmp_path / "cache").exists()
    prepared = prepare.prepare(source, spec, cache_dir=tmp_path / "cache", limit=limit)
    assert seen == prepared.report and len(seen.skipped) == 2
    assert look(limit=limit) == seen  # from the cache
