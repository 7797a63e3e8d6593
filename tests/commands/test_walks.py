"""`interpolate` and `arithmetic`: what is drawn is what the seeds give, and nothing is lost."""

import io
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from arrays import places
from PIL import Image
from running import command
from toy_run import toy_run

from dcgan import UserError, images
from dcgan.commands import neighbours
from dcgan.latent import paths
from dcgan.outputs import walks
from dcgan.outputs.equation import Term, draw_equation
from dcgan.run.run_dir import RunDir
from dcgan.run.trained_run import TrainedRun


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    return toy_run(tmp_path_factory.mktemp("toy") / "run")


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> Path:
    """A run on grey images that are no squares, of uniform vectors."""
    root = tmp_path_factory.mktemp("odd") / "run"
    return toy_run(root, shape=(24, 10, 1), z_dist="uniform_signed")


@pytest.fixture(scope="module")
def trained(toy) -> TrainedRun:
    return TrainedRun(RunDir(toy))


def frames_of(count: int, shape=(9, 7, 3)) -> np.ndarray:
    """Images of one colour each."""
    levels = np.linspace(0, 255, count).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, *shape)).copy()


# --- rendering


def test_the_image_of_a_seeds_vector_is_the_seeds_image(trained):
    seeds = [7, 2**40, 0, *range(100, 170)]  # two batches
    images_of_seeds = trained.sample(seeds)
    np.testing.assert_array_equal(trained.render(trained.latents(seeds)), images_of_seeds)
    np.testing.assert_array_equal(trained.render(trained.latents(seeds[:1])), images_of_seeds[:1])


# --- interpolate


def test_a_strip_has_a_row_from_each_seed_to_the_next(toy, trained, tmp_path):
    to = tmp_path / "strip.png"
    line = ("interpolate", "--run_dir", toy, "--seeds", "7,9,12", "--frames", "4", "--scale", "2")
    assert command(*line, "--loop", "--to", to) == 0
    sheet = images.read_png(to)
    assert sheet.shape == (3 * 34 - 2, 5 * 34 - 2, 3)  # rows and columns of 16 pixels, and a margin
    cells = sheet[::2, ::2]
    seven, nine, twelve = trained.sample([7, 9, 12])
    for row, (first, last) in enumerate([(seven, nine), (nine, twelve), (twelve, seven)]):
        strip = cells[row * 17 : row * 17 + 16]
        np.testing.assert_array_equal(strip[:, :16], first)
        np.testing.assert_array_equal(strip[:, 4 * 17 :], last)
    halfway = paths.slerp(*trained.latents([7, 9]), [0.5])
    np.testing.assert_array_equal(cells[:16, 34:50], trained.render(halfway)[0])


def test_a_gif_walks_and_comes_back(toy, tmp_path):
    line = ("interpolate", "--run_dir", toy, "--seeds", "3-5", "--frames", "6")
    for name, more, count in (("open", (), 13), ("loop", ("--loop", "--fps", "50"), 18)):
        assert command(*line, *more, "--to", tmp_path / f"{name}.gif") == 0
        with Image.open(tmp_path / f"{name}.gif") as gif:
            assert gif.n_frames == count and gif.size == (96, 96) and gif.info["loop"] == 0
            assert gif.info["duration"] == (20 if more else 50)
            assert gif.info["comment"].startswith(b"made by dcgan: interpolate --seeds 3-5")
            gif.seek(count - 1)
            assert gif.info["duration"] == (20 if more else 1000)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_mp4_plays_every_frame_in_even_sides(channels):
    pytest.importorskip("imageio_ffmpeg")
    frames = frames_of(12, (9, 7, channels))
    data = walks.mp4(frames, fps=25, scale=1, comment="made by dcgan: test")
    assert b"made by dcgan: test" in data
    film = iio.imread(io.BytesIO(data), plugin="FFMPEG", extension=".mp4")
    assert film.shape == (12, 10, 8, 3)
    np.testing.assert_allclose(film.mean((1, 2, 3)), frames.mean((1, 2, 3)), atol=4)


