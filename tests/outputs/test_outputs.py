"""Curves, animation and TensorBoard: made from what a run leaves, however it ended."""

import importlib.util
import logging
import math

import matplotlib
import numpy as np
import pytest
from PIL import Image
from report_pages import add_lines

from dcgan import images
from dcgan.outputs import animation
from dcgan.outputs.plots import draw_losses, moving_average, read_metrics


def row(step, **more):
    values = {"step": step, "epoch": step / 100, "d_loss": 0.9, "g_loss": 2.0}
    return values | {"d_real": 0.7, "d_fake": 0.2} | more


def drawn(folder, rows):
    """The pixels of losses.png."""
    add_lines(folder / "metrics.jsonl", rows)
    draw_losses(folder / "metrics.jsonl", folder / "losses.png", title="anime 48x48x3")
    with Image.open(folder / "losses.png") as opened:
        return np.asarray(opened.convert("RGB"))


# --- metrics.jsonl


def test_a_resumed_run_overrides_what_it_repeats_and_what_is_no_measurement_is_left_out(tmp_path):
    first = [row(s, d_loss=1.0) for s in (10, 20, 30, 40)]
    again = [row(s, d_loss=2.0) for s in (25, 35)]  # resumed from the checkpoint of step 20
    lines = [*first, {"note": "x"}, {"step": "x"}, {"step": 1 << 62}, {"step": -1}, *again]
    add_lines(tmp_path / "metrics.jsonl", lines)
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [(r["step"], r["d_loss"]) for r in rows] == [(10, 1), (20, 1), (25, 2), (35, 2)]


# --- losses.png


def test_moving_average_by_hand():
    # One step apart with a window of 1 / log 2 each older value weighs half: 0; then
    # (0 / 2 + 3) / 1.5 = 2; then (0 / 4 + 3 / 2 + 7) / 1.75 = 34 / 7.
    average = moving_average(np.arange(3.0), np.array([0.0, 3, 7]), 1 / math.log(2))
    assert average == pytest.approx([0, 2, 34 / 7])


def test_draws_both_pairs_of_curves_in_their_colours(tmp_path):
    noise = np.random.default_rng(0)
    rows = [row(10 * (i + 1), g_loss=2 + noise.normal()) for i in range(200)]
    pixels = drawn(tmp_path, rows)
    assert pixels.shape[0] >= 800 and pixels.shape[1] >= 1200
    for half in np.array_split(pixels, 2):
        for colour in ((0x23, 0x68, 0xB0), (0xE0, 0x6C, 0x1F)):
            assert (half == colour).all(-1).sum() > 500
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_the_legend_covers_no_curve(tmp_path):
    upper = np.array_split(drawn(tmp_path, [row(10 * (i + 1)) for i in range(200)]), 2)[0]
    generator = (upper == (0xE0, 0x6C, 0x1F)).all(-1)
    assert generator[:, 200:1250].any(0).all()


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(0, epoch=0)],
        [row(1)],
        [row(1, d_loss=math.nan), row(2, g_loss=math.inf)],
        [{"step": 1}, {"step": 2, "d_loss": None, "g_loss": "x", "d_real": 10**400}],
        [row(1, d_loss=0.0, g_loss=0.0), row(2, d_loss=-3.0), row(3, g_loss=1e12)],
    ],
    ids=["none", "step 0", "one", "not finite", "missing", "zero, negative and huge"],
)
def test_draws_whatever_was_measured(tmp_path, rows, recwarn):
    assert drawn(tmp_path, rows).size
    assert [str(w.message) for w in recwarn] == []


def test_thinning_a_long_run_keeps_its_spike_and_no_global_backend_is_chosen(tmp_path):
    before = matplotlib.rcParams._get("backend")
    rows = [row(i + 1) for i in range(20_000)]
    rows[12_345]["d_loss"] = 9.0
    upper = drawn(tmp_path, rows)[200:300]  # above every other value: only a thin blue line
    assert ((upper[..., 2].astype(int) - upper[..., 0]) > 20).any(axis=1).mean() > 0.5
    assert matplotlib.rcParams._get("backend") == before


# --- training.gif


def write_grids(folder, count, shape=(20, 30, 3)):
    paths = []
    for i in range(count):
        level = 255 * i // max(count - 1, 1)
        path = folder / f"{100 * i:08d}.png"
        path.write_bytes(images.png_bytes(np.full(shape, level, np.uint8)))
        paths.append(path)
    return paths


