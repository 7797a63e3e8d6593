"""What is packed keeps its labels: columns, names of classes, and the class of each picture."""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import decoded, fill, orientation, png
from pictures import pack as write_zip
from PIL import Image
from running import SMALL, here

from dcgan import UserError
from dcgan.datasets import catalog, label_sheet
from dcgan.datasets.source import ImageSpec, Labels, Source
from dcgan.datasets.tfrecord import TFRecordSource
from dcgan.preparation.pack import PackOptions, pack

SPEC = ImageSpec(10, 12, 3)
PACKAGES = ("packed.zip", "shards")


def folders(base: Path) -> Path:
    return fill(base / "in", {f"{'ab'[i % 2]}/{i}.png": png(i) for i in range(8)})


def classes_with_names_that_no_file_may_have(base: Path) -> Path:
    """In the order of their numbers, which is none of letters."""
    images = np.stack([np.asarray(Image.open(one)) for one in sorted(folders(base).rglob("*.png"))])
    labels = np.array(["T-shirt/top", " con", "Bag"] * 2 + ["a" * 300, "Bag"])
    np.savez(base / "in.npz", images=images, labels=labels)
    return base / "in.npz"


def sheet(base: Path) -> Path:
    """Two columns; files that change their names, turned, broken, the same, without a label."""
    files = {
        **{f"{i}.png": png(i) for i in range(4)},
        **{"0.bmp": png(4, "BMP"), "turned.png": png(5, exif=orientation(6))},
        **{"broken.png": png(6)[:-99], "same.png": png(0), "sub/none.png": png(7)},
    }
    rows = ["0.png,red,9", "1.png,dark blue,10", "2.png,,9", "3.png,red,10", "0.bmp,green,10"]
    rows += ["turned.png,green,9", "broken.png,white,9", "same.png,red,9", "gone.png,black,1"]
    text = "\n".join(["file,hair,eyes", *rows])
    return fill(base / "in", {**files, "labels.csv": text.encode()})


def crawled(base: Path) -> Path:
    """A sheet beside an archive."""
    (base / "x.tsv").write_text("id\tlabel\n" + "".join(f"{i}\t{i // 3}\n" for i in range(6)))
    return write_zip(base / "in.zip", {f"{'ab'[i % 2]}/{i}.png": png(i) for i in range(6)})


KINDS = (folders, classes_with_names_that_no_file_may_have, sheet, crawled)


def find(place: Path | str, **kwargs) -> Source:
    """As a conditional training does."""
    return catalog.find(str(place), "none", sheets=True, **kwargs)


def said(*sources: Source) -> dict[str, dict[bytes, str | None]]:
    """By column, the class of each picture, which its pixels name."""
    found: dict[str, dict] = {}
    for source in sources:
        pictures = decoded(source, SPEC)
        for column, one in source.labels.items():
            for index, image in zip(pictures.indices, pictures.images, strict=True):
                number = one.values[index]
                text = one.names[number] if number >= 0 else None
                found.setdefault(column, {})[image.tobytes()] = text
    return found


def packed(place: Path, to: Path | str, **options) -> None:
    source = catalog.find(str(place), "none")
    label_sheet.attach_usable(source)
    pack(source, str(to), PackOptions(**options), workers=1)


@pytest.mark.parametrize("to", PACKAGES)
@pytest.mark.parametrize("make", KINDS)
def test_what_is_packed_has_the_labels_of_its_source(tmp_path, make: Callable, to):
    place = make(tmp_path)
    there = find(place)
    assert here("pack", "--from", place, "--to", tmp_path / to).returncode == 0
    (tmp_path / "in.zip").unlink(missing_ok=True)  # nor does the sheet beside it matter
    again = find(tmp_path / to)
    assert said(again) == said(there)
    for column, labels in there.labels.items():
        known = tuple(name for name in labels.names if name != "white")  # of the broken one
        assert again.labels[column].names == known
    more = tmp_path / "more" / to
    packed(tmp_path / to, more)
    assert said(find(more)) == said(there)


@pytest.mark.parametrize("to", PACKAGES)
def test_parts_have_the_same_classes(tmp_path, to):
    place = sheet(tmp_path)
    packed(place, tmp_path / to, split=0.5)
    parts = [find(tmp_path / to, splits=[part]) for part in ("train", "test")]
    both = find(tmp_path / to, splits=["train", "test"])
    assert all(len(part) < len(both) for part in parts)
    assert said(*parts) == said(both) == said(find(place))
    for column, labels in both.labels.items():
        assert [part.labels[column].names for part in parts] == [labels.names] * 2


def test_unpacked_again_a_zip_has_them_still(tmp_path):
    place = sheet(tmp_path)
    packed(place, tmp_path / "a.zip", split=0.5)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "a")
    assert said(find(tmp_path / "a", splits=["train", "test"])) == said(find(place))


def test_at_an_address(tmp_path):
    """ram:// is a file system of TensorFlow's own in memory: it stands for gs://."""
    place = sheet(tmp_path)
    packed(place, "ram://labels/anime")
    assert said(find("ram://labels/anime")) == said(find(place))
    packed(folders(tmp_path / "b"), "ram://labels/letters")
    one = find("ram://labels/letters/train-00000.tfrecord")  # has its records alone
    assert said(one) == said(find(tmp_path / "b" / "in"))


def test_shards_without_a_manifest_have_the_labels_of_their_records(tmp_path):
    place = folders(tmp_path)
    packed(place, tmp_path / "shards")
    (tmp_path / "shards" / "manifest.jsonl").unlink()
    assert said(find(tmp_path / "shards")) == said(find(place))


