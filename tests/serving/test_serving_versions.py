"""Versions come and go in their folder; requests notice nothing of it."""

import contextlib
import logging
import os
import re
import shutil
import stat
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from dcgan.serving import versions as versions_module
from dcgan.serving.versions import UnusableVersion, VersionNotLoaded, Versions


class Loaded:
    def __init__(self, folder):
        self.version = int(folder.name)
        self.text = (folder / "weights").read_text()
        if self.text == "half":
            raise UnusableVersion("it is not whole")
        self.closed = False

    def close(self):
        self.closed = True


def put(folder, version, text="whole"):
    (folder / str(version)).mkdir(parents=True, exist_ok=True)
    (folder / str(version) / "weights").write_text(text)


def look_until_settled(versions):
    """A change is believed when it is seen a second time."""
    versions.refresh()
    versions.refresh()


def text(versions, number=None):
    with versions.lease(number) as servable:
        return servable.text


def test_the_newest_answers_and_others_by_their_number(tmp_path):
    put(tmp_path, 2, "two")
    put(tmp_path, 10, "ten")
    put(tmp_path, 0, "zero is no version")
    (tmp_path / "notes.txt").touch()
    put(tmp_path / "3.tmp", 3)
    versions = Versions(tmp_path, Loaded, keep=2)
    assert versions.start() == 10
    look_until_settled(versions)
    assert versions.states() == {2: "AVAILABLE", 10: "AVAILABLE"}
    assert text(versions) == "ten" and text(versions, 2) == "two"
    for absent in (0, 3, 11):
        with pytest.raises(VersionNotLoaded), versions.lease(absent):
            pass
    versions.close()


def test_without_a_whole_version_there_is_nothing_to_start(tmp_path):
    assert Versions(tmp_path / "absent", Loaded).start() is None
    put(tmp_path, 1, "half")
    assert Versions(tmp_path, Loaded).start() is None


def test_a_version_that_is_being_copied_waits(tmp_path):
    put(tmp_path, 1)
    versions = Versions(tmp_path, Loaded)
    versions.refresh(first=True)
    put(tmp_path, 2, "ha")
    versions.refresh()  # seen for the first time
    put(tmp_path, 2, "half")
    versions.refresh()  # it has changed
    assert versions.states() == {1: "AVAILABLE"}
    versions.refresh()  # it stays the same, and does not load
    versions.refresh()
    assert versions.states() == {1: "AVAILABLE"}
    put(tmp_path, 2, "whole at last")
    versions.refresh()
    assert versions.newest == 1
    versions.refresh()
    assert text(versions) == "whole at last"


def test_a_refused_version_is_not_tried_again_before_it_changes(tmp_path):
    tried = []

    def load(folder):
        tried.append(folder.name)
        return Loaded(folder)

    put(tmp_path, 1)
    put(tmp_path, 2, "half")
    versions = Versions(tmp_path, load)
    versions.refresh(first=True)
    for _ in range(3):
        versions.refresh()
    assert tried == ["2", "1"] and versions.newest == 1


def test_old_versions_leave_when_their_requests_are_done(tmp_path):
    put(tmp_path, 1)
    versions = Versions(tmp_path, Loaded, keep=1)
    versions.refresh(first=True)
    put(tmp_path, 2)
    with versions.lease() as old:
        versions.refresh()
        watcher = threading.Thread(target=versions.refresh)
        watcher.start()
        while versions.newest == 1:
            pass
        with versions.lease() as new:
            assert new.version == 2
        watcher.join(0.1)
        assert watcher.is_alive() and not old.closed  # it waits for this request
    watcher.join(10)
    assert old.closed and not new.closed
    assert versions.states() == {2: "AVAILABLE"}


def test_what_is_loaded_answers_on_when_all_folders_vanish(tmp_path):
    put(tmp_path / "models", 1, "one")
    versions = Versions(tmp_path / "models", Loaded)
    versions.refresh(first=True)
    shutil.rmtree(tmp_path / "models")
    look_until_settled(versions)
    assert text(versions) == "one"


def test_a_version_written_anew_is_loaded_anew(tmp_path):
    put(tmp_path, 1, "old")
    versions = Versions(tmp_path, Loaded)
    versions.refresh(first=True)
    with versions.lease() as old:
        pass
    put(tmp_path, 1, "longer than old")
    look_until_settled(versions)
    assert text(versions) == "longer than old" and old.closed


def test_closing_closes_all(tmp_path):
    put(tmp_path, 1)
    put(tmp_path, 2)
    versions = Versions(tmp_path, Loaded)
    versions.start()
    look_until_settled(versions)
    with versions.lease(1) as one, versions.lease(2) as two:
        assert not one.closed and not two.closed
    versions.close()
    assert one.closed and two.closed
    with pytest.raises(VersionNotLoaded), versions.lease():
        pass


def make_deep(folder):
    """Folders in one another, more than Python's recursion allows."""
    folder.mkdir()
    here = os.getcwd()
    os.chdir(folder)
    try:
        for _ in range(1000):
            os.mkdir("a")
            os.chdir("a")
    finally:
        os.chdir(here)


def make_wide(folder):
    for number in range(9):
        put(folder, number)


def make(what):
    """Fills a version folder: `what` makes its file of weights."""

    def fill(folder):
        folder.mkdir()
        what(folder / "weights")

    return fill


