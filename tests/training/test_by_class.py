"""Training by class: labels come with their images, those of fakes are drawn as noise is.

Several replicas, and several steps a call, are in test_step.py.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from dcgan.datasets.pipeline import make_dataset
from dcgan.datasets.source import Labels
from dcgan.distributed.workers import Workers
from dcgan.latent.labels import ClassTable
from dcgan.latent.noise import training_noise
from dcgan.latent.sampling import make_sampler
from dcgan.models import Discriminator, Generator
from dcgan.models.classes import one_hot
from dcgan.training import input as input_module
from dcgan.training.by_class import MAX_ROWS, TrainingLabels, make_sample_grid
from dcgan.training.input import feed
from dcgan.training.losses import class_loss
from dcgan.training.state import GANState
from dcgan.training.step import ReplicaStep, StepOptions, make_step

BATCH, Z_DIM, SHAPE, CLASSES = 8, 4, (8, 8, 3), (3, 2)
NAMES = {"hair": ("black", "blue", "red"), "eyes": ("green", "grey")}
COUNT = 40


def labels() -> np.ndarray:
    """Of a seed's own, but for the third combination, which never occurs."""
    random = np.random.default_rng(2)
    found = np.stack([random.integers(0, n, COUNT) for n in CLASSES], 1).astype(np.int32)
    found[(found == [2, 1]).all(1), 1] = 0
    return found


def pictures() -> np.ndarray:
    """Each of one level, its number, but for a bright left edge."""
    levels = np.broadcast_to(np.arange(COUNT, dtype=np.uint8)[:, None, None, None], (COUNT, *SHAPE))
    found = levels.copy()
    found[:, :, 0] += 100
    return found


def make_state(**kwargs) -> GANState:
    common = {"width": 8, "classes": CLASSES, **kwargs}
    return GANState(
        Generator(SHAPE, z_dim=Z_DIM, seed=3, **common),
        Discriminator(SHAPE, seed=1003, **common),
        learning_rate=2e-3,
    )


OF_Z = {"z_dim": Z_DIM, "z_dist": "normal01"}
TABLE = ClassTable.of(NAMES, labels(), **OF_Z)


# --- from the data to the step


@pytest.mark.parametrize("share", [(0, 1), (0, 2), (1, 2)])
def test_each_image_comes_with_its_own_labels(share):
    order = {"batch_size": 8, "seed": 3, "start_step": 3, "flip": True, "share": share}
    plain = make_dataset(pictures(), **order).take(7)
    for batch, alone in zip(make_dataset((pictures(), labels()), **order), plain, strict=False):
        images, found = batch
        np.testing.assert_array_equal(images, alone)  # the order is that of unlabelled images
        np.testing.assert_array_equal(found, labels()[images.numpy()[:, 0, 4, 0]])
        assert found.dtype == tf.int32


def test_labels_reach_a_gpu_that_holds_the_images(monkeypatch):
    monkeypatch.setattr(input_module, "find_single_gpu", lambda strategy: "/CPU:0")
    order = {"batch_size": 8, "seed": 3, "flip": True}
    strategy = tf.distribute.get_strategy()
    batches, step = feed((pictures(), labels()), lambda batch: batch, strategy, **order)
    expected = make_dataset((pictures(), labels()), **order).take(6)
    for batch, wanted in zip(batches, expected, strict=False):
        for one, other in zip(step(batch), wanted, strict=True):
            np.testing.assert_array_equal(one, other)


def test_each_replica_of_a_worker_has_its_labels():
    """Two devices of one of two workers, whose share of 8 images they halve."""
    dataset = make_dataset((pictures(), labels()), batch_size=16, seed=1, share=(0, 2))

    class Strategy:
        num_replicas_in_sync = 4

        @staticmethod
        def distribute_datasets_from_function(function):
            return function(None)

    workers = Workers()
    workers.count = 2
    images, found = next(iter(workers.distribute(dataset, Strategy)))
    assert images.shape[0] == found.shape[0] == 4
    np.testing.assert_array_equal(found, labels()[images.numpy()[:, 0, 4, 0]])


def labelled(values: np.ndarray) -> SimpleNamespace:
    found = {name: Labels(values[:, i], NAMES[name]) for i, name in enumerate(NAMES)}
    return SimpleNamespace(labels=found)


