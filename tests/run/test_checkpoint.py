"""Checkpoints: exact, whole or absent, and every kind of damage noticed."""

import dataclasses
import re
import resource

import numpy as np
import pytest
from states import Z_DIM, FewNumbers, make_state, names, save_steps, scrambled

from dcgan import UserError
from dcgan.latent.sampling import make_sampler
from dcgan.run import checkpoint, model_file
from dcgan.run.checkpoint import Checkpointer, open_checkpoint
from dcgan.run.checkpoint_file import DamagedCheckpoint, read, write
from dcgan.training.state import GANState

KERNEL = "generator/project/kernel"


def assert_same(left: dict, right: dict) -> None:
    assert left.keys() == right.keys()
    for name, array in left.items():
        assert array.dtype == right[name].dtype, name
        assert np.array_equal(array, right[name]), name


def images_of(generator) -> np.ndarray:
    return make_sampler(generator, z_dim=Z_DIM, z_dist="normal01")(range(5))


@pytest.fixture(scope="module")
def trained() -> GANState:
    """Only to be read."""
    return scrambled()


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "run" / "checkpoints"
    made.mkdir(parents=True)
    return made


# ---------------------------------------------------------------------------------- round trip


@pytest.mark.parametrize("averaged", [True, False])
def test_restores_every_variable_bit_for_bit(folder, averaged):
    state = scrambled(averaged=averaged)
    Checkpointer(folder).save(state, {"step": 7, "seconds": 1.5})
    other = make_state(5, averaged=averaged)
    meta = Checkpointer(folder).restore_newest(other)
    assert meta == {"step": 7, "seconds": 1.5}
    assert_same(other.arrays(), state.arrays())


def test_state_holds_everything_under_a_name_of_its_own(trained):
    owners = [
        trained.generator,
        trained.discriminator,
        trained.generator_optimizer,
        trained.discriminator_optimizer,
        trained.averaged_generator,
    ]
    held = {id(variable) for variable in trained.variables().values()}
    for owner in owners:
        assert all(id(variable) in held for variable in owner.variables)
    assert len(held) == len(trained.variables()) == 1 + sum(len(o.variables) for o in owners)
    # Adam's two moments of every weight, and both networks' moving statistics.
    keys = " ".join(trained.variables())
    weights = len(trained.generator.trainable_variables)
    assert keys.count(" generator_optimizer/") == 2 + 2 * weights
    assert " discriminator/norm_1/moving_variance " in keys


def test_arrays_are_copies(trained):
    arrays = trained.arrays()
    arrays[KERNEL][:] = 0
    assert trained.arrays()[KERNEL].all()


# --------------------------------------------------------------------------------- what is kept


def test_keeps_the_newest_and_what_is_not_its_own(folder):
    foreign = ["best.npz", "00000001.npz.damaged", "model.json"]
    for name in foreign:
        (folder / name).write_text("mine")
    checkpointer = Checkpointer(folder, max_to_keep=2)
    for step in (1, 2, 3, 10):
        checkpointer.save(FewNumbers(step), {"step": step})
    assert [path.name for path in checkpointer.paths()] == ["00000003.npz", "00000010.npz"]
    assert names(folder) == sorted([*foreign, "00000003.npz", "00000010.npz"])
    other = FewNumbers()
    assert checkpointer.restore_newest(other) == {"step": 10} and other.step == 10


def test_one_of_no_step_yet_is_whole(folder):
    """So imported weights begin."""
    Checkpointer(folder).save(FewNumbers(0), {})
    (folder / "model.json").write_text("{}")
    assert open_checkpoint(folder.parent).step == 0