# What stands in a model folder as version 2, and what the refusal names.
ODD = {
    "empty": (lambda folder: folder.mkdir(), "FileNotFoundError: .*weights"),
    "a link to itself": (lambda folder: folder.symlink_to("2"), "symbolic links"),
    "a link to nothing": (lambda folder: folder.symlink_to("nothing"), "FileNotFoundError"),
    "a link loop inside": (make(lambda file: file.symlink_to("weights")), "symbolic links"),
    "a folder for a file": (make(lambda file: file.mkdir()), "IsADirectoryError"),
    "a pipe": (make(os.mkfifo), "weights, which is neither a file nor a folder"),
    "an endless device": (make(lambda file: file.symlink_to("/dev/zero")), "weights, which is"),
    "a socket": (make(lambda file: os.mknod(file, stat.S_IFSOCK)), "weights, which is neither"),
    "no text": (make(lambda file: file.write_bytes(b"\x80\x04\x95")), "UnicodeDecodeError"),
    "too many files": (make_wide, "more than 5 files"),
    "too deep": (make_deep, "FileNotFoundError: .*weights"),
}


@pytest.fixture
def swept(tmp_path):
    """Ends with an empty folder: pytest's own way to it recurses."""
    yield
    subprocess.run(["rm", "-r", tmp_path / "2"], check=True)


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.usefixtures("swept")
def test_an_odd_folder_is_refused_once_and_the_next_version_is_loaded(
    tmp_path, kind, monkeypatch, caplog
):
    fill, reason = ODD[kind]
    if kind == "too many files":
        monkeypatch.setattr(versions_module, "MAX_ENTRIES", 5)
    put(tmp_path, 1)
    versions = Versions(tmp_path, Loaded, keep=1)
    versions.refresh(first=True)
    fill(tmp_path / "2")
    with caplog.at_level(logging.WARNING, "dcgan"):
        for _ in range(4):
            versions.refresh()
    assert versions.states() == {1: "AVAILABLE"}
    assert len(caplog.messages) == 1 and "Version 2 is not loaded" in caplog.text
    assert list(versions.refusals()) == [2]
    assert re.search(reason, versions.refusals()[2])
    assert str(tmp_path) not in versions.refusals()[2]
    put(tmp_path, 3, "three")
    look_until_settled(versions)
    assert text(versions) == "three"
    versions.close()


ENDS = (TypeError("no"), MemoryError(), RecursionError("deep"), AssertionError(), KeyError("x"))


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
def test_whatever_loading_ends_in_the_watcher_lives(tmp_path, error):
    """In the thread itself: it is what must not end."""

    def load(folder):
        if folder.name == "2":
            raise error
        return Loaded(folder)

    put(tmp_path, 1)
    versions = Versions(tmp_path, load)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(versions_module, "POLL_SECONDS", 0.001)
        versions.start()
        put(tmp_path, 2)
        while not versions.refusals():
            assert versions._thread.is_alive()
        assert versions.refusals()[2].startswith(type(error).__name__)
        put(tmp_path, 3, "three")
        while versions.newest != 3:
            assert versions._thread.is_alive()
        shutil.rmtree(tmp_path / "2")
        while versions.refusals():
            assert versions._thread.is_alive()
        versions.close()


def test_a_folder_that_vanishes_while_it_is_loaded_is_forgotten(tmp_path):
    def load(folder):
        if folder.name == "2":
            shutil.rmtree(folder)
        return Loaded(folder)

    put(tmp_path, 1)
    versions = Versions(tmp_path, load)
    versions.refresh(first=True)
    put(tmp_path, 2)
    look_until_settled(versions)
    assert "FileNotFoundError" in versions.refusals()[2]
    versions.refresh()
    assert versions.refusals() == {} and versions.states() == {1: "AVAILABLE"}


@contextlib.contextmanager
def as_nobody():
    """Root may read everything: for the while of the block this is another user."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_read_is_refused_until_it_may():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        put(folder, 1)
        put(folder, 2, "two")
        (folder / "2").chmod(0o000)
        versions = Versions(folder, Loaded)
        with as_nobody():
            versions.refresh(first=True)
            assert text(versions) == "whole"
            denied = "PermissionError: [Errno 13] Permission denied: 'weights'"
            assert versions.refusals() == {2: denied}
        (folder / "2").chmod(0o755)
        with as_nobody():
            look_until_settled(versions)
            assert text(versions) == "two" and versions.refusals() == {}


def test_a_reason_is_short_ascii_in_one_line(tmp_path):
    def load(folder):
        raise ValueError("\udcff\n" + "x" * 100_000)

    put(tmp_path, 1)
    versions = Versions(tmp_path, load)
    versions.refresh(first=True)
    reason = versions.refusals()[1]
    assert reason.isascii() and reason.isprintable() and 20 < len(reason) < 400


def test_other_names_are_no_versions(tmp_path):
    """Digits of other scripts, numbers that 64 bits cannot hold, and files."""
    put(tmp_path, "1")
    for name in ("\u0662", "1\u0662", "9" * 19, "01", "+2"):
        put(tmp_path, name)
    (tmp_path / "7").touch()
    versions = Versions(tmp_path, Loaded)
    versions.refresh(first=True)
    assert versions.states() == {1: "AVAILABLE"} and versions.refusals() == {}


@pytest.mark.usefixtures("swept")
def test_of_a_folder_without_end_only_a_part_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(versions_module, "MAX_ENTRIES", 5)
    make_wide(tmp_path / "wide")
    make_deep(tmp_path / "2")
    (tmp_path / "round").mkdir()
    (tmp_path / "round" / "again").symlink_to(".")
    sizes = [len(versions_module._listing(tmp_path / n)) for n in ("wide", "2", "round")]
    assert sizes[0] <= 7 and sizes[1] <= 7 and sizes[2] == 2
