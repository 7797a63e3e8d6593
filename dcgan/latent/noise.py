"""Random numbers as pure functions of their seeds: latent vectors and the noise of training.

All are drawn with the Philox algorithm, so that seed 7 is the same latent vector everywhere.
"""

from statistics import NormalDist

import tensorflow as tf

# The distributions of latent vectors, N(0, 1), U(-1, 1) and U(0, 1), by the names that runs and
# exported models have for them; with their quantile functions (inverse cumulative distributions).
QUANTILES = {
    "normal01": NormalDist().inv_cdf,
    "uniform_signed": lambda share: 2 * share - 1,
    "uniform_unsigned": lambda share: share,
}
DISTRIBUTIONS = tuple(QUANTILES)
DRAWS = 8  # latent vectors drawn at a time
# Takes the place of the step, which is never negative, in seeds of training's noise. With another
# number, every seed would give another image.
_SAMPLING = -1


def _draw(shape, seed: tf.Tensor, z_dist: str) -> tf.Tensor:
    """Draws float32 noise of one of `DISTRIBUTIONS` from a seed, int64 [2].

    It equals `tf.random.stateless_normal` and `stateless_uniform`, in fewer operations.
    """
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    how = {"shape": shape, "key": key, "counter": counter, "alg": tf.random.Algorithm.PHILOX.value}
    if z_dist == "normal01":
        return tf.raw_ops.StatelessRandomNormalV2(**how)
    low = -1.0 if z_dist == "uniform_signed" else 0.0
    return tf.raw_ops.StatelessRandomUniformV2(**how) * (1.0 - low) + low


def latents(seeds: tf.Tensor, *, z_dim: int, z_dist: str) -> tf.Tensor:
    """Draws a latent vector from each of N integer seeds: float32 [N, z_dim].

    Row i depends only on seeds[i]; `z_dist` is one of `DISTRIBUTIONS`.
    """
    seeds = tf.cast(seeds, tf.int64)
    count = tf.shape(seeds)[0]
    # One iteration takes longer than one draw, so each draws several; the last is padded.
    filled = tf.pad(seeds, [[0, -count % DRAWS]])
    pairs = tf.stack([filled, tf.fill(tf.shape(filled), tf.constant(_SAMPLING, tf.int64))], 1)
    z = tf.map_fn(
        lambda some: tf.stack([_draw([z_dim], pair, z_dist) for pair in tf.unstack(some)]),
        tf.reshape(pairs, (-1, DRAWS, 2)),
        fn_output_signature=tf.TensorSpec([DRAWS, z_dim], tf.float32),
    )
    return tf.reshape(z, (-1, z_dim))[:count]


def training_noise(
    shape: tuple[int, int], *, seed: int, step: tf.Tensor, draw: int, z_dist: str
) -> tf.Tensor:
    """Draws latent vectors for a training step, float32 [images of all replicas, z_dim].

    The seed is the run's, below 2**31; `step` is an int64 scalar, `draw` the number of the draw
    within the step, from 0.
    """
    return _draw(shape, draw_seed(seed, step, draw), z_dist)


def draw_seed(seed: int, step: tf.Tensor, draw: int) -> tf.Tensor:
    """Returns the seed, int64 [2], of one draw of one training step; see `training_noise`.

    Computed in another way, resumed runs would go on differently.
    """
    return tf.stack([tf.constant(seed + (draw << 32), tf.int64), step])
