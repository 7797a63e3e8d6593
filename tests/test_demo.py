"""docs/demo: the explorer as a static page, drawing avatars by itself.

After a change of the explorer, `PYTHONPATH=.:tests/fixtures python tests/test_demo.py` writes the
page anew around the network that is in it.
"""

import gzip
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from dcgan import images
from dcgan.export import web
from dcgan.files import read_json

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "docs" / "demo"
SIDE = 48
AGAIN = "run: PYTHONPATH=.:tests/fixtures python tests/test_demo.py"


def first() -> np.ndarray:
    """The pictures of the first seeds: uint8 [48, 48, 48, 3]."""
    sheet = images.read_png(DEMO / "first.png")
    rows = sheet.reshape(-1, SIDE, web.FIRST_GRID_COLUMNS, SIDE, 3)
    return rows.swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3)


def write(to: Path) -> None:
    """The page, of the network and the first pictures that are in it."""
    description = read_json(DEMO / "dcgan.json")
    web.write_web(DEMO / web.MODEL, description, to, onnxruntime="none", first=first())


def test_the_page_is_the_explorer_of_today(tmp_path):
    pytest.importorskip("onnx")
    write(tmp_path / "demo")
    here, there = (
        {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
        for folder in (DEMO, tmp_path / "demo")
    )
    assert here.keys() == there.keys(), AGAIN
    for name, path in here.items():
        content, expected = path.read_bytes(), there[name].read_bytes()
        if name.endswith(".gz"):  # other versions of zlib pack otherwise
            content, expected = gzip.decompress(content), gzip.decompress(expected)
        if not name.endswith(".png"):
            assert content == expected, f"{name}; {AGAIN}"


def test_it_is_small():
    assert (DEMO / web.MODEL).stat().st_size < 1e6
    docs = [path for path in (ROOT / "docs").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in docs) < 15e6


def test_its_first_pictures_are_those_of_its_network():
    onnxruntime = pytest.importorskip("onnxruntime")
    from dcgan.latent.noise import latents

    session = onnxruntime.InferenceSession(str(DEMO / web.MODEL))
    z = latents(np.arange(web.FIRST_GRID_IMAGES), z_dim=100, z_dist="normal01").numpy()
    drawn = images.to_uint8(session.run(["images"], {"z": z})[0])
    assert first().shape == (48, SIDE, SIDE, 3)
    assert np.abs(drawn.astype(int) - first()).max() <= 1  # whose weights are float16


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "demo")
        shutil.rmtree(DEMO)
        shutil.copytree(Path(folder) / "demo", DEMO)
