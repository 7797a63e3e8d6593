"""Random numbers as pure functions of their seeds: latent vectors, and training's noise.

All by the Philox algorithm, so that seed 7 is the same latent vector everywhere.
"""

import tensorflow as tf

# What latent vectors may be drawn from: N(0, 1), U(-1, 1) and U(0, 1).
DISTRIBUTIONS = ("normal01", "uniform_signed", "uniform_unsigned")
DRAWS = 8  # latent vectors at a time
_SAMPLING = -1  # where training's noise has the step, which is never negative


def _draw(shape, seed: tf.Tensor, z_dist: str) -> tf.Tensor:
    """float32 noise of one of `DISTRIBUTIONS` from a seed int64 [2].

    As `tf.random.stateless_normal` and `stateless_uniform` draw it, in fewer operations.
    """
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    how = {"shape": shape, "key": key, "counter": counter, "alg": tf.random.Algorithm.PHILOX.value}
    if z_dist == "normal01":
        return tf.raw_ops.StatelessRandomNormalV2(**how)
    low = -1.0 if z_dist == "uniform_signed" else 0.0
    return tf.raw_ops.StatelessRandomUniformV2(**how) * (1.0 - low) + low


def latents(seeds: tf.Tensor, *, z_dim: int, z_dist: str) -> tf.Tensor:
    """The latent vectors of seeds int64 [N], of one of `DISTRIBUTIONS`.

    float32 [N, z_dim]; row i depends on seeds[i] only.
    """
    seeds = tf.cast(seeds, tf.int64)
    count = tf.shape(seeds)[0]
    # A turn of the loop takes longer than a draw, so each draws several; the last is filled up.
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
    """The noise of one draw of one training step.

    Args:
        shape: (images of all replicas together, z_dim).
        seed: of the run, below 2**31.
        step: int64 scalar.
        draw: which of the step's draws, from 0.
    """
    return _draw(shape, draw_seed(seed, step, draw), z_dist)


def draw_seed(seed: int, step: tf.Tensor, draw: int) -> tf.Tensor:
    """int64 [2], of one draw of one training step; see `training_noise`."""
    return tf.stack([tf.constant(seed + (draw << 32), tf.int64), step])
