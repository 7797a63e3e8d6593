"""Versions come and go in their folder; requests notice nothing of it."""

import shutil
import threading

import pytest

from dcgan.serving.versions import NotThere, Unusable, Versions


class Loaded:
    def __init__(self, folder):
        self.version = int(folder.name)
        self.text = (folder / "weights").read_text()
        if self.text == "half":
            raise Unusable("it is not whole")
        self.closed = False

    def close(self):
        self.closed = True


def put(folder, version, text="whole"):
    (folder / str(version)).mkdir(parents=True, exist_ok=True)
    (folder / str(version) / "weights").write_text(text)


def look_until_settled(versions):
    """A change is believed when it is seen a second time."""
    versions.look()
    versions.look()


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
        with pytest.raises(NotThere), versions.lease(absent):
            pass
    versions.close()


def test_without_a_whole_version_there_is_nothing_to_start(tmp_path):
    assert Versions(tmp_path / "absent", Loaded).start() is None
    put(tmp_path, 1, "half")
    assert Versions(tmp_path, Loaded).start() is None


def test_a_version_that_is_being_copied_waits(tmp_path):
    put(tmp_path, 1)
    versions = Versions(tmp_path, Loaded)
    versions.look(first=True)
    put(tmp_path, 2, "ha")
    versions.look()  # seen for the first time
    put(tmp_path, 2, "half")
    versions.look()  # it has changed
    assert versions.states() == {1: "AVAILABLE"}
    versions.look()  # it stays the same, and does not load
    versions.look()
    assert versions.states() == {1: "AVAILABLE"}
    put(tmp_path, 2, "whole at last")
    versions.look()
    assert versions.newest == 1
    versions.look()
    assert text(versions) == "whole at last"


def test_a_refused_version_is_not_tried_again_before_it_changes(tmp_path):
    tried = []

    def load(folder):
        tried.append(folder.name)
        return Loaded(folder)

    put(tmp_path, 1)
    put(tmp_path, 2, "half")
    versions = Versions(tmp_path, load)
    versions.look(first=True)
    for _ in range(3):
        versions.look()
    assert tried == ["2", "1"] and versions.newest == 1


def test_old_versions_leave_when_their_requests_are_done(tmp_path):
    put(tmp_path, 1)
    versions = Versions(tmp_path, Loaded, keep=1)
    versions.look(first=True)
    put(tmp_path, 2)
    with versions.lease() as old:
        versions.look()
        watcher = threading.Thread(target=versions.look)
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
    versions.look(first=True)
    shutil.rmtree(tmp_path / "models")
    look_until_settled(versions)
    assert text(versions) == "one"


def test_a_version_written_anew_is_loaded_anew(tmp_path):
    put(tmp_path, 1, "old")
    versions = Versions(tmp_path, Loaded)
    versions.look(first=True)
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
    servables = []
    for number in (1, 2):
        with versions.lease(number) as servable:
            servables.append(servable)
    versions.close()
    assert [servable.closed for servable in servables] == [True, True]
    with pytest.raises(NotThere), versions.lease():
        pass
