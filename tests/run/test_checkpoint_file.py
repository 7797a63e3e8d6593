"""What a checkpoint's file may do to its reader: nothing, whoever wrote it and whatever fails."""

import copy
import errno
import io
import os
import tracemalloc
import types
import warnings
import weakref
import zipfile

import numpy as np
import pytest
from states import FewNumbers, names, save_steps, scrambled

from dcgan.run import checkpoint_file, model_file
from dcgan.run.checkpoint import (
    BEST,
    Checkpoint,
    Checkpointer,
    open_checkpoint,
    state_fingerprint,
)
from dcgan.run.checkpoint_file import DamagedCheckpoint, read, read_meta, write


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "run" / "checkpoints"
    made.mkdir(parents=True)
    return made


# ---- errors that are not damage ----


def failing(number: int, *, at_once: bool):
    """An `open` that fails, or gives a file that fails to be read."""

    class Failing(io.FileIO):
        def readinto(self, buffer):
            raise OSError(number, os.strerror(number))

        def read(self, size=-1):
            raise OSError(number, os.strerror(number))

    def fail(path, mode="rb"):
        if at_once:
            raise OSError(number, os.strerror(number), str(path))
        return Failing(path, mode.replace("b", ""))

    return fail


@pytest.mark.parametrize(
    ("number", "at_once"),
    [(errno.EIO, False), (errno.ESTALE, True), (errno.EACCES, True), (errno.ENOMEM, False)],
)
def test_a_file_that_cannot_be_read_is_not_damaged(folder, monkeypatch, number, at_once):
    save_steps(folder, 1, 2)
    (folder / BEST).write_bytes((folder / "00000002.npz").read_bytes())
    before = names(folder)
    monkeypatch.setattr(checkpoint_file, "open", failing(number, at_once=at_once), raising=False)
    checkpointer = Checkpointer(folder)
    for ask in (
        lambda: checkpointer.restore_newest(FewNumbers()),
        checkpointer.best_meta,
        lambda: open_checkpoint(folder.parent),
    ):
        with pytest.raises(OSError) as caught:
            ask()
        assert caught.value.errno == number and ".npz" in str(caught.value.filename)
    monkeypatch.undo()
    assert names(folder) == before
    assert checkpointer.restore_newest(FewNumbers()) == {"step": 2}


@pytest.mark.parametrize(
    "error", [EOFError(), KeyError("x"), OSError("no number"), OSError(errno.EINVAL, "a place")]
)
def test_errors_that_the_content_causes_are_damage(folder, monkeypatch, error):
    """Python's `zipfile` says so in each of these ways, by its version."""
    save_steps(folder, 1)

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(checkpoint_file, "_read_array", fail)
    with pytest.raises(DamagedCheckpoint, match=r"\w"):
        read(folder / "00000001.npz")


def test_too_little_memory_is_not_damage(folder, monkeypatch):
    save_steps(folder, 1)

    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(np.lib.format, "read_array", fail)
    with pytest.raises(OSError) as caught:
        Checkpointer(folder).restore_newest(FewNumbers())
    assert caught.value.errno == errno.ENOMEM and caught.value.filename
    assert names(folder) == ["00000001.npz"]


# ---- damage, also on purpose ----


def header(shape: str, kind: str = "'<f4'") -> bytes:
    """A .npy file that announces an array and holds 12 zeros."""
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text = text.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(12)


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], object), allow_pickle=True)
    return buffer.getvalue()


