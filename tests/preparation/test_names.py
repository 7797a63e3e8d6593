"""Names from outside never lead out of a package, nor hide, merge or lose a picture."""

import json
import os
import time
import unicodedata
import zipfile
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest
from pictures import decoded, png
from tfrecords import example, write

from dcgan.datasets import catalog
from dcgan.datasets.folder import find
from dcgan.preparation.names import PictureNames
from dcgan.preparation.pack import PackOptions, pack

HOSTILE = [
    *("..", ".", "", "/", "/etc", "../../x", "a/../../../x", "..\\..\\x", "C:\\x", "C:"),
    "\\\\host",
    *("nul\0inside", "line\nbreak", "\r", "\x1b[2J", "\x7f", "right\u202eleft", "\u2028"),
    *(".hidden", "..hidden", "__MACOSX", "CON", "nul.txt", "LPT1", "con .x", "end.", "end ", " "),
    *("x" * 199 + ". and more", "x" * 5_000, "日" * 2_000),
    *("a.png", "A.PNG", 'ask?*"<>|', "a_b", "a/b", "A_B", "a:b"),
    *("manifest.jsonl", "train", "é", "e\u0301", "É"),
]


def is_harmless(name: str) -> bool:
    """Judged otherwise than the code does it: by what Python says of Windows, and by the bytes."""
    path = PureWindowsPath(name)
    return (
        name.isprintable()
        and not path.anchor
        and "\\" not in name
        and ":" not in name
        and not any(part.startswith(".") or part != part.rstrip(". ") for part in path.parts)
        and "/".join(path.parts) == name
        and all(len(part.encode()) <= 255 for part in path.parts)
        and len(name.encode()) < 4_096
        and not any(PureWindowsPath(part).is_reserved() for part in path.parts)
    )


def shard(path: Path, texts: list[str]) -> Path:
    """Two pictures of each class; the numbers of the classes are not in their order."""
    classes = [
        {"image_class_text": text.encode(), "image_class_label": -7 * number}
        for number, text in enumerate(texts)
    ]
    records = [example(image_encoded=png(i), **one) for i, one in enumerate(2 * classes)]
    return write(path, records)


def unpacked_carelessly(path: Path, to: Path) -> list[Path]:
    """As a program would that trusts the names; into a system that knows no upper case."""
    written = []
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            target = Path(f"{to}/{info.filename}".casefold())
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as file:  # refuses to write over another picture
                file.write(archive.read(info))
            written.append(target)
    return written


def class_folders(written: list[Path]) -> set[str]:
    """As a system sees them that takes both spellings of an accent for one."""
    folders = (path.parent.name for path in written if path.suffix == ".png")
    return {unicodedata.normalize("NFC", name) for name in folders}


@pytest.mark.parametrize("split", [0.0, 0.5])
def test_classes_of_tfrecords_stay_in_the_zip_and_stay_apart(tmp_path, split):
    source = catalog.find(str(shard(tmp_path / "in.tfrecord", HOSTILE)), "data")
    pack(source, str(tmp_path / "out.zip"), PackOptions(split=split), workers=1)
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        names = archive.namelist()
        first = json.loads(archive.read("manifest.jsonl").splitlines()[0])
    assert [name for name in names if not is_harmless(name)] == []
    assert len(names) == 2 * len(HOSTILE) + 1
    assert sum(first["packed"].values()) == 2 * len(HOSTILE)
    below = tmp_path / "Below"
    written = unpacked_carelessly(tmp_path / "out.zip", below)
    assert all(str(path).startswith(str(below).casefold() + "/") for path in written)
    assert len(class_folders(written)) == len(HOSTILE)
    splits = ("train", "test") if split else ("train",)
    again = catalog.find(str(tmp_path / "out.zip"), "data", splits=splits)
    assert len(decoded(again).indices) == 2 * len(HOSTILE)
    assert np.bincount(again.labels["label"].values).tolist() == [2] * len(HOSTILE)


def test_names_in_a_foreign_zip_and_folder_do_not_reach_the_package(tmp_path):
    """What a zip calls `../a.png` is skipped; the rest is packed under harmless names."""
    names = [f"{text}/{i}.png" for i, text in enumerate(HOSTILE)] + [
        *(f"x/{text}" for text in HOSTILE[:-3]),
        "/".join(["y" * 200] * 40) + "/deep.png",
    ]
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for i, name in enumerate(names):
            info = zipfile.ZipInfo("placeholder")
            info.filename = name  # the constructor cuts at a NUL
            archive.writestr(info, png(i))
    source = catalog.find(str(tmp_path / "in.zip"), "data")
    packed = pack(source, str(tmp_path / "out.zip"), PackOptions(), workers=1)
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert [name for name in archive.namelist() if not is_harmless(name)] == []
    unpacked_carelessly(tmp_path / "out.zip", tmp_path / "below")
    assert {item.reason for item in packed.report.skipped} == {"unsafe name"}
    again = catalog.find(str(tmp_path / "out.zip"), "data")
    assert len(decoded(again).indices) == packed.report.used > 50


