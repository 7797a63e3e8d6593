"""The explorer's arithmetic, run by Node: seeds, the geometry of z, vectors as text."""

import base64
import io
import json
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from explorer_pages import EXPLORER, description
from PIL import Image, ImageSequence
from scipy.spatial import geometric_slerp

from dcgan.latent.noise import DISTRIBUTIONS, latents
from dcgan.latent.seeds import parse_seeds

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")


def node(body: str, **given):
    """Runs a function body with the explorer's modules and `given` in reach; what it returns."""
    modules = {"latent": "latent, philox", "space": "Space", "half": "pack, unpack", "face": "*"}
    modules["gif"] = "gif"
    lines = [
        f"import {'* as faces' if names == '*' else f'{{ {names} }}'} "
        f"from {json.dumps((EXPLORER / f'{name}.js').as_uri())};"
        for name, names in modules.items()
    ]
    lines += [f"const {name} = {json.dumps(value)};" for name, value in given.items()]
    lines += ["const numbers = (z) => Float32Array.from(z);"]
    lines += [f"console.log(JSON.stringify((() => {{ {body} }})()));"]
    done = subprocess.run(
        ["node", "--input-type=module", "-"],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_philox_gives_the_numbers_of_its_authors():
    # kat_vectors of Random123 (Salmon et al. 2011), philox4x32 with 10 rounds.
    ones = 0xFFFFFFFF
    found = node("return [0, ones].map((n) => philox([n, n, n, n], [n, n]));", ones=ones)
    assert found == [
        [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8],
        [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD],
    ]


def test_seeds_become_the_same_vectors_as_in_tensorflow():
    seeds = [0, 1, 7, 2**31 + 5, 2**53 + 1, 2**63 - 1, -1, -(2**63)]
    found = node(
        "return kinds.map((kind) => seeds.map((seed) => [...latent(BigInt(seed), 10, kind)]));",
        seeds=[*map(str, seeds)],
        kinds=DISTRIBUTIONS,
    )
    drawn = [latents(tf.constant(seeds, tf.int64), z_dim=10, z_dist=one) for one in DISTRIBUTIONS]
    np.testing.assert_allclose(found, drawn, rtol=0, atol=1e-6)


def test_vectors_are_written_as_little_endian_float16_in_base64url():
    random = np.random.default_rng(0)
    values = [0.0, -0.0, 1.0, -2.5, 65504, 1e9, 6e-8, 2e-8, 5.96e-8 / 2, 6.1e-5, 2048.5 / 2048]
    values += [1 + 2**-11, 1 + 3 * 2**-11, 2047.9999]  # ties to even, and a carry
    z = np.float32([*values, *random.normal(size=200), *(10.0 ** random.uniform(-8, 5, 200))])
    text, back = node(
        "const text = pack(numbers(z)); return [text, [...unpack(text)]];", z=z.tolist()
    )
    half = np.clip(z, -65504, 65504).astype("<f2")
    assert text == base64.urlsafe_b64encode(half.tobytes()).decode().rstrip("=")
    np.testing.assert_array_equal(np.float32(back), half.astype(np.float32))


def test_between_goes_along_the_sphere_for_normal_vectors_and_straight_for_others():
    random = np.random.default_rng(1)
    a, b = random.normal(size=(2, 16))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    body = (
        "const space = new Space(info);"
        "return [0, 0.25, 0.5, 1].map((t) => [...space.between(numbers(a), numbers(b), t)]);"
    )
    times = np.array([0, 0.25, 0.5, 1])
    given = {"a": a.tolist(), "b": b.tolist()}
    found = node(body, info=description(), **given)
    np.testing.assert_allclose(found, geometric_slerp(a, b, times), atol=1e-6)
    found = node(body, info=description(z_dist="uniform_signed"), **given)
    np.testing.assert_allclose(found, a + times[:, None] * (b - a), atol=1e-6)
    same = node(body, info=description(), a=given["a"], b=given["a"])  # no direction to go in
    np.testing.assert_allclose(same, [a] * 4, atol=1e-6)


def test_sums_keep_the_variance_and_the_range():
    a, b, c = np.random.default_rng(2).normal(size=(3, 16))
    body = (
        "const terms = zs.map((z, i) => ({ z: numbers(z), sign: signs[i] }));"
        "return [...new Space(info).sum(terms)];"
    )
    zs = [a.tolist(), b.tolist(), c.tolist()]
    found = node(body, info=description(), zs=zs, signs=[1, -1, 1])
    np.testing.assert_allclose(found, (a - b + c) / np.sqrt(3), atol=1e-6)
    assert node(body, info=description(), zs=zs[:1], signs=[1]) == np.float32(a).tolist()
    # 0.9 - 0.1 about the mean 1/2: 1/2 + (0.4 + 0.4) / sqrt(2) = 1.07, which nothing is drawn at.
    info = description(z_dist="uniform_unsigned")
    assert node(body, info=info, zs=[[0.9] * 16, [0.1] * 16], signs=[1, -1]) == [1.0] * 16


def test_a_slider_moves_along_its_direction_only():
    z = np.random.default_rng(3).uniform(0.3, 0.7, 16)
    info = description(z_dist="uniform_unsigned")
    found, before, after = node(
        "const space = new Space(info); const moved = space.moved(numbers(z), 2, 1.5);"
        "const all = (z) => info.directions.map((_, i) => space.along(z, i));"
        "return [[...moved], all(numbers(z)), all(moved)];",
        info=info,
        z=z.tolist(),
    )
    # The direction is the third axis; 1.5 deviations of 1 / sqrt(12) from the mean are 0.933.
    expected = np.where(np.arange(16) == 2, 0.5 + 1.5 / np.sqrt(12), z)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert after[2] == pytest.approx(1.5, abs=1e-5)
    np.testing.assert_allclose(np.delete(after, 2), np.delete(before, 2), atol=1e-5)


def test_neighbours_are_alike_at_first_and_less_so_later():
    z = np.random.default_rng(4).normal(size=100)
    near = node(
        "const space = new Space(info);"
        "return [0, 1, 40, 2000].map((n) => [...space.near(numbers(z), n)]);",
        info=description(z_dim=100),
        z=z.tolist(),
    )
    cosines = [np.dot(z, other) / np.linalg.norm(z) / np.linalg.norm(other) for other in near]
    assert cosines[0] > 0.9 and cosines[1] > 0.9 and near[0] != near[1]
    assert cosines[0] > cosines[2] > cosines[3]
    lengths = np.linalg.norm(near, axis=1) / np.sqrt(100)
    assert np.all((0.7 < lengths) & (lengths < 1.3))  # as long as what is drawn


def test_links_that_name_no_picture_are_refused_in_words():
    infinite = base64.urlsafe_b64encode(np.full(16, np.inf, "<f2").tobytes()).decode()
    says = {
        "seed=nine": "whole number",
        "seed=1.5": "whole number",
        "seed=9223372036854775808": "64 bits",
        "z=AAAAAAAA": "another model",
        "z=AAAA": "damaged",
        "z=%%%": "damaged",
        f"z={infinite}": "damaged",
        "face": "no seed",
    }
    said = node(
        "return keys.map((key) => { try { return [faces.fromKey(new Space(info), key)]; }"
        "catch (error) { return error.message; } });",
        info=description(),
        keys=[*says],
    )
    for key, words in zip(says, said, strict=True):
        assert isinstance(words, str) and says[key] in words, key


def test_keys_name_the_picture_they_are_made_from():
    found = node(
        "const space = new Space(info); const one = faces.edited(space, space.draw(7));"
        "const seeds = ['seed=7', 'seed=-1', 'seed=9223372036854775807'];"
        "return [one.key === faces.fromKey(space, one.key).key, one.key.length,"
        "  ...seeds.map((key) => faces.fromKey(space, key).key === key)];",
        info=description(),
    )
    assert found == [True, 2 + 43, True, True, True]  # 16 float16 are 32 bytes: 43 letters


def film(frames: np.ndarray) -> Image.Image:
    """The GIF of RGB frames [N, H, W, 3], opened by Pillow."""
    rgba = np.concatenate([frames, np.full((*frames.shape[:3], 1), 255)], -1)
    text = node(
        "const films = frames.map((data) => ({ data, width, height }));"
        "return Buffer.concat(gif(films, 60)).toString('base64');",
        frames=[one.ravel().tolist() for one in rgba],
        width=frames.shape[2],
        height=frames.shape[1],
    )
    return Image.open(io.BytesIO(base64.b64decode(text)))


@pytest.mark.parametrize("colours", [1, 2, 256])
def test_a_gif_goes_there_and_back_with_the_very_colours_of_few(colours):
    random = np.random.default_rng(0)
    # Of noise each pixel is a code of its own, so LZW's table is full and emptied several times.
    bins = random.choice(64**3, colours, replace=False)
    palette = 4 * np.stack([bins >> 12, bins >> 6 & 63, bins & 63], -1) + 1
    frames = palette[random.integers(0, colours, (4, 70, 90))]
    opened = film(frames)
    assert (opened.n_frames, opened.info["duration"], opened.info["loop"]) == (6, 60, 0)
    found = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(opened)]
    np.testing.assert_array_equal(found, [*frames, frames[2], frames[1]])


def test_a_gif_of_many_colours_comes_near_them():
    y, x = np.mgrid[:64, :64] * 4
    frame = np.stack([x, y, 255 - x], -1)[None]
    found = np.asarray(film(frame.repeat(2, 0)).convert("RGB")).astype(int)
    assert np.abs(found - frame).mean() < 8  # 256 colours for 4,096


def test_lists_of_seeds_are_those_of_the_command_line():

    last = "9223372036854775806-9223372036854775807"
    texts = ["7", "0-63", "1,5,9-20", " 3 , 1-2", "-3--1,4", last]
    found = node(
        "return texts.map((text) => { const ranges = faces.parseSeeds(text); const found = [];"
        "for (let i = 0; faces.seedAt(ranges, i) !== null; i++)"
        "  found.push(String(faces.seedAt(ranges, i)));"
        "return found; });",
        texts=texts,
    )
    expected = [parse_seeds(one, flag="seeds", at_most=100, negative=True) for one in texts]
    assert found == [list(map(str, seeds)) for seeds in expected]