def read_gif(path):
    """Grey level of each frame's middle, and the milliseconds that it is shown for."""
    with Image.open(path) as gif:
        levels, durations = [], []
        for i in range(gif.n_frames):
            gif.seek(i)
            frame = np.asarray(gif.convert("RGB"))
            levels.append(int(frame[frame.shape[0] // 2, frame.shape[1] // 2, 0]))
            durations.append(gif.info["duration"])
        assert gif.info["loop"] == 0
        return gif.size, levels, durations


@pytest.mark.parametrize("channels", [1, 3])
def test_every_frame_in_order_and_the_last_one_held(tmp_path, channels):
    paths = write_grids(tmp_path, 6, (20, 30, channels))
    animation.make_gif(paths, tmp_path / "training.gif")
    size, levels, durations = read_gif(tmp_path / "training.gif")
    assert size == (30, 20)
    assert levels == pytest.approx([0, 51, 102, 153, 204, 255], abs=4)
    assert durations == [100] * 5 + [2000]


@pytest.mark.parametrize("most", [2, 7, 10])
def test_thinning_keeps_the_first_and_the_last(tmp_path, monkeypatch, most):
    monkeypatch.setattr(animation, "MAX_FRAMES", most)
    animation.make_gif(write_grids(tmp_path, 50), tmp_path / "training.gif")
    _, levels, durations = read_gif(tmp_path / "training.gif")
    assert len(levels) == most and durations[-1] == 2000
    assert (levels[0], levels[-1]) == pytest.approx((0, 255), abs=4)
    assert np.diff(levels) == pytest.approx(255 / (most - 1), abs=10)  # evenly


def test_only_the_chosen_frames_are_read(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(animation, "MAX_FRAMES", 3)
    paths = write_grids(tmp_path, 9)
    for i in (1, 2, 3, 5, 6, 7):
        paths[i].write_bytes(b"never opened")
    animation.make_gif(paths, tmp_path / "training.gif")  # 0, 4 and 8
    assert len(read_gif(tmp_path / "training.gif")[1]) == 3
    assert caplog.messages == []


@pytest.mark.parametrize("shape", [(50, 200, 3), (200, 50, 1)])
def test_large_grids_are_scaled_down(tmp_path, monkeypatch, shape):
    monkeypatch.setattr(animation, "MAX_SIDE", 100)
    animation.make_gif(write_grids(tmp_path, 3, shape), tmp_path / "training.gif")
    assert read_gif(tmp_path / "training.gif")[0] == (shape[1] // 2, shape[0] // 2)


def test_bad_frames_are_named_and_left_out(tmp_path, caplog):
    paths = write_grids(tmp_path, 8)
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[: len(whole) // 2])
    paths[2].write_bytes(b"")
    paths[3].write_bytes(whole[:20] + b"\0" * 40)
    paths[4].write_bytes(images.png_bytes(np.zeros((5, 5, 3), np.uint8)))
    paths[5].unlink()
    with caplog.at_level(logging.WARNING, "dcgan"):
        animation.make_gif(paths, tmp_path / "training.gif")
    assert len(read_gif(tmp_path / "training.gif")[1]) == 3
    for i in range(8):
        assert any(paths[i].name in m for m in caplog.messages) == (i in (1, 2, 3, 4, 5))


def test_without_a_readable_frame_nothing_is_written(tmp_path, caplog):
    for paths in ([], [tmp_path / "00000000.png"]):
        animation.make_gif(paths, tmp_path / "training.gif")
        assert not (tmp_path / "training.gif").exists()
        assert "training.gif" in caplog.messages[-1]


# --- TensorBoard


def test_without_the_package_there_is_no_writer_and_one_sentence(tmp_path, monkeypatch, caplog):
    tensorboard = pytest.importorskip("dcgan.outputs.tensorboard")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with caplog.at_level(logging.INFO, "dcgan"):
        assert tensorboard.open_writer(tmp_path / "tb") is None
    assert len(caplog.messages) == 1 and "[tensorboard]" in caplog.messages[0]
    assert not (tmp_path / "tb").exists()


@pytest.mark.parametrize("told", ["No space left on device", "is not a directory"])
def test_a_place_that_cannot_be_written_is_no_lack_of_memory(tmp_path, monkeypatch, told):
    pytest.importorskip("tensorboard")
    import tensorflow as tf

    from dcgan.outputs.tensorboard import open_writer

    def full(folder):
        message = "{{node w}} a/events.1; No space left on device\n\tFailed to flush 1 events"
        raise tf.errors.ResourceExhaustedError(None, None, message)

    (tmp_path / "file").touch()
    if "space" in told:
        monkeypatch.setattr(tf.summary, "create_file_writer", full)
    with pytest.raises(OSError, match=f"{told}: '") as error:
        open_writer(tmp_path / "file" / "tb")
    assert error.value.filename == str(tmp_path / "file" / "tb")
    assert "{{" not in str(error.value) and "[Op" not in str(error.value)


def test_a_resumed_run_goes_on_in_the_same_folder(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    from dcgan.outputs.tensorboard import open_writer

    for first in (0, 10):
        writer = open_writer(tmp_path / "tb")
        for step in (first, first + 5):
            writer.scalars(step, {"loss/d": step / 2, "loss/g": 1.0})
        writer.image(first, "samples", np.full((6, 8, 1), 7, np.uint8))
        writer.close()
    events = EventAccumulator(str(tmp_path / "tb"), size_guidance={"tensors": 0}).Reload()
    points = [(e.step, float(make_ndarray(e.tensor_proto))) for e in events.Tensors("loss/d")]
    # Files of one second are read in no order.
    assert sorted(points) == [(0, 0), (5, 2.5), (10, 5), (15, 7.5)]
    assert {e.step for e in events.Tensors("samples")} == {0, 10}
    width, height, png = make_ndarray(events.Tensors("samples")[0].tensor_proto)
    assert (int(width), int(height)) == (8, 6) and png.startswith(b"\x89PNG")