def test_what_a_run_learns_is_told_apart():
    known = labelled(labels())
    both = TrainingLabels.of(known, NAMES, **OF_Z)
    hair = TrainingLabels.of(known, {"hair": NAMES["hair"]}, **OF_Z)
    assert both.values.tolist() == labels().tolist() and both.table.digest == TABLE.digest
    assert hair.values.tolist() == labels()[:, :1].tolist()
    none = TrainingLabels.of(known, {}, **OF_Z)
    assert none.with_labels("images") == "images" and none.meta() == {}
    assert both.meta() == {"labels": both.digest} != hair.meta()
    # Equally many of each class, but two images have changed places.
    swapped = labels()
    swapped[[0, 1]] = swapped[[1, 0]]
    assert (swapped != labels()).any()
    assert TrainingLabels.of(labelled(swapped), NAMES, **OF_Z).digest != both.digest


# --- the step


class Watched:
    """A network's stand-in that notes what it is shown."""

    def __init__(self, network, seen):
        self._network, self._seen = network, seen

    def __getattr__(self, name):
        return getattr(self._network, name)

    def __call__(self, images, labels=None, **kwargs):
        self._seen.append((images, labels))
        return self._network(images, labels=labels, **kwargs)


def take_step(state, rows, **recipe):
    options = StepOptions(BATCH, seed=5, **recipe)
    step = make_step(state, options, tf.distribute.get_strategy(), TABLE)
    return step((tf.constant(pictures()[rows]), tf.constant(labels()[rows])))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("update", "d_steps", "g_steps", "g_noise"),
    [
        ("alternating", 2, 2, "new"),
        ("alternating", 2, 2, "same"),
        ("simultaneous", 1, 1, "new"),
    ],
)
def test_every_image_is_judged_with_the_class_that_it_was_made_or_found_with(
    update, d_steps, g_steps, g_noise
):
    state, made, judged = make_state(), [], []
    state.generator = Watched(state.generator, made)
    state.discriminator = Watched(state.discriminator, judged)
    rows = np.random.default_rng(0).permutation(COUNT)[: BATCH * d_steps]
    take_step(state, rows, update=update, d_steps=d_steps, g_steps=g_steps, g_noise=g_noise)
    of_reals = [shown for shown in judged if np.ptp(shown[0][0, :, 1:].numpy()) == 0]  # one level
    assert len(of_reals) >= d_steps
    for k, (images, found) in enumerate(of_reals[:d_steps]):
        mine = rows[k::d_steps]
        np.testing.assert_allclose(images[:, 0, 4, 0], pictures()[mine, 0, 4, 0] / 127.5 - 1, 1e-5)
        np.testing.assert_array_equal(found, labels()[mine])
    fakes = [found for images, found in judged if np.ptp(images[0, :, 1:].numpy()) > 0]
    drawn = [found.numpy() for _, found in made]
    # Every draw but the last is judged in the discriminator's update; those of the generator's too.
    expected = [*drawn[:d_steps], *drawn[d_steps - 1 :]] if update == "alternating" else drawn
    np.testing.assert_array_equal([one.numpy() for one in fakes], expected)
    assert len(made) == d_steps + g_steps - 1
    for z, found in made:
        assert z.shape == (BATCH, Z_DIM)
        assert {tuple(row) for row in found.numpy()} <= {tuple(row) for row in TABLE.rows}
    # Labels are drawn apart from the noise, which is that of unlabelled runs.
    zero = tf.constant(0, tf.int64)
    noise = training_noise((BATCH, Z_DIM), seed=5, step=zero, draw=0, z_dist="normal01")
    np.testing.assert_array_equal(made[0][0], noise)
    same = g_noise == "same"
    if len(made) > 2:
        assert np.array_equal(drawn[1], drawn[2]) == same
        assert not np.array_equal(drawn[0], drawn[1])


