"""Few different pictures: training says so once and what helps, and counts exact duplicates."""

import json

import numpy as np
import pytest
from pictures import encoded, fill, noise, pack
from PIL import Image
from running import small_flags

import main
from dcgan.datasets import report
from dcgan.datasets.folder import find
from dcgan.datasets.prepare import prepare
from dcgan.datasets.report import DataReport
from dcgan.datasets.source import ImageSpec

SPEC = ImageSpec(8, 8, 3)


def pictures(different: int, copies: int) -> dict[str, bytes]:
    """Copies in other files and formats have the same pixels."""
    made = {f"{i:03}.png": noise("PNG", 8 + i) for i in range(different)}
    same = Image.fromarray(np.full((8, 8, 3), 77, np.uint8))
    made["first.png"] = encoded(same)
    return made | {f"x/{i}": encoded(same, ("BMP", "PNG", "TIFF")[i % 3]) for i in range(copies)}


@pytest.mark.parametrize("cache", [True, False])
def test_duplicates_are_counted_and_remembered(tmp_path, cache):
    path = fill(tmp_path / "a", pictures(9, 5))
    folder = tmp_path / "cache" if cache else None
    for source in (find(path), find(path), find(pack(tmp_path / "a.zip", pictures(9, 5)))):
        found = prepare(source, SPEC, cache_dir=folder).report
        assert (found.used, found.different) == (15, 10)
        assert "Exact duplicates: 5 of the 15; pack leaves them out." in found.sentences()
    alone = prepare(find(path), SPEC, cache_dir=folder, limit=3).report
    assert alone.different == 3 and not any("duplicates" in line for line in alone.sentences())


@pytest.mark.parametrize("different", [-1, "9", None, 2.0])
def test_a_count_in_the_cache_is_not_believed(tmp_path, different):
    path, cache = fill(tmp_path / "a", pictures(9, 5)), tmp_path / "cache"
    prepare(find(path), SPEC, cache_dir=cache)
    for file in cache.glob("*.json"):
        entry = json.loads(file.read_text())
        if "different" in entry:
            file.write_text(json.dumps(entry | {"different": different}))
    assert prepare(find(path), SPEC, cache_dir=cache).report.different == 10


def test_from_how_many_on_nothing_is_said():
    def warning(different: int) -> str | None:
        return DataReport("a", 9_000, 9_000, (), (), 3, different=different).warning()

    assert report.FEW == 2_000 and warning(2_000) is None
    assert DataReport("a", 9, 9, (), (), 3).warning() is None
    assert warning(1_999).startswith("1,999 different pictures are few")
    assert all(word in warning(12) for word in ("more pictures", "--augment translation"))


def test_training_says_it_once(idle, tmp_path, capfd):
    flags = small_flags(fill(tmp_path / "a", pictures(15, 5)), tmp_path)
    said = []
    for steps in ("1", "2"):
        assert main.main([*flags, "--steps", steps]) == 0
        said.append("".join(capfd.readouterr()))
    assert said[0].count("16 different pictures are few") == 1
    assert "Exact duplicates: 5 of the 21" in said[0]
    assert "are few" not in said[1]
