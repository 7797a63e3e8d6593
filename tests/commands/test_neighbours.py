"""Nearest training images: exact, told apart from copies, drawn and written down."""

import json

import numpy as np
import pytest
from arrays import places
from learnt import copying_run
from PIL import Image
from running import command, content
from scipy.spatial.distance import cdist
from toy_run import toy_run

from dcgan import images
from dcgan.evaluation import nearest

SHAPE = (6, 5, 3)


def pictures(count: int, seed: int = 0, shape=SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def search(generated, reals, *, k=3, flip=False) -> nearest.NearestImages:
    return nearest.find(generated, reals, [nearest.pixel_space(SHAPE)], k=k, flip=flip)[0]


def rms(one, other) -> np.ndarray:
    """Root mean square differences [N, M], by scipy."""
    flat = [a.reshape(len(a), -1).astype(np.float64) for a in (one, other)]
    return cdist(*flat) / np.sqrt(np.prod(SHAPE))


# --- the search


def test_it_finds_what_a_full_table_of_distances_says():
    generated, reals = pictures(7, 1), pictures(150)
    found = search(generated, reals)
    table = rms(generated, reals)
    np.testing.assert_array_equal(found.rows, table.argsort(1)[:, :3])
    np.testing.assert_allclose(found.distances, np.sort(table, 1)[:, :3])
    np.testing.assert_allclose(
        found.relative, table.min(1) / np.sort(table, 1)[:, : nearest.CROWD].mean(1)
    )
    # Usual: of 64 reals, evenly chosen, the distance to the nearest other one.
    chosen = np.linspace(0, 149, 64).round().astype(int)
    among = rms(reals[chosen], reals)
    among[np.arange(64), chosen] = np.inf
    assert found.usual == pytest.approx(np.median(among.min(1)))
    assert found.suspects().tolist() == [] and not found.mirrored.any()


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_the_size_of_the_blocks_does_not_show(monkeypatch, block):
    generated, reals = pictures(5, 1), pictures(60)
    reals[[3, 20, 41]] = reals[9]  # equally near
    expected = search(generated, reals, k=4)
    told = []
    monkeypatch.setattr(nearest, "BLOCK", block)
    space = [nearest.pixel_space(SHAPE)]
    found = nearest.find(generated, reals, space, k=4, progress=told.append)[0]
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.distances, expected.distances)
    assert sum(told) == 60


def test_copies_are_suspects_and_others_are_not():
    reals = pictures(80)
    near = reals[17].astype(int)
    near[0, 0] += np.where(near[0, 0] < 128, 9, -9)
    generated = np.stack([pictures(1, 1)[0], reals[40], near.astype(np.uint8)])
    found = search(generated, reals)
    assert found.suspects().tolist() == [1, 2]
    assert found.rows[1:, 0].tolist() == [40, 17]
    assert found.distances[1, 0] == 0.0
    # Three of the 90 numbers differ by 9: sqrt(3 * 81 / 90).
    assert found.distances[2, 0] == pytest.approx(np.sqrt(2.7))


def test_a_picture_that_the_data_hold_many_times_is_a_copy_too():
    reals = np.repeat(pictures(2), 60, axis=0)
    found = search(reals[:1], reals)
    assert found.suspects().tolist() == [0] and found.relative[0] == 0.0


def test_a_mirrored_copy_counts_where_training_mirrors():
    reals = pictures(80)
    generated = reals[[40]][:, :, ::-1]
    assert search(generated, reals).suspects().tolist() == []
    found = search(generated, reals, flip=True)
    assert (found.rows[0, 0], found.mirrored[0, 0], found.distances[0, 0]) == (40, True, 0.0)
    assert len(set(found.rows[0])) == 3  # an image and its mirror image are one neighbour


def test_few_images_are_enough():
    found = search(pictures(2, 1), pictures(2), k=2)
    assert np.isfinite(found.distances).all() and np.isfinite(found.usual)


def test_feature_distances_do_not_depend_on_the_length():
    """Of vectors at right angles the distance is sqrt(2), at 60 degrees 1."""
    space = nearest.feature_space(lambda pixels: pixels.reshape(len(pixels), -1)[:, :2])
    vectors = np.array([[200, 0], [0, 3], [50, 0]], np.uint8)
    found = space.embed(vectors[:, np.newaxis, :, np.newaxis])
    np.testing.assert_allclose(found, [[1, 0], [0, 1], [1, 0]])
    assert np.isfinite(space.embed(np.zeros((1, 1, 2, 1), np.uint8))).all()


# --- the command


@pytest.mark.parametrize("flip", [False, True])
def test_a_generator_that_only_copies_is_found_out(tmp_path, capsys, flip):
    seeds = [*range(100, 170), 0, 1, 2]
    run_root = copying_run(tmp_path, seeds, shape=(16, 24, 1), flip=flip)
    before = content(run_root)
    assert command("neighbours", "--run_dir", run_root, "--seeds", "0-4", "--k", 2) == 0
    output = capsys.readouterr().out
    assert "In pixels: " in output and "3 of 5 may be copies: seeds 0, 1, 2." in output
    assert "An image may be a copy if" in output
    folder = run_root / "generated"
    notes = json.loads((folder / "neighbours.json").read_text())
    assert notes["training_images"] == 73 and notes["step"] == 1234
    assert notes["spaces"]["pixels"]["suspects"] == [0, 1, 2]
    for seed, entry in enumerate(notes["images"]):
        assert entry["seed"] == seed
        for space in ("pixels", "features"):
            nearest_ones = entry[space]["nearest"]
            distances = [one["distance"] for one in nearest_ones]
            assert len(distances) == 2 and distances == sorted(distances)
            if seed < 3:
                assert distances[0] == pytest.approx(0, abs=1e-6)
                assert nearest_ones[0]["image"] == 70 + seed
                assert nearest_ones[0]["mirrored"] == flip
    with Image.open(folder / "neighbours.png") as picture:
        assert picture.info["Comment"].startswith("made by dcgan: neighbours --seeds 0-4")
    assert before == {k: v for k, v in content(run_root).items() if "generated/" not in k}


def test_the_picture_shows_the_image_and_its_copy(tmp_path):
    run_root = copying_run(tmp_path, [*range(100, 170), 0])
    to = tmp_path / "near.png"
    line = ("neighbours", "--run_dir", run_root, "--seeds", "0", "--k", "1", "--to", to)
    assert command(*line) == 0
    own = images.read_png(run_root.parent / "pictures" / "070.png")
    # 16 pixels enlarged to 96; three times in a row: generated, in pixels, in features.
    found = places(images.read_png(to), own, 6)
    assert len(found) == 3 and len({top for top, _ in found}) == 1


def test_a_run_that_does_not_say_what_it_learnt_from_is_refused(tmp_path, capsys):
    run_root = toy_run(tmp_path / "run")  # its config.json does not say what it was trained on
    assert command("neighbours", "--run_dir", run_root) == 2
    assert "names no data_dir" in capsys.readouterr().err
    assert not (run_root / "generated").exists()
