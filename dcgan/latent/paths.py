"""Ways and sums in latent space: pure functions from latent vectors to latent vectors.

A latent vector is float32 [z_dim]. Everything is computed in float64 and rounded once, so that a
way begins and ends on exactly the vectors it was given.
"""

from collections.abc import Callable, Sequence

import numpy as np

# Nearer than this to the same or to opposite directions there is no one way along the sphere.
_LEAST_SINE = 1e-6


def lerp(first: np.ndarray, last: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The straight way float32 [T, z_dim]: (1 - t) first + t last, t [T] in [0, 1]."""
    t = np.asarray(t, np.float64)
    return _mixed(first, last, 1.0 - t, t)


def slerp(first: np.ndarray, last: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The way along the sphere: sin((1 - t) a) / sin a first + sin(t a) / sin a last.

    `a` is the angle between the two. Shoemake 1985, "Animating rotation with quaternion curves",
    for vectors of length 1; White 2016, "Sampling generative networks" (arXiv 1609.04468), for
    latent vectors: normal ones have nearly one length, sqrt(z_dim), and the straight way between
    two of them passes through shorter ones, which the generator has hardly seen.

    Where both point in the same or in opposite directions, the way is straight.
    """
    t = np.asarray(t, np.float64)
    one, other = np.asarray(first, np.float64), np.asarray(last, np.float64)
    length = np.linalg.norm(one) * np.linalg.norm(other)
    angle = np.arccos(np.clip(one @ other / length, -1.0, 1.0)) if length else 0.0
    sine = np.sin(angle)
    if sine < _LEAST_SINE:
        return lerp(first, last, t)
    return _mixed(first, last, np.sin((1.0 - t) * angle) / sine, np.sin(t * angle) / sine)


def _mixed(first, last, of_first: np.ndarray, of_last: np.ndarray) -> np.ndarray:
    first, last = np.asarray(first, np.float64), np.asarray(last, np.float64)
    return (np.outer(of_first, first) + np.outer(of_last, last)).astype(np.float32)


# By their names on the command line.
METHODS: dict[str, Callable] = {"slerp": slerp, "linear": lerp}


def natural_method(z_dist: str) -> str:
    """The way that stays where the generator was trained, by what its z is drawn from.

    Normal vectors lie near a sphere; uniform ones fill a cube, which holds every straight way
    between two of its points.
    """
    return "slerp" if z_dist == "normal01" else "linear"


def walk(points: np.ndarray, frames: int, *, method: str, loop: bool = False) -> np.ndarray:
    """A way from each of points [P, z_dim], P >= 2, to the next.

    `frames` are vectors from one point to the next, the first point counted and the next not.
    Returns float32 [(P - 1) frames + 1, z_dim], which ends on the last point; with `loop`, which
    goes back to the first point, [P frames, z_dim], after whose last vector the first one follows.
    """
    along, t = METHODS[method], np.arange(frames) / frames
    legs = [along(one, other, t) for one, other in zip(points[:-1], points[1:], strict=True)]
    last = along(points[-1], points[0], t) if loop else points[-1:]
    return np.concatenate([*legs, last]).astype(np.float32)


def average(z: np.ndarray) -> np.ndarray:
    """The mean of latent vectors [N, z_dim]: float32 [z_dim]."""
    return np.asarray(z, np.float64).mean(0).astype(np.float32)


def arithmetic(terms: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """The sum of averages of (1 or -1, latent vectors [N, z_dim]): Radford et al. 2015, figure 7.

    There, as here, three examples stand for an idea, since single ones are unstable, and the sum is
    not scaled. With normal z, three terms of three vectors each have by themselves the length that
    the generator knows: the variance of a component is 3 x 1/3.
    """
    total = sum(sign * np.asarray(z, np.float64).mean(0) for sign, z in terms)
    return total.astype(np.float32)


def around(z: np.ndarray, noise: np.ndarray, *, scale: float = 0.25) -> np.ndarray:
    """A vector among eight neighbours, as the paper's figure 7 shows it.

    `noise` [8, z_dim] in [-1, 1] is uniform in the paper, its scale 0.25. Returns float32 [9,
    z_dim]: row by row a block of 3 x 3 with `z` in the middle.
    """
    neighbours = (np.asarray(z, np.float64) + scale * np.asarray(noise)).astype(np.float32)
    return np.insert(neighbours, 4, z, axis=0)
