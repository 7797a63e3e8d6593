"""The road of the anime tutorial, as a user goes it: crawl, crop, inspect, pack, train."""

import matplotlib.cbook
import pytest
from booru_server import Post, serving
from pictures import encoded
from PIL import Image, ImageOps
from running import SMALL, checkpoints, run

pytest.importorskip("gallery_dl", reason="gallery-dl is not installed")
pytest.importorskip("cv2", reason="finding faces needs opencv-python-headless")
pytest.importorskip("imagehash", reason="finding near duplicates needs imagehash")


def posts_with_faces() -> list[Post]:
    """Ten pictures of the one face that matplotlib brings along, no two of the same pixels."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        woman = Image.open(file).convert("RGB").resize((256, 300))
    looks = [woman.resize((256 + 12 * i, 300)) for i in range(5)]
    looks += [ImageOps.mirror(look) for look in looks]
    return [
        Post(number, sample=encoded(look, "JPEG", quality=95))
        for number, look in enumerate(looks, start=1)
    ]


def go(*words) -> str:
    result = run(*words)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
def test_from_a_site_to_a_trained_model(tmp_path):
    raw, faces, packed = tmp_path / "raw", tmp_path / "faces", tmp_path / "faces.zip"
    with serving(posts_with_faces()) as site:
        site_flags = ("--site", f"moebooru:{site.root}", "--delay", "0.01", "--yes")
        assert "10 pictures" in go("crawl", *site_flags, "--tags", "1girl solo", "--to", raw)
    cascade = ("--cascade", "frontalface_default")
    assert "holds 10 faces" in go(
        *("crop", "--from", raw, "--to", faces, "--size", 32, "--similarity", 0), *cascade
    )
    said = go("inspect", "--dataset", faces, "--to", tmp_path / "sheet.png")
    assert "10" in said and "2,000" in said  # ten are too few, and it says so
    go("pack", "--from", faces, "--to", packed)
    folders = ("--cache_dir", tmp_path / "cache", "--run_dir", tmp_path / "run")
    said = go("--dataset", packed, *SMALL, "--steps", 2, *folders)
    assert "10 found, 10 used, 0 skipped" in said
    assert checkpoints(tmp_path / "run") == [2]