def test_labels_of_fakes_are_the_datas_own_and_others_in_each_step():
    replica = ReplicaStep(None, StepOptions(BATCH, seed=5), 1, TABLE)
    steps = tf.range(40, dtype=tf.int64)
    drawn = np.stack([replica._labels(step, 0).numpy() for step in steps])
    assert len(np.unique(drawn.reshape(40, -1), axis=0)) == 40
    share = (drawn[..., 0] == 0).mean()
    # 320 draws: one standard deviation is at most 0.028.
    assert share == pytest.approx((labels()[:, 0] == 0).mean(), abs=0.1)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_the_class_loss_is_of_reals_in_one_loss_and_of_fakes_in_the_other(update):
    weight, made, scalars = 0.3, [], {}
    before = make_state()  # all states begin alike
    states = {weight: make_state(), 0.0: make_state()}
    for one, state in states.items():
        state.generator = Watched(state.generator, made)
        scalars[one] = take_step(state, slice(BATCH), update=update, class_loss=one)

    def losses(discriminator, images, given):
        how = {"labels": given, "training": True, "with_classes": True}
        logits, class_logits = discriminator(images, **how)
        return logits, tf.reduce_mean(class_loss(class_logits, one_hot(given, CLASSES), CLASSES))

    fakes = before.generator(made[0][0], labels=made[0][1], training=True)
    _, of_reals = losses(before.discriminator, pictures()[:BATCH] / 127.5 - 1, labels()[:BATCH])
    assert of_reals > 1  # log 3 + log 2 where nothing is known
    more = scalars[weight]["d_loss"] - scalars[0.0]["d_loss"]
    np.testing.assert_allclose(more, weight * of_reals, rtol=1e-4)
    # The generator is told what the updated discriminator says, where updates alternate.
    judge = states[weight].discriminator if update == "alternating" else make_state().discriminator
    logits, of_fakes = losses(judge, fakes, made[0][1])
    expected = tf.reduce_mean(tf.nn.softplus(-logits)) + weight * of_fakes
    np.testing.assert_allclose(scalars[weight]["g_loss"], expected, rtol=1e-4)
    # Both networks learn otherwise for it.
    for network in ("generator", "discriminator"):
        one, other = (getattr(states[w], network).trainable_variables for w in (weight, 0.0))
        assert any((a.numpy() != b.numpy()).any() for a, b in zip(one, other, strict=True))


@pytest.mark.usefixtures("eager")
def test_conditional_runs_repeat_and_resume_bit_for_bit():
    recipe = StepOptions(BATCH, seed=5, ema_decay=0.9, g_steps=2, g_noise="same")
    state = make_state(layout="carpedm20")
    step = make_step(state, recipe, tf.distribute.get_strategy(), TABLE)

    def train(start):
        order = {"batch_size": BATCH, "seed": 1, "start_step": start}
        for batch in make_dataset((pictures(), labels()), **order).take(1):
            step(batch)
        return state.arrays()

    middle, whole = train(0), train(1)
    state.assign(middle)
    for name, array in train(1).items():
        np.testing.assert_array_equal(array, whole[name], err_msg=name)


# --- grids


def test_a_grid_has_a_class_a_row_and_a_seed_a_column():
    cells = make_sample_grid(13, TABLE)
    assert cells.images_per_row == 4  # 13 // 3
    assert cells.seeds.tolist() == [0, 1, 2, 3] * 3
    assert cells.labels[:, 0].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    own = TABLE.of_seeds(tf.range(4, dtype=tf.int64)).numpy()[:, 1]
    assert cells.labels[:, 1].tolist() == [*own] * 3  # a column differs by one class alone
    plain = make_sample_grid(13, None)
    assert list(plain.seeds) == list(range(13)) and plain.images_per_row is plain.labels is None


def test_a_grid_of_very_many_classes_shows_the_first():
    many = ClassTable.of({"n": [str(i) for i in range(100)]}, np.arange(100)[:, None], **OF_Z)
    cells = make_sample_grid(64, many)
    assert cells.labels[:, 0].tolist() == [i for i in range(MAX_ROWS) for _ in range(4)]
    assert make_sample_grid(4, many).labels[:, 0].tolist() == [0, 1, 2, 3]


# --- samples


def test_samples_have_the_classes_of_their_seeds_or_those_asked_for():
    state = make_state()
    random = np.random.default_rng(0)
    for variable in state.averaged_generator.variables:
        if variable.name == "kernel":
            variable.assign(random.normal(0, 0.15, variable.shape))
    sample = make_sampler(state.sampler, **OF_Z, table=TABLE)
    seeds = list(range(70))
    own = TABLE.of_seeds(tf.constant(seeds, tf.int64)).numpy()
    np.testing.assert_array_equal(sample(seeds), sample(seeds, own))
    np.testing.assert_array_equal(sample(seeds[40:]), sample(seeds)[40:])
    others = np.tile(np.array([[1, 1]], np.int32), (70, 1))
    changed = (sample(seeds, others) != sample(seeds)).any((1, 2, 3))
    np.testing.assert_array_equal(changed, (own != others).any(1))
