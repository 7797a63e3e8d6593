"""Labels from a .csv beside the pictures."""

import os
import zipfile

import numpy as np
import pytest
from pictures import fill, pack, png
from running import write_pictures

from dcgan import UserError
from dcgan.datasets import catalog
from dcgan.datasets.prepare import prepare
from dcgan.datasets.source import ImageSpec


def pictures(folder, count=4):
    return write_pictures(folder, count, (8, 8))  # 0000.png, 0001.png ...


def said(source) -> dict[str, list[str | None]]:
    """By column, what each picture's label is; sheets and other files left out."""
    rows = [i for i, name in enumerate(source.names) if name.endswith(".png")]
    return {
        column: [one.names[v] if v >= 0 else None for v in one.values[rows]]
        for column, one in source.labels.items()
    }


def find(path, **kwargs):
    return catalog.find(str(path), str(path.parent), sheets=True, **kwargs)


SHEETS = {
    "plain": "file,hair,eyes\n0000.png,red,blue\n0001.png,blue,grey\n0002.png,red,grey\n"
    "0003.png,red,blue\n",
    "the name last, in other words": "hair;eyes;image id\nred;blue;./0000.png\nblue;grey;0001.png"
    "\nred;grey;0002.png\nred;blue;0003.png\n",
    "without suffixes, by tabs, with a mark": "\ufeffid\thair\teyes\n0000\tred\tblue\n"
    "0001\tblue\tgrey\n0002\tred\tgrey\n0003\tred\tblue\n",
    "numbers of rows first, as if they were names": ",file,hair,eyes\n0001,0000.png,red,blue\n"
    "0000,0001.png,blue,grey\n0003,0002.png,red,grey\n0002,0003.png,red,blue\n",
    "of far more pictures": "file,hair,eyes\n"
    + "".join(f"gone{i}.png,green,pink\n" for i in range(2000))
    + "0000.png,red,blue\n0001.png,blue,grey\n0002.png,red,grey\n0003.png,red,blue\n",
    "more than there is, blanks, empty lines": "file,hair,eyes\r\n 0003.png , red,blue\r\n\r\n"
    "gone.png,green,pink\r\n0000.png,red,blue\r\n0001.png,blue,grey\r\n0002.png,red,grey\r\n",
}


@pytest.mark.parametrize("kind", SHEETS)
def test_a_sheet_labels_the_pictures_that_it_names(tmp_path, kind):
    folder = pictures(tmp_path / "faces")
    (folder / "labels.csv").write_text(SHEETS[kind], "utf-8", newline="")
    source = find(folder)
    assert said(source) == {
        "hair": ["red", "blue", "red", "red"],
        "eyes": ["blue", "grey", "grey", "blue"],
    }
    assert source.labels["hair"].names == ("blue", "red")  # nothing of what is gone
    assert any("labels.csv" in note for note in source.notes)
    assert catalog.find(str(folder), str(tmp_path)).labels == {}  # not asked for


def test_a_sheet_is_found_whatever_the_pattern_in_subfolders_and_beside_an_archive(tmp_path):
    folder = pictures(tmp_path / "faces" / "inner").parent
    (folder / "labels.csv").write_text(SHEETS["plain"], "utf-8")
    expected = ["red", "blue", "red", "red"]
    assert said(find(folder))["hair"] == expected
    assert said(find(folder, pattern="*.png"))["hair"] == expected
    inside, beside = tmp_path / "inside.zip", tmp_path / "other" / "beside.zip"
    beside.parent.mkdir()
    with zipfile.ZipFile(inside, "w") as one, zipfile.ZipFile(beside, "w") as other:
        for file in sorted(folder.rglob("*.*")):
            one.write(file, file.relative_to(folder))
            if file.suffix == ".png":
                other.write(file, file.name)
    assert said(find(inside))["hair"] == expected
    (beside.parent / "list.csv").write_text(SHEETS["plain"], "utf-8")
    assert said(find(beside))["hair"] == expected


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shorten", [str, lambda name: name[:-4], os.path.basename])
def test_one_sheet_has_the_labels_of_all_parts(tmp_path, packed, shorten):
    """It is outside of the parts, whose folders its names may have."""
    names = ["train/0.png", "train/1.png", "test/2.png", "test/3.png"]
    sheet = "file,hair\n" + "".join(
        f"{shorten(name)},{'pt'[i % 2]}\n" for i, name in enumerate(names)
    )
    files = {name: png(i) for i, name in enumerate(names)} | {"hair.csv": sheet.encode()}
    if packed:
        place = pack(tmp_path / "a.zip", {f"faces/{name}": data for name, data in files.items()})
    else:
        place = fill(tmp_path / "a", files)
    for part in ("train", "test"):
        assert said(find(place, splits=[part])) == {"hair": ["p", "t"]}


def test_a_class_may_be_the_name_of_a_picture(tmp_path):
    folder = fill(tmp_path / "faces", {f"{i}.png": png(i) for i in range(4)})
    (folder / "labels.csv").write_text("digit,file\n0,0.png\n1,1.png\n0,2.png\n1,3.png\n")
    assert said(find(folder)) == {"digit": ["0", "1", "0", "1"]}


def test_what_has_no_label_and_the_order_of_numbers(tmp_path):
    folder = pictures(tmp_path / "faces")
    rows = "file,hair,n\n0000.png,red,10\n0001.png,,9\n0003.png,blue,-1\n"
    (folder / "labels.csv").write_text(rows)
    source = find(folder)
    assert said(source)["hair"] == ["red", None, None, "blue"]
    assert source.labels["n"].names == ("-1", "9", "10")
    assert prepare(source, ImageSpec(8, 8, 3), cache_dir=None).labels == {}


def test_the_sheet_that_names_the_pictures_is_taken(tmp_path):
    folder = pictures(tmp_path / "a" / "cats", 3).parent
    pictures(folder / "dogs", 2)
    (folder / "aaa.csv").write_text("file,hair\nother.png,red\n")
    assert find(folder).labels["label"].names == ("cats", "dogs")  # the folders' own
    (folder / "labels.csv").write_text("file,hair\ncats/0000.png,red\ndogs/0000.png,blue\n")
    assert said(find(folder))["hair"] == ["red", None, None, "blue", None]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"file,hair\n0000.png,r\xff\n", "UTF-8"),
        (b"file,hair\n0000.png,red\n0000.png,blue\n", "two rows for 0000.png"),
    ],
)
def test_a_sheet_that_cannot_be_used_is_refused(tmp_path, content, told):
    folder = pictures(tmp_path / "faces")
    (folder / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match=told):
        find(folder)


def test_labels_stay_with_their_pictures_when_some_are_skipped(tmp_path):
    folder = pictures(tmp_path / "faces")
    (folder / "0001.png").write_bytes(b"no picture")
    (folder / "labels.csv").write_text(SHEETS["plain"], "utf-8")
    prepared = prepare(find(folder), ImageSpec(8, 8, 3), cache_dir=None)
    hair = prepared.labels["hair"]
    assert [hair.names[i] for i in hair.values] == ["red", "red", "red"]
    assert prepared.labels["eyes"].values.tolist() == np.array([0, 1, 0]).tolist()


def test_a_name_that_two_pictures_have_labels_neither(tmp_path):
    folder = pictures(tmp_path / "a" / "cats", 2).parent
    pictures(folder / "dogs", 1)
    (folder / "labels.csv").write_text("file,hair\n0000.png,red\n0001.png,blue\n")
    assert said(find(folder))["hair"] == [None, "blue", None]
