"""`inspect`: what it finds in every kind of source, what it advises, its contact sheet."""

import socket
import sys
from collections import Counter

import numpy as np
import pytest
from pictures import encoded, fill, pack
from PIL import Image
from running import content, run, write_pictures

import main
from dcgan.datasets.arrays import ArraySource
from dcgan.datasets.avatars import Avatars
from dcgan.datasets.folder import find
from dcgan.datasets.source import ImageSpec, Skipped
from dcgan.preparation.inspect_report import contact_sheet, sentences
from dcgan.preparation.survey import Survey, survey


def face(seed: int) -> Image.Image:
    return Image.fromarray(Avatars().decode([seed], ImageSpec(64, 64, 3)).images[0])


def mess() -> dict[str, bytes]:
    """One file for each thing that may be wrong, and three that are well."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 50, 3), np.uint8)
    faint = np.full((64, 64, 3), 250, np.uint8)
    faint[::2] = 245  # two levels, 5 apart: a deviation of 2.5
    return {
        "a/0.png": encoded(face(0)),
        "a/0 again.bmp": encoded(face(0), "BMP"),
        "a/0 like.jpg": encoded(face(0), "JPEG", quality=90),
        "a/1.png": encoded(face(1)),
        "b/2.png": encoded(face(2).convert("L")),
        "b/broken.png": encoded(face(3))[:-200],
        "b/faint.png": encoded(Image.fromarray(faint)),
        "b/long.png": encoded(Image.fromarray(noise)),
        "b/text.txt": b"no picture",
    }


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_everything_is_found(tmp_path, form):
    pytest.importorskip("imagehash")
    fill(tmp_path / "in", mess())
    source = find(tmp_path / "in" if form == "folder" else pack(tmp_path / "in.zip", mess()))
    number = {name: i for i, name in enumerate(source.names)}
    result = survey(source)
    assert (result.found, result.usable, result.distinct) == (9, 7, 6)
    assert {(item.name, item.reason) for item in result.skipped} == {
        ("b/broken.png", "truncated"),
        ("b/text.txt", "not an image"),
    }
    assert result.sizes == {(64, 64): 6, (20, 50): 1}
    assert result.grey == 2  # b/2.png and the faint one
    first, again, like = number["a/0 again.bmp"], number["a/0.png"], number["a/0 like.jpg"]
    assert result.same == [(again, first)]  # "a/0 again.bmp" sorts before "a/0.png"
    assert result.near == [(like, first)]
    assert result.blank == [number["b/faint.png"]]
    assert result.extreme == [number["b/long.png"]]
    assert result.labels == {"label": Counter(a=4, b=3)}


def test_the_sentences_name_what_was_found(tmp_path):
    pytest.importorskip("imagehash")
    source = find(fill(tmp_path / "in", mess()))
    text = "\n".join(sentences(source, survey(source)))
    for words in (
        "in: 9 found, 7 used, 2 skipped.",
        "Skipped 1: truncated (b/broken.png).",
        "64x64 (6), 20x50 (1); colour.",
        "Without colour: 2 of 7.",
        "Exact duplicates: 1 (a/0.png of a/0 again.bmp).",
        "64 bits): 1 (a/0 like.jpg of a/0 again.bmp).",
        "Nearly blank: 1 (b/faint.png).",
        "other side): 1 (b/long.png).",
        "Labels, label: a 4, b 3.",
        "python main.py pack --similarity 4",
        "WARNING: 6 different pictures are few",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("found", "duplicates", "warns"), [(1999, 0, 1), (2000, 0, 0), (2050, 51, 1)]
)
def test_the_warning_counts_different_pictures(tmp_path, found, duplicates, warns):
    source = Avatars(found)
    same = [(i + 1, 0) for i in range(duplicates)]
    lines = sentences(
        source, Survey("x", found, same=same, near=[], sizes=Counter({(8, 8): found}))
    )
    assert sum(line.startswith("WARNING") for line in lines) == warns
    if warns:
        assert "crawl" in lines[-1] and "--min_size" in lines[-1]


def test_avatars_and_arrays(tmp_path):
    result = survey(Avatars(12))
    assert result.usable == result.distinct == 12 and result.sizes == {(64, 64): 12}
    assert sum(result.labels["hair"].values()) == 12 and result.grey == 0
    file = tmp_path / "arrays"
    file.touch()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 7, 1), np.uint8)
    pixels[4] = pixels[1]
    digits = ArraySource(
        "digits",
        [file],
        read=lambda: [(pixels, np.arange(6) % 2)],
        label_names=("even", "odd"),
        splits=("train",),
    )
    result = survey(digits)
    assert (result.sizes, result.grey) == ({(9, 7): 6}, 6)
    assert result.same == [(4, 1)] and result.labels == {"label": Counter(even=3, odd=3)}
    assert "000004 of 000001" in "\n".join(sentences(digits, result))


def test_the_result_does_not_depend_on_the_workers(tmp_path):
    source = find(write_pictures(tmp_path / "in", 40, (8, 8)))
    assert survey(source, workers=1) == survey(source, workers=2)


def test_without_the_library_near_duplicates_are_not_looked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagehash", None)
    source = find(fill(tmp_path / "in", mess()))
    result = survey(source)
    assert result.near is None and len(result.same) == 1
    assert "not looked for; pip install" in "\n".join(sentences(source, result))


def test_the_contact_sheet_shows_each_thing_under_a_caption(tmp_path):
    pytest.importorskip("imagehash")
    source = find(fill(tmp_path / "in", mess()))
    result = survey(source)
    sheet = np.asarray(contact_sheet(source, result))
    # Ten tiles of 96 and 4 between and around; five sections of one row, each with 20 for its
    # caption and 4 above and below.
    assert sheet.shape == (5 * (96 + 20 + 8), 10 * 100 + 4, 3)
    tops = [i * 124 + 24 for i in range(5)]
    tile = sheet[tops[1] : tops[1] + 96, 4:100]
    assert np.array_equal(tile, sheet[tops[1] : tops[1] + 96, 104:200])  # the exact duplicates
    blank = sheet[tops[3] : tops[3] + 96, 4:100]
    assert blank.min() >= 245
    names = sorted(mess())
    crossed = sheet[tops[0] + 48, 4 + 100 * names.index("b/broken.png") + 48]
    assert crossed.tolist() == [255, 0, 0]


def test_a_sheet_of_few_or_large_pictures(tmp_path):
    source = find(fill(tmp_path / "in", {"a.png": encoded(face(0).resize((300, 200)))}))
    assert contact_sheet(source, survey(source)).size == (1004, 124)
    many = Survey("x", 20_000, skipped=[Skipped("a", "b")], near=[(1, 0)] * 3000)
    assert contact_sheet(Avatars(), many).size == (1004, 6 * 100 - 4 + 28 + 2 * 100 - 4 + 28)


# ---- as a user runs it ----


def test_the_command_writes_the_sheet_and_replaces_only_its_own(tmp_path, monkeypatch, capsys):
    write_pictures(tmp_path / "data" / "Faces", 12, (16, 16))
    host = socket.gethostname()  # no process has so high a number: what a killed one leaves
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / f"inspect-Faces.png.1234abcd.999999999.{host}.tmp").touch()
    monkeypatch.chdir(tmp_path)
    done = run("inspect", "--dataset", "faces", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert main.main(["inspect", "--dataset", "faces"]) == 0
    for said in (done.stdout, capsys.readouterr().out):
        assert "12 found, 12 used" in said and "WARNING: 12 different" in said
        assert "Wrote the contact sheet runs/inspect-Faces.png" in said
    with Image.open(tmp_path / "runs" / "inspect-Faces.png") as sheet:
        assert sheet.size[0] == 1004
    assert {path.name for path in tmp_path.iterdir()} == {"data", "runs"}
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["inspect-Faces.png"]


GOOD = {"in/a.png": encoded(face(0))}
REFUSED = {
    "missing": ({}, ["--dataset", "nothing"], "There is no data set"),
    "empty": ({"in/.x": b""}, ["--dataset", "in"], "There are no files in"),
    "broken": ({"in/a.png": encoded(face(0))[:-90]}, ["--dataset", "in"], "no usable picture"),
    "no png": (GOOD, ["--to", "x.jpg"], "must end in .png"),
    "foreign": ({**GOOD, "m.png": encoded(face(0))}, ["--to", "m.png"], "not made by this command"),
    "folder": ({**GOOD, "m.png/x": b""}, ["--to", "m.png"], "not made by this command"),
    "unwritable": ({**GOOD, "f": b""}, ["--to", "f/x.png"], "not be written"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_sentence_and_nothing_changed(tmp_path, monkeypatch, capsys, case):
    files, flags, words = REFUSED[case]
    fill(tmp_path, files)
    monkeypatch.chdir(tmp_path)
    before = content(tmp_path)
    if "--dataset" not in flags:
        flags = ["--dataset", "in", *flags]
    assert main.main(["inspect", *flags]) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert content(tmp_path) == before
