"""`pack`: what is in the zip file, what is left out, splits, refusals, kills, memory."""

import hashlib
import io
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pictures import bomb, decoded, encoded, fill, grains, orientation, png, red, spoil
from pictures import pack as write_zip
from PIL import Image
from running import content, here, kill_when, python, temporaries, write_pictures

from dcgan import UserError, images
from dcgan.datasets import catalog
from dcgan.datasets.avatars import Avatars
from dcgan.datasets.folder import find
from dcgan.datasets.source import ImageSpec
from dcgan.preparation import packages
from dcgan.preparation.pack import PackOptions, pack


def noises(folder: Path, count: int) -> Path:
    return fill(folder, {f"{i:03d}.png": png(i) for i in range(count)})


def packed(folder: Path, to: Path, workers: int = 1, **options):
    return pack(find(folder), str(to), PackOptions(**options), workers=workers)


def entries(path: Path) -> dict[str, bytes]:
    """The pictures in a zip, in its order."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name != "manifest.jsonl"]
        return {name: archive.read(name) for name in names}


def manifest(path: Path) -> tuple[dict, list[dict]]:
    """The line about the whole, and the others."""
    with zipfile.ZipFile(path) as archive:
        first, *rest = archive.read("manifest.jsonl").splitlines()
    return json.loads(first), [json.loads(line) for line in rest]


def image(data: bytes) -> np.ndarray:
    return images.read_png(io.BytesIO(data))


def read(path: Path, splits=("train",), **spec):
    """What `--dataset` makes of a package."""
    source = catalog.find(str(path), "data", splits=splits)
    return source, decoded(source, ImageSpec(**({"height": 10, "width": 12, "channels": 3} | spec)))


def test_pictures_keep_their_pixels_and_lie_uncompressed(tmp_path):
    folder = fill(tmp_path / "in", {"a.png": png(0), "b.png": png(1, width=30, height=7)})
    packed(folder, tmp_path / "out.zip")
    found = entries(tmp_path / "out.zip")
    assert list(found) == ["a.png", "b.png"]
    assert np.array_equal(image(found["a.png"]), grains(0))
    assert np.array_equal(image(found["b.png"]), grains(1, width=30, height=7))
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("crop", [True, False])
def test_with_a_size_they_are_what_training_would_make_of_them(tmp_path, crop):
    folder = fill(tmp_path / "in", {"a.png": png(0, width=40, height=30)})
    packed(folder, tmp_path / "out.zip", size=16, crop=crop)
    expected = decoded(find(folder), ImageSpec(16, 16, 3, crop=crop)).images[0]
    assert np.array_equal(image(entries(tmp_path / "out.zip")["a.png"]), expected)


def test_rotated_transparent_and_grey_pictures(tmp_path):
    files = {
        "clear.png": encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 0))),
        "grey.png": encoded(Image.fromarray(grains(0)).convert("L")),
        "turned.png": png(0, exif=orientation(6)),
    }
    packed(fill(tmp_path / "in", files), tmp_path / "out.zip")
    found = entries(tmp_path / "out.zip")
    assert (image(found["clear.png"]) == 255).all()
    assert image(found["grey.png"]).shape == (10, 12, 3)  # one shape for all
    assert np.array_equal(image(found["turned.png"]), np.rot90(grains(0), -1))
    packed(fill(tmp_path / "greys", {"a.png": files["grey.png"]}), tmp_path / "grey.zip")
    assert image(entries(tmp_path / "grey.zip")["a.png"]).shape == (10, 12, 1)


def test_the_bytes_depend_on_nothing_but_the_pictures(tmp_path):
    first, second = noises(tmp_path / "a" / "in", 40), tmp_path / "b" / "in"
    second.mkdir(parents=True)
    for path in sorted(first.iterdir(), reverse=True):
        shutil.copy(path, second)
        os.utime(second / path.name, (1, 1))
    packed(first, tmp_path / "a.zip", split=0.3)
    packed(second, tmp_path / "b.zip", split=0.3, workers=2)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_duplicates_and_broken_files_are_left_out_and_named(tmp_path):
    files = {
        "a.png": png(0),
        "b.bmp": png(0, "BMP"),  # the same pixels in another file
        "bomb.png": bomb(),
        "c.png": png(1),
        "cut.png": png(2)[:-80],
        "empty.png": b"",
        "text.txt": b"no picture",
    }
    result = packed(fill(tmp_path / "in", files), tmp_path / "out.zip")
    assert list(entries(tmp_path / "out.zip")) == ["a.png", "c.png"]
    reasons = {item.name: item.reason for item in result.report.skipped}
    assert (result.report.found, result.report.used) == (7, 2)
    assert reasons["b.bmp"] == "the same pixels as another"
    assert reasons["cut.png"] == "truncated" and reasons["text.txt"] == "not an image"
    head, lines = manifest(tmp_path / "out.zip")
    dropped = {line["dropped"]: line for line in lines if "dropped" in line}
    assert {name: line["reason"] for name, line in dropped.items()} == reasons
    assert dropped["b.bmp"]["of"] == "a.png"
    assert sum(head["dropped"].values()) == 5


def test_near_duplicates_are_left_out_when_asked(tmp_path):
    pytest.importorskip("imagehash")
    faces = Avatars().decode(range(2), ImageSpec(64, 64, 3)).images
    first, second = map(Image.fromarray, faces)
    files = {
        "a.png": encoded(first),
        "again.jpg": encoded(first, "JPEG", quality=95),
        "b.png": encoded(second),
    }
    folder = fill(tmp_path / "in", files)
    packed(folder, tmp_path / "all.zip")
    packed(folder, tmp_path / "few.zip", similarity=4)
    assert list(entries(tmp_path / "all.zip")) == ["a.png", "again.png", "b.png"]
    assert list(entries(tmp_path / "few.zip")) == ["a.png", "b.png"]
    assert {"dropped": "again.jpg", "reason": "looks like another", "of": "a.png"} in manifest(
        tmp_path / "few.zip"
    )[1]


def test_the_manifest_says_what_is_there(tmp_path):
    folder = fill(tmp_path / "in", {f"{hair}/{i}.png": png(i) for i, hair in enumerate("ab")})
    packed(folder, tmp_path / "out.zip", split=0.5, size=8)
    head, lines = manifest(tmp_path / "out.zip")
    assert head["format"] == "dcgan pack 1" and head["from"] == "in"
    assert head["options"] == {"size": 8, "crop": True, "split": 0.5, "similarity": 0}
    assert head["labels"] == {"label": ["a", "b"]}
    found = entries(tmp_path / "out.zip")
    assert [line["file"] for line in lines] == list(found)
    for line in lines:
        data = found[line["file"]]
        assert line["sha256"] == hashlib.sha256(data).hexdigest()
        assert line["bytes"] == len(data)
        assert (line["height"], line["width"], line["channels"]) == (8, 8, 3)
        assert line["labels"]["label"] == line["from"][0]


def test_folders_that_are_labels_stay_labels(tmp_path):
    files = {f"{'ab'[i % 2]}/{i:02d}.png": png(i) for i in range(20)}
    folder = fill(tmp_path / "in" / "all", files).parent
    for split in (0.0, 0.4):
        packed(folder, tmp_path / "out.zip", split=split)
        source, _ = read(tmp_path / "out.zip", ("train", "test") if split else ("train",))
        assert len(source) == 20
        assert source.labels["label"].names == ("a", "b")
        number = {name: int(Path(name).stem) % 2 for name in source.names}
        assert source.labels["label"].values.tolist() == [number[n] for n in source.names]


def test_a_split_follows_the_pixels_and_nothing_else(tmp_path):
    folder = noises(tmp_path / "in", 200)
    packed(folder, tmp_path / "out.zip", split=0.25)
    before = {data: name.split("/")[0] for name, data in entries(tmp_path / "out.zip").items()}
    kinds = list(before.values())
    # 200 draws with p = 1/4: mean 50, deviation sqrt(200 * 3/16) = 6.1; five of them are 31.
    assert kinds.count("test") + kinds.count("train") == 200
    assert 19 <= kinds.count("test") <= 81
    for path in folder.iterdir():
        path.rename(folder / f"renamed-{path.name}")
    fill(folder, {"new.png": png(1000)})
    packed(folder, tmp_path / "out.zip", split=0.25)
    after = {data: name.split("/")[0] for name, data in entries(tmp_path / "out.zip").items()}
    assert len(after) == 201 and before.items() <= after.items()


def test_training_reads_the_training_part_unless_told_otherwise(tmp_path):
    packed(noises(tmp_path / "in", 40), tmp_path / "out.zip", split=0.4)
    parts = {split: read(tmp_path / "out.zip", (split,)) for split in ("train", "test")}
    both, all_images = read(tmp_path / "out.zip", ("train", "test"))
    assert len(parts["train"][0]) + len(parts["test"][0]) == len(both) == 40
    assert not set(parts["train"][0].names) & set(parts["test"][0].names)
    assert not any("/" in name for name in both.names)
    assert all(not source.labels for source, _ in parts.values())
    assert len({s.fingerprint for s in (both, *(part[0] for part in parts.values()))}) == 3
    assert np.array_equal(all_images.images, np.stack([grains(i) for i in range(40)]))
    assert all_images.skipped == []  # the manifest is no broken picture
    default = catalog.find(str(tmp_path / "out.zip"), "data")
    assert default.names == parts["train"][0].names
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    unpacked, its_images = read(tmp_path / "unpacked", ("test",))
    assert np.array_equal(its_images.images, parts["test"][1].images)
    assert unpacked.names == parts["test"][0].names


def test_splits_are_refused_where_there_are_none(tmp_path):
    packed(noises(tmp_path / "in", 3), tmp_path / "out.zip")
    with pytest.raises(UserError, match="has no splits"):
        read(tmp_path / "out.zip", ("test",))
    packed(tmp_path / "in", tmp_path / "out.zip", split=0.001)
    with pytest.raises(
        UserError, match="has no --splits extra: its splits are train, test; name one"
    ):
        read(tmp_path / "out.zip", ("extra",))
    with pytest.raises(UserError, match="holds no picture for --splits test"):
        read(tmp_path / "out.zip", ("test",))


def test_folders_named_train_and_test_are_labels_where_pack_split_nothing(tmp_path):
    """The manifest says that they are no parts; without it they are."""
    files = {"train/a.png": png(0), "test/b.png": png(1)}
    packed(fill(tmp_path / "in", files), tmp_path / "out.zip")
    source, _ = read(tmp_path / "out.zip")
    assert len(source) == 2 and source.labels["label"].names == ("test", "train")
    assert read(tmp_path / "in")[0].names == ["a.png"]


def test_a_package_of_ours_is_replaced_and_what_a_kill_left_removed(tmp_path):
    packed(noises(tmp_path / "in", 2), tmp_path / "out.zip")
    left = tmp_path / ".out.zip.12345.tmp"
    left.touch()
    other = tmp_path / ".other.zip.12345.tmp"
    other.touch()
    packed(noises(tmp_path / "in", 3), tmp_path / "out.zip")
    assert len(entries(tmp_path / "out.zip")) == 3
    assert not left.exists() and other.exists()


# ---- refusals: (files, --from, --to, words of the sentence) ----


PICTURE = {"in/a.png": red()}
ZIP = write_zip(io.BytesIO(), PICTURE).getvalue()
REFUSED = {
    "missing": ({}, "in", "out.zip", "There is no data set"),
    "no file": ({"in/x/.hidden": b""}, "in", "out.zip", "There are no files in"),
    "no picture": ({"in/a.txt": b"text"}, "in", "out.zip", "holds no usable picture"),
    "broken": ({"in/a.png": png(0)[:-80]}, "in", "out.zip", "holds no usable picture"),
    "foreign file": ({**PICTURE, "out.zip": b"x"}, "in", "out.zip", "not written by pack"),
    "foreign folder": ({**PICTURE, "out.zip/x": b"x"}, "in", "out.zip", "not written by pack"),
    "inside": (PICTURE, "in", "in/out.zip", "lies inside --dataset"),
    "foreign zip": ({**PICTURE, "out.zip": ZIP}, "in", "out.zip", "not written by pack"),
    "itself": ({"in.zip": ZIP}, "in.zip", "in.zip", "lies inside --dataset"),
    "below a file": ({**PICTURE, "file": b"x"}, "in", "file/out.zip", "could not be written"),
    "address": (PICTURE, "in", "gs://bucket/out.zip", "can only be written to a path"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_sentence_and_nothing_changed(tmp_path, monkeypatch, case):
    files, source, to, words = REFUSED[case]
    fill(tmp_path, files)
    monkeypatch.chdir(tmp_path)
    before = content(tmp_path)
    result = here("pack", "--from", source, "--to", to)
    assert result.returncode == 2 and words in " ".join(result.stderr.split())
    assert content(tmp_path) == before


def test_a_damaged_zip_with_a_manifest_is_not_ours(tmp_path):
    manifest = b'{"format": "dcgan pack 1"}\n' * 50
    path = write_zip(tmp_path / "mine.zip", {"manifest.jsonl": manifest})
    spoil(path, "manifest.jsonl")
    data = path.read_bytes()
    with pytest.raises(UserError, match="not written by pack"):
        packed(noises(tmp_path / "in", 2), path)
    assert path.read_bytes() == data


def test_without_the_library_for_hashes_similarity_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagehash", None)
    with pytest.raises(UserError, match=r"needs imagehash, .* pip install .*\[data\]"):
        packed(noises(tmp_path / "in", 2), tmp_path / "out.zip", similarity=4)
    assert not (tmp_path / "out.zip").exists()
    packed(tmp_path / "in", tmp_path / "out.zip")


# ---- as a user runs it ----


def test_killed_in_the_middle_and_run_again_the_file_is_the_same(tmp_path):
    folder = write_pictures(tmp_path / "in", 160, (48, 48))
    packed(folder, tmp_path / "whole.zip", split=0.1)
    line = ("pack", "--from", folder, "--test_share", "0.1", "--to")
    to = tmp_path / "cut" / "out.zip"

    def written() -> int:
        return sum(path.stat().st_size for path in temporaries(tmp_path / "cut"))

    size = (tmp_path / "whole.zip").stat().st_size
    kill_when(
        (*line, to),
        lambda: to.parent.exists() and written() > size / 2,
        lambda: not to.exists() and temporaries(tmp_path / "cut"),
    )
    again = here(*line, to)
    assert again.returncode == 0 and "160 found, 160 used" in again.stdout
    assert content(tmp_path / "cut") == {"out.zip": (tmp_path / "whole.zip").read_bytes()}


@pytest.mark.slow
def test_memory_does_not_grow_with_the_pictures(tmp_path):
    """A picture is 12 kB; what stays of each in memory is its name, its hash and a zip's entry."""
    peaks = []
    counts = (1_000, 5_000)
    code = (
        "import resource, sys, main; code = main.main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
    )
    for count in counts:
        source = tmp_path / f"{count}.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for i in range(count):  # one by one, as a new process begins with our own peak
                archive.writestr(f"{i:06d}.png", png(i, width=64, height=64))
        flags = ("pack", "--from", source, "--to", tmp_path / f"out-{count}.zip")
        done = python("-c", f"if __name__ == '__main__':\n    {code}", *flags)
        kilobytes = int(done.stdout.split()[-1]) / (1024 if sys.platform == "darwin" else 1)
        peaks.append(kilobytes)
    growth = (peaks[1] - peaks[0]) / (counts[1] - counts[0])
    print(f"peaks {peaks} kB: {growth:.2f} kB a picture")
    assert growth < 3.0


def test_packing_a_zip_needs_no_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "_tensorflow", None)
    packed(noises(tmp_path / "in", 2), tmp_path / "out.zip")
    assert len(entries(tmp_path / "out.zip")) == 2