def test_an_old_one_that_is_gone_meanwhile_is_no_error(folder, monkeypatch):
    """People tidy up while a run trains."""
    checkpointer = Checkpointer(folder, max_to_keep=1)
    paths = checkpointer.paths
    monkeypatch.setattr(checkpointer, "paths", lambda: [folder / "00000001.npz", *paths()])
    assert checkpointer.save(FewNumbers(2), {}) == folder / "00000002.npz"
    assert names(folder) == ["00000002.npz"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("generator/norm_0/moving_mean", np.nan),
        ("averaged_generator/deconv_0/kernel", np.inf),
        ("discriminator_optimizer/discriminator_conv_0_kernel_velocity", -np.inf),
    ],
)
def test_what_is_not_finite_is_never_saved(folder, name, value):
    state = scrambled()
    Checkpointer(folder).save(state, {})
    array = state.arrays()[name]
    array.flat[-1] = value
    state.variables()[name].assign(array)
    state.step.assign(8)
    with pytest.raises(FloatingPointError, match=name):
        Checkpointer(folder, max_to_keep=1).save(state, {})
    assert names(folder) == ["00000007.npz"]


def test_a_killed_writers_file_is_removed_and_not_read(folder):
    save_steps(folder, 7)
    (folder / ".00000009.npz.4242.tmp").write_bytes(b"PK\x03\x04half")
    (folder / "notes.tmp").write_text("mine")
    other = FewNumbers()
    Checkpointer(folder).restore_newest(other)
    assert other.step == 7 and names(folder) == ["00000007.npz", "notes.tmp"]


def test_a_write_that_fails_changes_nothing(folder):
    [path] = save_steps(folder, 7)
    content = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) // 2, limits[1]))
    try:  # Python ignores SIGXFSZ, so writing fails as on a full disk
        with pytest.raises(OSError):
            Checkpointer(folder, max_to_keep=1).save(FewNumbers(8), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(folder) == [path.name]
    assert path.read_bytes() == content


# --------------------------------------------------------------------------------------- damage


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


DAMAGES = {
    "empty": lambda data: b"",
    "cut": cut,
    "one byte short": lambda data: data[:-1],
    "flipped bit": flipped,
    "zeros": lambda data: bytes(len(data)),
    "end zeroed": lambda data: cut(data).ljust(len(data), b"\0"),
    "text": lambda data: b"not a checkpoint\n",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_set_aside_for_the_one_before(folder, damage, caplog):
    _, older, newest = save_steps(folder, 1, 2, 3)
    newest.write_bytes(DAMAGES[damage](newest.read_bytes()))
    state = FewNumbers()
    assert Checkpointer(folder).restore_newest(state) == {"step": 2} and state.step == 2
    assert names(folder) == ["00000001.npz", "00000002.npz", "00000003.npz.damaged"]
    assert "00000003.npz" in caplog.text and "damaged" in caplog.text
    assert older.exists()


def test_when_all_are_damaged_it_refuses_now_and_the_next_time(folder):
    for path in save_steps(folder, 1, 2):
        path.write_bytes(b"")
    for _ in range(2):
        state = FewNumbers(9)
        with pytest.raises(UserError, match="intact.*backup.*--run_dir"):
            Checkpointer(folder).restore_newest(state)
        assert state.step == 9
    assert names(folder) == ["00000001.npz.damaged", "00000002.npz.damaged"]


def test_no_flipped_bit_goes_unnoticed_or_escapes_as_another_error(folder):
    state = FewNumbers(3, count=12)
    path = Checkpointer(folder).save(state, {"step": 3})
    data = path.read_bytes()  # a thousand
    for place in range(len(data)):
        for mask in (1 << place % 8, 128 >> place % 8):
            with open(path, "r+b") as file:
                file.seek(place)
                file.write(bytes([data[place] ^ mask]))
            try:
                arrays, meta = read(path)
            except DamagedCheckpoint:
                pass
            else:  # the bit had no meaning, such as one of a date
                assert meta == {"step": 3}, place
                assert_same(arrays, state.arrays())
            with open(path, "r+b") as file:
                file.seek(place)
                file.write(data[place : place + 1])


# ---------------------------------------------------------------------------- another architecture


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "rank"])
def test_what_does_not_fit_changes_nothing(trained, change):
    state = make_state()
    before, arrays = state.arrays(), trained.arrays()
    if change == "missing":
        del arrays[KERNEL]
    elif change == "extra":
        arrays["generator/extra"] = np.zeros(1, np.float32)
    elif change == "shape":
        arrays[KERNEL] = arrays[KERNEL][:, :-1]
    else:
        arrays["step"] = arrays["step"].reshape(1)
    with pytest.raises(UserError, match="another architecture.*1 difference.*--run_dir"):
        state.assign(arrays)
    assert_same(state.arrays(), before)