def test_without_the_package_an_mp4_is_refused_before_anything_else(
    toy, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert command("interpolate", "--run_dir", toy, "--to", tmp_path / "walk.mp4") == 2
    assert "needs imageio_ffmpeg, not installed here: run pip install" in capsys.readouterr().err
    with pytest.raises(UserError):
        walks.mp4(frames_of(2), fps=25, scale=1, comment="")
    assert not list(tmp_path.iterdir())


def test_the_way_is_straight_for_uniform_vectors_and_on_demand(odd, tmp_path):
    line = ("interpolate", "--run_dir", odd, "--seeds", "1,2", "--frames", "4", "--to")
    results = {}
    for method in (None, "linear", "slerp"):
        more = ("--method", method) if method else ()
        assert command(*line, tmp_path / "one.png", *more) == 0
        results[method] = images.read_png(tmp_path / "one.png")
    np.testing.assert_array_equal(results[None], results["linear"])
    assert (results["slerp"] != results["linear"]).any()


# --- arithmetic


def test_an_equation_shows_its_operands_and_its_result(toy, trained, tmp_path):
    to = tmp_path / "sum.png"
    line = ("arithmetic", "--run_dir", toy, "--to", to)
    assert command(*line, "--plus", "3,8,12", "--minus", "4,9,11", "--plus", "5,6,7") == 0
    sheet = images.read_png(to)
    z = trained.latents([3, 8, 12, 4, 9, 11, 5, 6, 7]).reshape(3, 3, -1)
    result = (z[0].mean(0) - z[1].mean(0) + z[2].mean(0))[np.newaxis]

    rows = [[places(sheet, image, 6) for image in trained.render(term)] for term in z]
    for term, found in zip(z, rows, strict=True):
        tops = {top for ((top, _),) in found}
        lefts = [left for ((_, left),) in found]
        (average,) = places(sheet, trained.render(term.mean(0)[np.newaxis])[0], 6)
        assert tops == {average[0]} and lefts == sorted(lefts) and average[1] > lefts[-1]
    assert rows[0][0][0][0] < rows[1][0][0][0] < rows[2][0][0][0]
    alone, amid = places(sheet, trained.render(result.astype(np.float32))[0], 6)
    assert alone[1] < amid[1]
    assert command(*line, "--terms", "3") == 0  # of one image the sum is the image
    sheet = images.read_png(to)
    assert (
        len(places(sheet, trained.sample([3])[0], 6)) == 4
    )  # sample, average, result and the middle


@pytest.mark.parametrize("command", ["arithmetic", "neighbours"])
def test_long_seeds_are_written_beside_one_another(tmp_path, command):
    """They overran the next one: a place is as wide as its caption."""
    one, large = np.zeros([2, 16, 16, 3], np.uint8), 1 << 62

    def width(seeds: list[int]) -> int:
        if command == "arithmetic":
            term, around = Term(1, seeds, one, one[0]), np.zeros([9, 16, 16, 3], np.uint8)
            png = draw_equation([term], around, noise=0.0, comment="")
        else:
            png = neighbours._draw(one, seeds, one, [], [], comment="")
        (tmp_path / "x.png").write_bytes(png)
        return images.read_png(tmp_path / "x.png").shape[1]

    # 19 digits of 14 pixels are some 150 wide, and the enlarged images 96.
    least = 2 * 40 if command == "arithmetic" else 40
    assert width([large, large + 1]) >= width([1, 2]) + least


def test_drawings_are_of_every_kind_of_image(odd):
    assert command("arithmetic", "--run_dir", odd, "--plus", "1", "--minus", "2-5") == 0
    assert command("interpolate", "--run_dir", odd, "--frames", "3") == 0
    with Image.open(odd / "generated" / "interpolation.gif") as gif:
        assert gif.size == (40, 96) and gif.n_frames == 13
