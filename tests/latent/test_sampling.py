"""Seeds to latents to images: the same everywhere, and nothing is moved by looking."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import scrambled

from dcgan.latent.noise import draw_seed, latents, training_noise
from dcgan.latent.sampling import BATCH_SIZE, in_batches, make_sampler
from dcgan.models import Generator
from dcgan.models.discriminator import _LAYER_BITS as bits
from dcgan.training.step import _DROPOUT


def draw(seeds, z_dim=5, z_dist="normal01"):
    return latents(tf.constant(seeds, tf.int64), z_dim=z_dim, z_dist=z_dist).numpy()


# --- the mapping, computed here without TensorFlow


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3")."""
    low = 2**32 - 1
    for _ in range(10):
        one, two = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [
            two >> 32 ^ counter[1] ^ key[0],
            two & low,
            one >> 32 ^ counter[3] ^ key[1],
            one & low,
        ]
        key = [key[0] + 0x9E3779B9 & low, key[1] + 0xBB67AE85 & low]
    return counter


def uniforms(first, second, count):
    """TensorFlow's [0, 1) of a stateless seed: scrambled once, then 23 bits of each word."""
    low = 2**32 - 1
    words = [w for s in (first % 2**64, second % 2**64) for w in (s & low, s >> 32)]
    scrambled = philox(words, [0x3EC8F720, 0x02461E29])
    words = [
        w for i in range(-(-count // 4)) for w in philox([i, 0, *scrambled[2:]], scrambled[:2])
    ]
    return np.array([(w & 2**23 - 1) / 2**23 for w in words])


def normals(first, second, count):
    """Box and Muller's: of each pair the sine, then the cosine."""
    one, two = uniforms(first, second, count).reshape(-1, 2).T
    radius, angle = np.sqrt(-2 * np.log(np.maximum(one, 1e-7))), 2 * np.pi * two
    return np.stack([radius * np.sin(angle), radius * np.cos(angle)], 1).ravel()[:count]


@pytest.mark.parametrize("seed", [0, 7, 2**40 + 1, -3])
@pytest.mark.parametrize("z_dim", [1, 5, 100])
def test_latents_are_philox(seed, z_dim):
    uniform = uniforms(seed, -1, z_dim)[:z_dim]
    np.testing.assert_allclose(draw([seed], z_dim)[0], normals(seed, -1, z_dim), atol=1e-5)
    np.testing.assert_allclose(draw([seed], z_dim, "uniform_signed")[0], 2 * uniform - 1, atol=1e-6)
    np.testing.assert_allclose(draw([seed], z_dim, "uniform_unsigned")[0], uniform, atol=1e-6)


def test_training_noise_is_philox():
    noise = training_noise((4, 7), seed=3, step=tf.constant(9, tf.int64), draw=2, z_dist="normal01")
    np.testing.assert_allclose(noise, normals(3 + 2 * 2**32, 9, 28).reshape(4, 7), atol=1e-5)


def test_seed_7_is_pinned():
    """Written down once: pictures that people have made must not change."""
    pinned = {
        "normal01": [-0.4537165, 0.8337498, 1.2673328, 0.0894192, 1.381161],
        "uniform_signed": [0.2746205, 0.8413639, -0.1076679, -0.5224218, -0.9231539],
        "uniform_unsigned": [0.6373103, 0.9206820, 0.4461660, 0.2387891, 0.0384231],
    }
    for z_dist, values in pinned.items():
        np.testing.assert_allclose(draw([7], 5, z_dist), [values], atol=1e-6)


# --- latents


def test_no_two_runs_draw_the_same():
    """Philox takes different seeds to different streams, so it is enough that the seeds differ."""
    # The last ones of --d_steps 100 --g_steps 100 are 199 and 299.
    draws = [0, 1, 199, *(_DROPOUT + number for number in (0, 1, 299))]
    seeds = [
        tuple(draw_seed(seed, tf.constant(step, tf.int64), draw).numpy() + [layer << bits, 0])
        for seed in (0, 1, 20, 2**30, 2**31 - 1)
        for step in (0, 1, 10**9)
        for draw in draws
        for layer in range(8 if draw >= _DROPOUT else 1)
    ]
    assert len(set(seeds)) == len(seeds) == 5 * 3 * (3 + 3 * 8)


# --- images


@pytest.fixture(scope="module")
def generator():
    """Its weights are larger than new ones, so that seeds give visibly different images."""
    network = Generator((9, 8, 3), z_dim=5, width=8)
    network.build()
    return scrambled(network)


@pytest.fixture(scope="module")
def sample(generator):
    return make_sampler(generator, z_dim=5, z_dist="normal01")


def test_a_seed_is_the_same_image_in_any_company(sample):
    count = BATCH_SIZE + 3  # two batches, the second filled up
    images = sample(range(count))
    assert images.shape == (count, 9, 8, 3) and images.dtype == np.uint8
    assert len({image.tobytes() for image in images}) == count
    np.testing.assert_array_equal(sample(range(count - 1, -1, -1)), images[::-1])
    np.testing.assert_array_equal(sample([66, 2]), images[[66, 2]])
    np.testing.assert_array_equal(sample([2] * 5), images[[2] * 5])
    for seed in (0, 63, 64):
        np.testing.assert_array_equal(sample([seed]), images[[seed]])


def test_an_image_is_the_generators(sample, generator):
    outputs = generator(draw([4, 5]), training=False).numpy().astype(np.float64)
    levels = (outputs + 1) * 127.5
    assert np.abs(sample([4, 5]) - levels).max() <= 0.5 + 1e-3  # the nearest of 256


def test_samples_follow_the_training(generator, sample):
    """The function is compiled once but reads the weights of the moment."""
    before = sample([1])
    bias = generator.deconvs[-1].bias
    old = keras.ops.convert_to_numpy(bias)
    bias.assign(old + 1.0)
    try:
        assert (sample([1]) >= before).all() and (sample([1]) > before).any()
    finally:
        bias.assign(old)


def test_levels_are_rounded_to_the_nearest():
    """(x + 1) * 127.5: -1 is 0, 1 is 255; 0.2 is 153; 0.206 is 153.765, so 154."""
    calls = []

    def generator(z, training):
        calls.append(training)
        return tf.ones((z.shape[0], 1, 1, 1)) * tf.constant([-1.0, 1.0, 0.2, 0.206, 0.2035])

    images = make_sampler(generator, z_dim=2, z_dist="normal01")([1, 2])
    assert images[0].ravel().tolist() == images[1].ravel().tolist() == [0, 255, 153, 154, 153]
    assert calls == [False]


@pytest.mark.parametrize("count", [1, BATCH_SIZE - 1, BATCH_SIZE, BATCH_SIZE + 1, 3 * BATCH_SIZE])
def test_batches_have_one_size_and_lose_nothing(count):
    sizes = []

    def double(rows):
        sizes.append(len(rows))
        return [2 * rows]

    told = []
    (found,) = in_batches(double, np.arange(count), progress=told.append)
    assert found.tolist() == list(range(0, 2 * count, 2)) and sum(told) == count
    assert set(sizes) == {BATCH_SIZE} and len(sizes) == -(-count // BATCH_SIZE)