NOTE = header("(2,)", "'|u1'")[:-12] + b"{}"
FOREIGN = {
    "ten terabytes": {"a.npy": header("(10000000000000,)")},
    "dimensions below zero": {"a.npy": header("(-1, -3)")},
    "text": {"a.npy": header("(1,)", "'<U3'")},
    "a record": {"a.npy": header("(1,)", "[('a', '<f4', (3,))]")},
    "a pickle": {"a.npy": pickled()},
    "another version": {"a.npy": header("(3,)").replace(b"\x01\x00", b"\x03\x00", 1)},
    "code": {"a.npy": header("(__import__('os').abort(),)")},
    "a deep header": {
        "a.npy": b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"-" * 8999 + b"\n"
    },
    "no array": {"../../a": b"#!/bin/sh"},
    "a note that is a list": {"meta.json.npy": NOTE[:-2] + b"[]"},
    "a deep note": {"meta.json.npy": header("(99999,)", "'|u1'")[:-12] + b"[" * 99_999},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_nothing_in_a_file_is_believed(folder, name):
    path = folder / "00000003.npz"
    with zipfile.ZipFile(path, "w") as file:
        for entry, data in ({"meta.json.npy": NOTE} | FOREIGN[name]).items():
            file.writestr(entry, data)
    tracemalloc.start()
    try:
        words = "is not of version 1.0" if name == "another version" else r"\w"
        with pytest.raises(DamagedCheckpoint, match=words):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def bomb(path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("meta.json.npy", NOTE)
        file.writestr("a.npy", header("(5000003,)") + bytes(20_000_000))


def overlapping(path) -> None:
    """A thousand entries that are all the same bytes."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.npy", header("(3,)") + bytes(0))
        file.writestr("meta.json.npy", NOTE)
        for i in range(1000):
            again = copy.copy(file.getinfo("a.npy"))
            again.filename = f"{i}.npy"
            file.filelist.append(again)
        file._didModify = True


def twice(path) -> None:
    with zipfile.ZipFile(path, "w") as file, warnings.catch_warnings(action="ignore"):
        for entry in ("a.npy", "a.npy"):
            file.writestr(entry, header("(3,)"))
        file.writestr("meta.json.npy", NOTE)


def deflated(path) -> None:
    """What does not shrink: it takes no more memory than room, but other programs unpack it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", header("(250,)") + np.random.default_rng(0).bytes(1000))
        file.writestr("meta.json.npy", NOTE)


@pytest.mark.parametrize("make", [bomb, overlapping, twice, deflated])
def test_a_file_takes_no_more_memory_than_room_on_the_disk(folder, make):
    make(folder / "00000003.npz")
    for ask in (read, read_meta):
        with pytest.raises(DamagedCheckpoint, match="compressed, overlap or share a name"):
            ask(folder / "00000003.npz")


def without_a_note(path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.npy", header("(0,)"))


def beyond_the_end(path) -> None:
    """An entry that is smaller than the file, and goes on after it."""
    with open(path, "wb") as raw:
        raw.write(bytes(4000))
        with zipfile.ZipFile(raw, "w") as file:
            file.writestr("meta.json.npy", NOTE)
            file.writestr("a.npy", header("(900,)"))
            entry = file.getinfo("a.npy")
            entry.file_size = entry.compress_size = len(header("(900,)")) + 3600


@pytest.mark.parametrize("make", [without_a_note, beyond_the_end])
def test_a_file_that_lacks_a_part_is_damaged(folder, make):
    make(folder / "00000003.npz")
    with pytest.raises(DamagedCheckpoint, match=r"\w"):
        read(folder / "00000003.npz")
    if make is without_a_note:
        with pytest.raises(DamagedCheckpoint, match="meta.json"):
            read_meta(folder / "00000003.npz")


@pytest.mark.parametrize("step", [None, np.array([3]), np.array(3.0), np.array(-3), np.array(True)])
def test_a_checkpoint_of_no_step_is_damaged(folder, step):
    save_steps(folder, 1)
    arrays = {**FewNumbers().arrays(), "step": step}
    write(folder / "00000009.npz", [(n, a) for n, a in arrays.items() if a is not None], {})
    checkpointer = Checkpointer(folder)
    (folder / "model.json").write_text("{}")
    assert open_checkpoint(folder.parent).step == 1
    assert checkpointer.restore_newest(FewNumbers()) == {"step": 1}
    assert (folder / "00000009.npz.damaged").exists()


def cut(path) -> None:
    write(path, FewNumbers().arrays().items(), {})
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    "make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero"), cut]
)
def test_what_is_no_plain_and_whole_file_is_no_checkpoint(folder, make):
    save_steps(folder, 1)
    checkpointer = Checkpointer(folder)
    assert checkpointer.best_meta() is None
    for name in ("00000009.npz", BEST):
        make(folder / name)
    assert checkpointer.best_meta() is None
    assert checkpointer.restore_newest(FewNumbers()) == {"step": 1}