def test_folders_that_are_no_text_can_be_packed_into_shards(tmp_path):
    for i, name in enumerate((b"\xff", b"\xfe")):
        folder = os.path.join(os.fsencode(tmp_path / "in"), name)
        os.makedirs(folder)
        with open(os.path.join(folder, b"a.png"), "wb") as file:
            file.write(png(i))
    pack(find(tmp_path / "in"), str(tmp_path / "out"), PackOptions(), workers=1)
    again = catalog.find(str(tmp_path / "out"), "data")
    assert np.bincount(again.labels["label"].values).tolist() == [1, 1]


def test_names_that_need_no_change_stay():
    names = PictureNames(["cat", "dog"])
    assert names.give("a b (1).x.png") == "a b (1).x.png"
    assert names.give("日本/ü.jpeg") == "日本/ü.png"
    assert names.give("all/cat/1.png", (0, "cat")) == "all/cat/1.png"
    assert names.give("000001", (1, "dog")) == "dog/000001.png"


FORBIDDEN = '"*:<>?\\|'  # on Windows
INVISIBLE = "\0\n\x7f\u202e\u2028\u2029\ue000\u0378"  # of each kind
DEVICES = ["con", "PRN.tar", "aux .x", "nul\u2003", "com0", "COM9.", "com¹", "Lpt²", "lpt³.x"]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        *((f"x{c}y/x{c}y.jpg", "x_y/x_y.png") for c in FORBIDDEN + INVISIBLE),
        *((f"{device}/a.jpg", f"_{device.rstrip('.')}/a.png") for device in DEVICES),
        *((f"{device}.jpg", f"_{device.rstrip('.')}.png") for device in DEVICES),
        ("console/com10.jpg", "console/com10.png"),
        ("__MacOSX/a.jpg", "___MacOSX/a.png"),
        ("a.png/b.JSONL/c.png/d.PNG.jpg", "a_png/b_JSONL/c_png/d.PNG.png"),
        (".a/.b.jpg", "_a/_b.png"),
        ("a. ./b. .jpg", "a/b.png"),
        (" / .jpg", "_/_.png"),
        ("\ud800.jpg", "\N{REPLACEMENT CHARACTER}.png"),
        ("e\u0301/e\u0301.jpg", "é/é.png"),
        (f"{'é' * 150}x/x{'é' * 150}.jpg", f"{'é' * 100}/x{'é' * 99}.png"),
        (f"{'x' * 196}.png.jpg/a.jpg", f"{'x' * 196}_png/a.png"),
        ("/".join(map(str, range(40))), "/".join(map(str, range(24, 40))) + ".png"),
    ],
)
def test_each_part_of_a_name_is_text_on_every_system(name, given):
    """None is a device of Windows, hidden or longer than 200 bytes; the last 15 folders stay."""
    assert PictureNames().give(name) == given


def test_what_is_taken_gets_the_next_number():
    names = PictureNames()
    given = [names.give(f"{name}.jpg") for name in ("a", "A", "a-2", "a", "É", "é", "A-2-2")]
    assert given == ["a.png", "A-2.png", "a-2-2.png", "a-3.png", "É.png", "é-2.png", "A-2-2-2.png"]


def test_each_class_has_a_folder_of_its_own():
    """Where the source has one it is replaced, else it comes first; 15 others may follow."""
    names = PictureNames(["x", "X", "a.png", "a/png", ""])
    assert names.give("1.png", (1, "X")) == "X-2/1.png"
    assert names.give("all/x/a.png/2.png", (2, "a.png")) == "all/x/a_png/2.png"
    assert names.give("all/X/3.png", (1, "X")) == "all/X-2/3.png"
    assert names.give("4.png", (3, "a/png")) == "a_png-2/4.png"
    assert names.give("5.png", (4, "")) == "_/5.png"
    deep = "/".join(map(str, range(20)))
    assert names.give(f"{deep}/4.png", (0, "x")) == f"x/{deep.partition('4/')[2]}/4.png"


def test_many_pictures_of_one_name_take_no_longer_each():
    names = PictureNames()
    start = time.process_time()
    given = {names.give("a.png") for _ in range(20_000)}
    # 0.3 s; looking from 2 on for each would be 200 million comparisons, a minute.
    assert len(given) == 20_000 and time.process_time() - start < 10