def test_a_manifest_of_other_pictures_says_nothing(tmp_path):
    place = folders(tmp_path)
    packed(place, tmp_path / "a.zip")
    packed(place, tmp_path / "shards")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extract("manifest.jsonl", tmp_path / "shards")
    assert said(find(tmp_path / "shards")) == said(find(place))


def test_without_being_asked_no_manifest_is_read_for_labels(tmp_path):
    packed(sheet(tmp_path), tmp_path / "a.zip")
    assert catalog.find(str(tmp_path / "a.zip"), "none").labels == {}


@pytest.mark.parametrize("to", PACKAGES)
def test_more_classes_than_can_be_learnt_need_no_room_at_the_beginning(tmp_path, monkeypatch, to):
    place = sheet(tmp_path)
    monkeypatch.setattr("dcgan.preparation.pack.MOST_CLASSES", 2)
    packed(place, tmp_path / to)
    there, again = find(place), find(tmp_path / to)
    assert said(again) == said(there)
    assert set(again.labels["hair"].names) == {"red", "dark blue", "green"}
    assert again.labels["eyes"].names == ("9", "10")


def sentences(*words) -> str:
    result = here(*words)
    return result.stdout + result.stderr


def test_training_and_inspect_say_the_same_of_both(tmp_path):
    place = sheet(tmp_path)
    (place / "broken.png").unlink()
    (place / "same.png").unlink()
    folder, *others = (place, *(tmp_path / to for to in PACKAGES))
    for to in others:
        packed(place, to)
    asked = {to: sentences("--dataset", to, *SMALL, "--conditional", "--dry_run")
             for to in (folder, *others)}  # fmt: skip
    told = {to: " ".join(text.split()) for to, text in asked.items()}
    assert "2 of 7 pictures have no label 'hair' (such as 2.png, sub/none.png)" in told[folder]
    without_names = {re.sub(r" \(such as .*?\)", "", text) for text in told.values()}
    assert len(without_names) == 1
    for to in (folder, *others):
        text = sentences("inspect", "--dataset", to, "--to", tmp_path / "sheet.png")
        assert "Labels, hair: green 2, red 2, dark blue 1; 2 without one." in text
        assert "Labels, eyes: 9 3, 10 3; 1 without one." in text


def test_training_learns_both_columns_of_what_was_packed(idle, tmp_path):
    fill(tmp_path / "in", {f"{i}.png": png(i) for i in range(16)})
    rows = [f"{i}.png,{'red' if i % 2 else 'blue'},{i // 8}" for i in range(16)]
    (tmp_path / "in" / "labels.csv").write_text("\n".join(["file,hair,age", *rows]))
    for to in PACKAGES:
        packed(tmp_path / "in", tmp_path / to)
        run = ("--run_dir", tmp_path / f"run-{to}", "--cache_dir", tmp_path / "cache")
        words = ("--dataset", tmp_path / to, *SMALL, *run, "--conditional", "--steps", 2)
        assert here(*words).returncode == 0
        classes = json.loads((run[1] / "checkpoints" / "classes.json").read_text())
        assert classes["names"] == {"hair": ["blue", "red"], "age": ["0", "1"]}
        assert sum(classes["counts"]) == 16


def test_a_sheet_that_is_none_of_labels_hinders_no_packing(tmp_path):
    place = folders(tmp_path)
    (place / "boxes.csv").write_text("file,x\na/0.png,1\na/0.png,2\n")
    text = sentences("pack", "--from", place, "--to", tmp_path / "a.zip")
    assert "No labels are read from a sheet: The labels boxes.csv have two rows for a/0.png" in text
    assert find(tmp_path / "a.zip").labels["label"].names == ("a", "b")


def test_classes_of_one_name_are_one():
    found = Labels.of({0: "b", 2: "a"}, ("a", "a", "b"), count=3)
    assert found.names == ("a", "b") and found.values.tolist() == [1, -1, 0]


FAULTS = {
    "no JSON": lambda head, line: [head, "{"],
    "no object": lambda head, line: [head, "7"],
    "another class": lambda head, line: [head, line.replace('"a"', '"c"')],
    "another column": lambda head, line: [head, line.replace('"label"', '"hair"')],
    "a list for classes": lambda head, line: [re.sub(r'"labels".*', '"labels": [1]}', head), line],
    "a list of labels": lambda head, line: [head, re.sub(r'"labels".*', '"labels": ["a"]}', line)],
}


@pytest.mark.parametrize("to", PACKAGES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_manifest_is_refused(tmp_path, fault, to):
    packed(folders(tmp_path), tmp_path / to)
    file = tmp_path / to / "manifest.jsonl"
    if to == "packed.zip":
        with zipfile.ZipFile(tmp_path / to) as archive:
            archive.extractall(tmp_path / "unpacked")
        file = tmp_path / "unpacked" / "manifest.jsonl"
    head, line, *_ = file.read_text().splitlines()
    file.write_text("\n".join(FAULTS[fault](head, line)))
    catalog.find(str(file.parent), "none")  # whoever needs no labels is not hindered
    with pytest.raises(UserError, match="manifest.jsonl of .* is damaged"):
        find(file.parent)


def test_the_hint_of_best_reads_no_records(idle, tmp_path, monkeypatch):
    packed(folders(tmp_path), tmp_path / "shards")
    monkeypatch.setattr(TFRecordSource, "_label", None)
    run = ("--run_dir", tmp_path / "run", "--cache_dir", tmp_path / "cache", "--preset", "best")
    words = ("--dataset", tmp_path / "shards", *SMALL, *run, "--steps", 1)
    assert here(*words).returncode == 0