# ---- no more is read than is needed ----


def test_a_meta_is_read_without_the_arrays(folder, monkeypatch):
    Checkpointer(folder).save_best(FewNumbers(), {"evaluation": {"value": 1.5}})
    Checkpointer(folder).save(FewNumbers(), {"data": "abc"})
    opened = []
    whole = zipfile.ZipFile.open
    monkeypatch.setattr(
        zipfile.ZipFile, "open", lambda self, one: opened.append(one.filename) or whole(self, one)
    )
    assert Checkpointer(folder).best_meta() == {"evaluation": {"value": 1.5}}
    assert Checkpointer(folder).newest_meta() == {"data": "abc"}
    assert set(opened) == {"meta.json.npy"}


@pytest.mark.parametrize("averaged", [True, False])
def test_a_states_fingerprint_reads_its_sampler_only_one_array_at_a_time(folder, averaged):
    state = scrambled(averaged=averaged)
    checkpointer = Checkpointer(folder)
    model_file.write(checkpointer.folder, state.generator, state.discriminator)
    checkpointer.save(state, {})
    expected = open_checkpoint(folder.parent).fingerprint("normal01")
    asked, alive = [], []

    class Watched(np.ndarray):
        """An array that may be looked for later."""

    class Spy:
        def __init__(self, name, variable):
            self._name, self._variable = name, variable

        def numpy(self):
            assert sum(one() is not None for one in alive) <= 1, "others are still held"
            asked.append(self._name)
            array = self._variable.numpy().view(Watched)
            alive.append(weakref.ref(array))
            return array

    variables = {name: Spy(name, one) for name, one in state.variables().items()}
    spied = types.SimpleNamespace(variables=lambda: variables)
    config = state.generator.get_config()
    assert state_fingerprint(spied, config, "normal01") == expected
    owner = "averaged_generator/" if averaged else "generator/"
    assert sorted(asked) == sorted(name for name in variables if name.startswith(owner))


def test_a_sampler_that_is_not_finite_has_no_fingerprint():
    state = scrambled()
    name = "averaged_generator/deconv_0/kernel"
    state.variables()[name].assign(np.full(state.variables()[name].shape, np.nan))
    with pytest.raises(FloatingPointError, match=name):
        state_fingerprint(state, {}, "normal01")


def test_a_fingerprint_is_of_all_that_makes_the_images_and_of_nothing_else(tmp_path):
    """What the network is, its weights by name and what latents are drawn from."""
    weights = {"a": np.zeros(2), "b": np.ones(2)}
    config = {"width": 8, "layout": "x", "dtype": "float32"}

    def fingerprint(weights=weights, config=config, z_dist="normal01", owner="generator", **more):
        arrays = {f"{owner}/{name}": array for name, array in weights.items()} | more
        configs = {"generator": config, "discriminator": more}
        return Checkpoint(tmp_path / "x.npz", arrays, configs).fingerprint(z_dist)

    same = [
        fingerprint(),
        fingerprint(dict(reversed(weights.items()))),
        fingerprint(config=dict(reversed(config.items()))),
        fingerprint(config=config | {"dtype": "mixed_bfloat16"}),  # samples are float32's always
        fingerprint(config=config | {"z_dist": "normal01"}),  # which older configs do not have
        fingerprint(owner="averaged_generator"),
        fingerprint(owner="averaged_generator", **{"generator/a": np.ones(2)}),
        fingerprint(step=np.array(9), **{"discriminator/a": np.ones(2), "averaged_x": np.ones(1)}),
    ]
    others = [
        fingerprint(z_dist="uniform"),
        fingerprint(config=config | {"width": 9}),
        fingerprint({"a": np.zeros(2), "b": np.zeros(2)}),
        fingerprint({"a": np.zeros(2), "c": np.ones(2)}),
        fingerprint({"a": np.ones(2), "b": np.zeros(2)}),
    ]
    assert len(set(same)) == 1 and len({same[0], *others}) == 1 + len(others)
