"""Ways and sums in latent space, against hand calculation and scipy."""

import numpy as np
import pytest
from scipy.spatial import geometric_slerp

from dcgan import UserError
from dcgan.latent.paths import (
    METHODS,
    arithmetic,
    average,
    lerp,
    natural_method,
    slerp,
    surround,
    walk,
)
from dcgan.latent.seeds import format_seeds, parse_seeds, parse_terms

RANDOM = np.random.default_rng(0)


def vectors(count: int, z_dim: int = 100) -> np.ndarray:
    return RANDOM.normal(size=(count, z_dim)).astype(np.float32)


# --- ways


def test_lerp_by_hand():
    """(1 - 1/4) (4, 0) + 1/4 (0, 8) = (3, 2)."""
    found = lerp([4.0, 0.0], [0.0, 8.0], [0.25, 0.5])
    np.testing.assert_allclose(found, [[3, 2], [2, 4]])
    assert found.dtype == np.float32


def test_slerp_by_hand():
    """A quarter circle: a third of the way is at 30 degrees, (sqrt(3)/2, 1/2)."""
    found = slerp([1.0, 0.0], [0.0, 1.0], [1 / 3, 0.5])
    np.testing.assert_allclose(found, [[3**0.5 / 2, 0.5], [0.5**0.5] * 2], rtol=1e-6)
    # Twice as long, it is the same way twice as far out.
    np.testing.assert_allclose(slerp([2.0, 0.0], [0.0, 2.0], [1 / 3, 0.5]), 2 * found, rtol=1e-6)


def test_slerp_agrees_with_scipys():
    one, other = (v / np.linalg.norm(v) for v in vectors(2).astype(np.float64))
    t = np.linspace(0, 1, 9)
    np.testing.assert_allclose(slerp(one, other, t), geometric_slerp(one, other, t), atol=1e-6)


@pytest.mark.parametrize("along", METHODS.values())
def test_a_way_begins_and_ends_on_exactly_what_it_was_given(along):
    one, other = vectors(2)
    found = along(one, other, [0.0, 0.3, 1.0])
    assert found[0].tobytes() == one.tobytes() and found[2].tobytes() == other.tobytes()


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0, -3.0, 1.0 + 1e-7, 0.0])
def test_slerp_is_straight_where_there_is_no_one_way_around(factor):
    one = vectors(1)[0]
    found = slerp(one, factor * one, [0.0, 0.25, 1.0])
    np.testing.assert_allclose(found[1], (0.75 + 0.25 * factor) * one, rtol=1e-4, atol=1e-6)
    assert np.isfinite(found).all()


def test_the_natural_way_depends_on_where_z_is_from():
    assert [natural_method(d) for d in ("normal01", "uniform_signed", "uniform_unsigned")] == [
        *("slerp", "linear", "linear")
    ]
    cube = RANDOM.uniform(-1, 1, (2, 100))
    assert np.abs(lerp(*cube, np.linspace(0, 1, 9))).max() <= 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("count", "frames"), [(2, 1), (2, 5), (4, 3)])
def test_a_walk_passes_through_its_points(method, count, frames):
    points = vectors(count)
    open_walk = walk(points, frames, method=method)
    assert open_walk.shape == ((count - 1) * frames + 1, 100)
    np.testing.assert_array_equal(open_walk[::frames], points)
    loop = walk(points, frames, method=method, loop=True)
    assert loop.shape == (count * frames, 100) and loop.dtype == np.float32
    np.testing.assert_array_equal(loop[::frames], points)
    np.testing.assert_array_equal(loop[: len(open_walk) - 1], open_walk[:-1])
    # The last leg goes back: one more step would be the first point.
    back = METHODS[method](points[-1], points[0], np.arange(frames + 1) / frames)
    np.testing.assert_array_equal(loop[-frames:], back[:-1])


# --- sums


def test_sums_of_averages_by_hand():
    """(1 + 3)/2 - 10 + (2 + 4 + 6)/3 = -4."""
    terms = [(1, [[1.0], [3.0]]), (-1, [[10.0]]), (1, [[2.0], [4.0], [6.0]])]
    assert arithmetic(terms).tolist() == [-4.0]
    assert average(np.array([[1.0, 2.0], [3.0, 8.0]])).tolist() == [2.0, 5.0]


def test_what_is_added_and_taken_away_leaves_what_was():
    one, two, three = vectors(9).reshape(3, 3, 100)
    assert arithmetic([(1, one[:1])]).tobytes() == one[0].tobytes()
    assert not arithmetic([(1, one), (-1, one)]).any()
    found = arithmetic([(1, one), (-1, two), (1, three)])
    np.testing.assert_allclose(found, average(one) - average(two) + average(three), atol=1e-6)


def test_the_result_stands_in_the_middle_of_its_neighbours():
    z, noise = vectors(1)[0], RANDOM.uniform(-1, 1, (8, 100))
    found = surround(z, noise, scale=0.25)
    assert found.shape == (9, 100) and found.dtype == np.float32
    assert found[4].tobytes() == z.tobytes()
    apart = np.delete(found, 4, 0) - z
    np.testing.assert_allclose(apart, noise / 4, atol=1e-6)
    np.testing.assert_array_equal(surround(z, noise, scale=0.0), [z] * 9)


# --- seeds as users write them


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("7", [7]),
        ("1,5,9-12", [1, 5, 9, 10, 11, 12]),
        (" 3 , 3, 2-2", [3, 3, 2]),
        ("9223372036854775806-9223372036854775807", [2**63 - 2, 2**63 - 1]),
    ],
)
def test_seed_lists(text, seeds):
    assert parse_seeds(text, flag="--seeds", at_most=9) == seeds


@pytest.mark.parametrize("text", ["7", "1,5,9-12", "3,3,2", "2-4,4-5,1", "9-10,9"])
def test_seeds_are_written_as_they_are_read(text):
    assert format_seeds(parse_seeds(text, flag="--seeds", at_most=9)) == text


@pytest.mark.parametrize(
    "text",
    ["", ",", "1,", "a", "1-", "-1", "5-2", "1.5", "1--2", "1 2", "9223372036854775808", "٣"],
)
def test_what_is_no_seed_list_is_refused(text):
    with pytest.raises(UserError, match=r"--seeds must be seeds such as 1,5,9-20.*received"):
        parse_seeds(text, flag="--seeds", at_most=9)


@pytest.mark.parametrize(
    ("text", "words"),
    [("1-10", "received 10: give fewer"), ("0-9223372036854775807", "give fewer"), ("1", "more")],
)
def test_too_many_and_too_few_seeds_are_refused_at_once(text, words):
    with pytest.raises(UserError, match="--seeds must be 2 to 9 seeds;.*" + words):
        parse_seeds(text, flag="--seeds", at_least=2, at_most=9)


@pytest.mark.parametrize("text", ["+3,8,12 -4 +5-6", "3,8,12   -4\t+5-6 "])
def test_terms(text):
    expected = [(1, [3, 8, 12]), (-1, [4]), (1, [5, 6])]
    assert parse_terms(text, flag="--terms", at_most=3) == expected


@pytest.mark.parametrize("text", ["", " ", "+", "+1 2", "1, 2", "+-1", "+1 * 2", "+1 -2 +3 -4 +5"])
def test_what_are_no_terms_is_refused(text):
    with pytest.raises(UserError, match="--terms must be "):
        parse_terms(text, flag="--terms", at_most=4)