def test_restoring_another_architecture_is_refused_and_the_file_kept(folder, trained):
    path = Checkpointer(folder).save(trained, {})
    state = make_state(width=16)
    before = state.arrays()
    with pytest.raises(UserError, match=r"another architecture.*\(\d+.*instead of"):
        Checkpointer(folder).restore_newest(state)
    assert_same(state.arrays(), before)
    assert names(folder) == [path.name]


def test_checkpoints_are_files_named_by_their_steps_in_the_order_of_these(folder):
    """Of a hundred million steps too, whose names are longer and sort otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = (99_999_999, 100_000_000, 7)
    for name in (*(f"{step:08d}" for step in steps), "9", "best", "00000001x"):
        (folder / f"{name}.npz").write_bytes(b"")
    (folder / "00000002.npz").mkdir()
    assert [int(path.stem) for path in Checkpointer(folder).paths()] == sorted(steps)


# ------------------------------------------------------------------------------- open_checkpoint


@pytest.mark.parametrize("averaged", [True, False])
def test_its_generator_gives_the_runs_images(folder, averaged):
    state = scrambled(averaged=averaged)
    checkpointer = Checkpointer(folder)
    model_file.write(checkpointer.folder, state.generator, state.discriminator)
    path = checkpointer.save(state, {})
    expected = images_of(state.sampler)
    if averaged:
        assert not np.array_equal(expected, images_of(state.generator))
    # A later, damaged one is passed over, and left where it is: reading changes nothing.
    later = folder / "00000008.npz"
    later.write_bytes(cut(path.read_bytes()))
    before = names(folder)
    assert np.array_equal(images_of(open_checkpoint(folder.parent).generator()), expected)
    named = open_checkpoint(folder.parent, path)
    assert_same(named.arrays, state.arrays())
    assert names(folder) == before


@pytest.mark.parametrize("change", ["missing", "larger", "flat"])
def test_networks_are_made_of_no_other_arrays_than_their_own(folder, trained, change):
    checkpointer = Checkpointer(folder)
    model_file.write(checkpointer.folder, trained.generator, trained.discriminator)
    whole = open_checkpoint(folder.parent, checkpointer.save(trained, {}))
    owned = [name for name in whole.arrays if re.match(r"discriminator/\w+/\w+$", name)]
    assert len(owned) > 5
    for name in owned:
        arrays = dict(whole.arrays)
        array = arrays.pop(name)
        if change != "missing":
            larger = np.zeros([side + 1 for side in array.shape], array.dtype)
            arrays[name] = larger if change == "larger" else array.ravel()[:0]
        with pytest.raises(UserError, match=f"another architecture.*{name.partition('/')[2]}"):
            dataclasses.replace(whole, arrays=arrays).discriminator()


def test_it_refuses_a_folder_without_a_whole_checkpoint(folder):
    with pytest.raises(UserError, match="no intact checkpoint"):
        open_checkpoint(folder.parent)
    (folder / "model.json").write_text("{}")
    [path] = save_steps(folder, 7)
    path.write_bytes(b"")
    for chosen in (None, path):
        with pytest.raises(UserError, match="no intact checkpoint"):
            open_checkpoint(folder.parent, chosen)


@pytest.mark.parametrize(("gone", "written", "found"), [([3], [], 2), ([1, 2, 3], [4, 5], 5)])
def test_training_may_remove_what_is_about_to_be_read(folder, monkeypatch, gone, written, found):
    """The folder is listed anew: what training has written meanwhile is taken."""

    def path_of(step):
        return folder / f"{step:08d}.npz"

    def save(*steps):
        for step in steps:
            write(path_of(step), [("step", np.array(step))], {})

    def read_late(path):
        if path == path_of(3):
            for step in gone:
                path_of(step).unlink()
            save(*written)
        return read(path)

    save(1, 2, 3)
    (folder / "model.json").write_text("{}")
    monkeypatch.setattr(checkpoint, "read", read_late)
    assert open_checkpoint(folder.parent).step == found
