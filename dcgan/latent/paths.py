"""Paths and sums in latent space: pure functions from latent vectors to latent vectors.

A latent vector is float32 [z_dim]. Everything is computed in float64 and rounded once, so that a
path begins and ends exactly at the given vectors.
"""

from collections.abc import Callable, Sequence

import numpy as np

# Below this sine of the angle, two vectors count as parallel: no single path on the sphere.
_LEAST_SINE = 1e-6


def lerp(first: np.ndarray, last: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Interpolates on a line: (1 - t) first + t last for t [T] in [0, 1], float32 [T, z_dim]."""
    t = np.asarray(t, np.float64)
    return _mix(first, last, 1.0 - t, t)


def slerp(first: np.ndarray, last: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Interpolates along a sphere: sin((1 - t) a) / sin a first + sin(t a) / sin a last.

    `a` is the angle between the two, t [T] is in [0, 1]; returns float32 [T, z_dim]. The line is
    straight if both point in the same or in opposite directions.

    Sources: Shoemake 1985, "Animating rotation with quaternion curves", for vectors of length 1;
    White 2016, "Sampling generative networks" (arXiv 1609.04468), for latent vectors. Normal
    vectors nearly all have the length sqrt(z_dim); a straight line between two of them passes
    through shorter ones, which the generator has hardly seen.
    """
    t = np.asarray(t, np.float64)
    one, other = np.asarray(first, np.float64), np.asarray(last, np.float64)
    length = np.linalg.norm(one) * np.linalg.norm(other)
    angle = np.arccos(np.clip(one @ other / length, -1.0, 1.0)) if length else 0.0
    sine = np.sin(angle)
    if sine < _LEAST_SINE:
        return lerp(first, last, t)
    return _mix(first, last, np.sin((1.0 - t) * angle) / sine, np.sin(t * angle) / sine)


def _mix(first, last, of_first: np.ndarray, of_last: np.ndarray) -> np.ndarray:
    first, last = np.asarray(first, np.float64), np.asarray(last, np.float64)
    return (np.outer(of_first, first) + np.outer(of_last, last)).astype(np.float32)


# Ways to interpolate, by their names on the command line.
METHODS: dict[str, Callable] = {"slerp": slerp, "linear": lerp}


def natural_method(z_dist: str) -> str:
    """Returns the method whose paths stay where the generator was trained, for this distribution.

    Normal vectors lie near a sphere. Uniform vectors fill a cube, which contains every straight
    line between two of its points.
    """
    return "slerp" if z_dist == "normal01" else "linear"


def walk(points: np.ndarray, frames: int, *, method: str, loop: bool = False) -> np.ndarray:
    """Walks from each of P >= 2 points, [P, z_dim], to the next in steps of 1 / `frames`.

    Returns float32 [(P - 1) frames + 1, z_dim], which ends at the last point; with `loop` float32
    [P frames, z_dim], which ends just before the first point. `method` is a key of `METHODS`.
    """
    along, t = METHODS[method], np.arange(frames) / frames
    legs = [along(one, other, t) for one, other in zip(points[:-1], points[1:], strict=True)]
    last = along(points[-1], points[0], t) if loop else points[-1:]
    return np.concatenate([*legs, last]).astype(np.float32)


def average(z: np.ndarray) -> np.ndarray:
    """Computes the mean of latent vectors [N, z_dim]: float32 [z_dim]."""
    return np.asarray(z, np.float64).mean(0).astype(np.float32)


def arithmetic(terms: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """Adds averages of latent vectors [N, z_dim], each with a sign, 1 or -1: float32 [z_dim].

    Radford et al. 2015, figure 7, average three examples of each concept, as single ones are
    unstable. The sum of three such averages of normal vectors has the usual length.
    """
    total = sum(sign * np.asarray(z, np.float64).mean(0) for sign, z in terms)
    return total.astype(np.float32)


def surround(z: np.ndarray, noise: np.ndarray, *, scale: float = 0.25) -> np.ndarray:
    """Surrounds a vector with eight neighbours, as in Radford et al. 2015, figure 7.

    `noise` is [8, z_dim] in [-1, 1]. Returns float32 [9, z_dim], the rows of a block of 3 x 3 with
    `z` in the middle.
    """
    neighbours = (np.asarray(z, np.float64) + scale * np.asarray(noise)).astype(np.float32)
    return np.insert(neighbours, 4, z, axis=0)
