"""The command crop: what it writes, leaves out and refuses, and that a kill changes nothing."""

import functools
import hashlib
import io
import json
import os
import pickle
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded, fill, noise, orientation, pack, photograph
from PIL import Image, ImageFilter
from running import content, here, run, started, wait_until

from dcgan import UserError
from dcgan.datasets import folder as folders
from dcgan.files import read_json_lines
from dcgan.preparation import cascades, faces
from dcgan.preparation.crop import CropOptions, CropResult, contact_sheet, crop, drawing, look
from dcgan.preparation.crop_folder import CroppedFolder
from dcgan.preparation.faces import FaceSearch

pytest.importorskip("cv2", reason="finding faces needs opencv-python-headless")
pytest.importorskip("imagehash", reason="finding near duplicates needs imagehash")

FLIP = Image.Transpose.FLIP_LEFT_RIGHT
OPTIONS = {"size": 32}


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """Pictures of every kind: faces, copies, blurred, without a face, and no pictures."""
    woman, two = photograph(), Image.new("RGB", (520, 310), "white")
    two.paste(woman, (0, 0))
    two.paste(woman.resize((230, 310)).transpose(FLIP), (290, 0))
    side = woman.transpose(Image.Transpose.ROTATE_90)
    files = {
        "a.jpg": encoded(woman, "JPEG", quality=95),
        "a.png": encoded(woman.transpose(FLIP)),
        "b/two.webp": encoded(two, "WEBP", lossless=True),
        "b/turned.jpg": encoded(side, "JPEG", exif=orientation(6), quality=95),
        "blurred.png": encoded(woman.filter(ImageFilter.GaussianBlur(4))),
        "cut.jpg": encoded(woman, "JPEG")[:5000],
        "noise.bmp": noise("BMP", 90),
        "notes.txt": b"no picture",
        "\u5973 \u00e9.png": encoded(woman.resize((190, 300)).transpose(FLIP)),
    }
    return fill(tmp_path_factory.mktemp("raw") / "raw", files)


@pytest.fixture(scope="module", autouse=True)
def searched_once():
    """In this process each picture is searched once: all here is about what becomes of faces."""
    found, find = {}, faces.find

    def remembered(image: np.ndarray, search: FaceSearch) -> list:
        key = image.shape, image.tobytes(), search
        if key not in found:
            found[key] = find(image, search)
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faces, "find", remembered)
        yield


def words(raw: Path, to: Path, *flags) -> tuple:
    return ("crop", "--from", raw, "--to", to, "--cascade", "frontalface_default", *flags)


def lines_of(to: Path) -> list[dict]:
    return list(read_json_lines(to / "faces.jsonl"))


def whole_of(to: Path) -> dict[str, bytes]:
    """All files of a crop but the lock, which holds the number of the last process."""
    files = {name: data for name, data in content(to).items() if name != ".crop/.lock"}
    beside = CroppedFolder(to)
    return files | {
        path.name: path.read_bytes() for path in (beside.sheet, beside.drawing) if path.exists()
    }


@pytest.fixture(scope="module")
def crop_options() -> CropOptions:
    return CropOptions(str(cascades.find("frontalface_default", Path("unused"))), size=32)


def crop_here(raw: Path, to: Path, crop_options: CropOptions) -> CropResult:
    folder = CroppedFolder(to)
    with folder.open(OPTIONS):
        result = crop(folders.find(raw), folder, crop_options, workers=1)
        folder.sheet.write_bytes(contact_sheet(folder))
        folder.drawing.write_bytes(drawing(folders.find(raw), folder))
        return result


@pytest.fixture(scope="module")
def cropped(raw, tmp_path_factory):
    """(folder, result) of the command."""
    to = tmp_path_factory.mktemp("cropped") / "faces"
    return to, here(*words(raw, to))


# ---- what is written


def test_the_command_writes_faces_and_says_so(cropped):
    to, result = cropped
    assert result.returncode == 0, result.stderr
    lines = lines_of(to)
    kept = [line["file"] for line in lines if line["file"]]
    assert f"{to} holds {len(kept)} faces; boxes, sources, hashes" in result.stdout
    assert f"wrote {len(kept)} faces, left out 1 blurred, " in result.stdout
    assert "Looked at 7 new pictures, 1 of them without a face" in result.stdout
    assert "1: truncated (cut.jpg)" in result.stdout and "(notes.txt)" in result.stdout
    assert f"Look at {to}-contact_sheet.png and {to}-boxes.jpg." in result.stdout
    assert {str(path.relative_to(to)) for path in to.rglob("*.png")} == set(kept)
    assert {Image.open(to / name).size for name in kept} == {(96, 96)}
    # A face has its picture's name; a.png would have been a-0 too.
    assert {"a-0.png", "a.png-0.png", "b/two-1.png", "\u5973 \u00e9-0.png"} <= set(kept)


def test_the_lines_say_where_each_face_is_from(cropped, raw):
    to, _ = cropped
    lines = lines_of(to)
    assert [line["source"] for line in lines] == sorted(line["source"] for line in lines)
    for line in lines:
        assert line["sha256"] == hashlib.sha256((raw / line["source"]).read_bytes()).hexdigest()
    by_source = {line["source"]: line for line in lines}
    assert by_source["blurred.png"]["dropped"] == "blurred"
    assert by_source["blurred.png"]["sharpness"] < 40 < by_source["a.jpg"]["sharpness"]
    assert by_source["noise.bmp"]["dropped"] == "no face found"
    assert not {"cut.jpg", "notes.txt"} & by_source.keys()
    # The same face on its side, put upright: where it was, and a copy.
    upright, turned = by_source["a.jpg"], by_source["b/turned.jpg"]
    assert turned["dropped"] == "near duplicate of a-0.png"
    assert np.abs(np.subtract(upright["box"], turned["box"])).max() <= 3


def test_data_sets_see_the_faces_and_nothing_else(cropped):
    to, _ = cropped
    source = folders.find(to)
    pictures = {name for i, name in enumerate(source.names) if source.is_picture(i)}
    assert pictures == {line["file"] for line in lines_of(to) if line["file"]}


def test_the_pictures_to_look_at_show_faces_and_boxes(cropped):
    to, _ = cropped
    count = sum(line["file"] is not None for line in lines_of(to))  # in a row, 2 pixels apart
    assert Image.open(f"{to}-contact_sheet.png").size == (count * 98 - 2, 96)
    with Image.open(f"{to}-boxes.jpg") as picture:
        assert picture.size == (520, 310)  # of b/two.webp, with the most faces
        pixels = np.asarray(picture).astype(int)
    for line in lines_of(to):
        if line["source"] == "b/two.webp":
            left, top, right, _ = line["crop"]
            red, green, blue = pixels[top + 1, left + 5 : right - 5].mean(0)
            here, elsewhere = (red, green) if line["dropped"] else (green, red)
            assert here - max(elsewhere, blue) > 60


# ---- again


def test_again_does_only_what_is_new(raw, crop_options, tmp_path):
    woman, to, again = photograph(), tmp_path / "faces", tmp_path / "raw"
    shutil.copytree(raw, again)
    crop_here(again, to, crop_options)
    before, times = content(to), {path: path.stat().st_mtime_ns for path in to.rglob("*.png")}
    # Before all others in order; and one mended.
    fill(again, {"_new.png": encoded(woman.resize((256, 220))), "cut.jpg": encoded(woman, "JPEG")})
    result = crop_here(again, to, crop_options)
    assert (result.pictures, [item.name for item in result.skipped]) == (2, ["notes.txt"])
    assert content(to)["faces.jsonl"].startswith(before["faces.jsonl"])
    assert {path: path.stat().st_mtime_ns for path in times} == times
    known = len(before["faces.jsonl"].splitlines())
    assert [line["source"] for line in lines_of(to)[known:]] == ["_new.png", "cut.jpg"]


def test_faces_that_a_user_removed_stay_removed(raw, crop_options, tmp_path):
    to = tmp_path / "to"
    crop_here(raw, to, crop_options)
    (to / "a-0.png").unlink()
    assert crop_here(raw, to, crop_options).pictures == 0
    assert not (to / "a-0.png").exists()


def test_names_depend_on_order_alone(tmp_path):
    folder = CroppedFolder(tmp_path)
    # "a" is taken by a.gif, "a.jpg" by itself; A.jpg is the same file on some systems.
    order = ["a.gif", "a.jpg", "A.jpg", "a.jpg.png", "a", "b/a.gif", "x" * 251 + ".png"]
    given = []
    for name in order:
        given.append(folder.prefix(name))
        folder._remember([{"source": name, "file": None, "faces": 0}])
    assert given == ["a", "a.jpg", "A.jpg_2", "a.jpg.png", "a_2", "b/a", "x" * 200]


# ---- kills


def test_workers_can_be_sent_the_task_and_send_back_what_they_find(raw, crop_options):
    source = folders.find(raw)
    task = functools.partial(look, options=crop_options)
    sent, there = pickle.loads(pickle.dumps((task, source)))
    assert pickle.loads(pickle.dumps(sent(there, 0))) == task(source, 0)
    assert task(source, 0).faces


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(raw, crop_options, tmp_path):
    folder = CroppedFolder(tmp_path / "to")
    with folder.open(OPTIONS):
        crop(folders.find(raw), folder, crop_options, workers=2)
    crop_here(raw, tmp_path / "reference", crop_options)
    assert content(tmp_path / "to") == content(tmp_path / "reference")


def test_wherever_the_lines_break_off_the_files_are_the_same(raw, crop_options, tmp_path):
    reference, to = tmp_path / "1" / "to", tmp_path / "2" / "to"
    crop_here(raw, reference, crop_options)
    wanted = whole_of(reference)
    size = len(wanted["faces.jsonl"])
    for length in (0, 1, size // 3, size // 2, size - 1):
        shutil.rmtree(to.parent, ignore_errors=True)
        shutil.copytree(reference, to)
        os.truncate(to / "faces.jsonl", length)
        (to / "b" / ".two-0.png.77.tmp").write_bytes(b"half")
        (to.parent / ".to-boxes.jpg.77.tmp").write_bytes(b"half")
        crop_here(raw, to, crop_options)
        assert whole_of(to) == wanted, length
        assert not list(to.parent.rglob("*.tmp"))
    shutil.rmtree(to.parent)
    (to / ".crop").mkdir(parents=True)  # all that the first moment leaves
    crop_here(raw, to, crop_options)
    assert whole_of(to) == wanted


def test_a_kill_changes_nothing(raw, tmp_path, cropped):
    wanted, to = whole_of(cropped[0]), tmp_path / "faces"
    with started(*words(raw, to)) as process:
        wait_until(lambda: list(to.glob("b/*.png")), process)  # a face without its line
        process.kill()
        assert process.wait() == -9
    assert len(content(to).get("faces.jsonl", b"")) < len(wanted["faces.jsonl"])
    again = run(*words(raw, to))
    assert again.returncode == 0 and f"Look at {to}-contact_sheet.png" in again.stdout
    assert whole_of(to) == wanted
    assert not list(tmp_path.rglob("*.tmp"))


# ---- refusals


def refused(raw: Path, to: Path, *flags: str) -> str:
    """What the command says when it refuses."""
    result = here(*words(raw, to, *flags))
    assert result.returncode == 2
    return result.stderr.strip()


def test_other_options_are_refused_with_the_differences(cropped, raw):
    to, _ = cropped
    before = whole_of(to)
    message = refused(raw, to, "--size", "64", "--margin", "0.3")
    assert "--margin 0.2 there, 0.3 now; --size 96 there, 64 now" in message
    assert whole_of(to) == before


def test_the_command_refuses_in_one_sentence(raw, tmp_path):
    to = tmp_path / "to"
    assert "nowhere does not exist: expected a folder" in refused(tmp_path / "nowhere", to)
    assert "lies in --from" in refused(raw, raw / "b" / "faces")
    message = refused(raw, to, "--cascade", "frontal")
    assert "--cascade frontal is neither a file nor a known name" in message
    assert list(tmp_path.iterdir()) == []


def test_nothing_foreign_is_mixed_with_or_overwritten(raw, crop_options, tmp_path):
    def refusal(match: str) -> None:
        before = content(tmp_path)
        with pytest.raises(UserError, match=match):
            crop_here(raw, to, crop_options)
        assert content(tmp_path) == before

    to = tmp_path / "to"
    fill(to, {"holiday.jpg": b"mine"})
    refusal(r"crop did not write \(holiday.jpg\): choose another --to")
    (to / "holiday.jpg").unlink()
    fill(tmp_path, {"to-boxes.jpg": b"mine", "file": b"mine"})
    refusal(r"crop did not write \(.*to-boxes.jpg\)")
    (tmp_path / "to-boxes.jpg").unlink()
    to = tmp_path / "file"
    refusal("is a file: expected a folder")


def test_a_file_in_the_way_of_a_face_is_not_overwritten(raw, crop_options, tmp_path):
    to = tmp_path / "to"
    crop_here(raw, to, crop_options)
    (to / "faces.jsonl").write_bytes(b"")
    (to / "a-0.png").write_bytes(b"mine")
    with pytest.raises(UserError, match="a-0.png was not written by crop and is not overwritten"):
        crop_here(raw, to, crop_options)
    assert (to / "a-0.png").read_bytes() == b"mine"


def test_a_second_process_is_refused(raw, crop_options, tmp_path):
    to = tmp_path / "to"
    crop_here(raw, to, crop_options)
    with CroppedFolder(to).open(OPTIONS):
        with pytest.raises(UserError, match="Another process is cropping into"):
            crop_here(raw, to, crop_options)


def test_lines_that_crop_has_not_written_are_refused(raw, crop_options, tmp_path):
    to = tmp_path / "deep" / "to"
    crop_here(raw, to, crop_options)
    (tmp_path / "mine-0.png").write_bytes(encoded(Image.new("RGB", (9, 9), "red")))
    lines = lines_of(to)
    good = next(line for line in lines if line["file"] and line["faces"] == 1)
    known = json.dumps(next(line for line in lines if line["faces"] == 0))
    far = ["../../mine-0.png", "a/../../../mine-0.png", "..", "", "a\0", "\ud800", 7, ["a"], True]
    far += [str(tmp_path / "mine-0.png"), "/", {}]
    odd = [{name: value} for name in ("source", "file") for value in far] + [{"source": None}]
    odd += [{"fingerprint": value} for value in ("f" * 17, "-1", "", None, "0x1", 7, "9" * 5000)]
    odd += [{"faces": value} for value in (0, 0.5, 1e999, "1", None, True, [])]
    odd += [{"face": value} for value in (-1, True, 0.0, "0", None)]
    boxes = (None, [], [1, 2, 3], [0, 0, 1e999, 1], [9, 0, 1, 9], [0, 0, 10**30, 1], "abcd", 7)
    odd += [{name: value} for name in ("box", "crop") for value in boxes]
    texts = [json.dumps(good | change) for change in odd]
    texts += ["[]", "{", json.dumps({"face": 0})]
    texts += [known, "[" * 100_000, "9" * 5000, "null", '"x"', json.dumps(good)[:-1], "\0"]
    for text in texts:
        (to / "faces.jsonl").write_text(f"{known}\n{text}\n")
        with pytest.raises(UserError, match="Line 2 of .* is not as crop wrote it: restore"):
            with CroppedFolder(to).open(OPTIONS):
                pass
    for text in ("[" * 100_000, "9" * 5000, "null", "[]", "\0"):
        (to / ".crop" / "options.json").write_text(text)
        with pytest.raises(UserError, match="options.json is not as crop wrote it: restore"):
            with CroppedFolder(to).open(OPTIONS):
                pass


@pytest.mark.parametrize("name", ["faces.jsonl", ".crop", ".crop/.lock", "b"])
def test_links_lead_crop_nowhere(raw, crop_options, tmp_path, name):
    mine, to = tmp_path / "mine", tmp_path / "to"
    fill(mine, {"options.json": json.dumps(OPTIONS).encode(), "thesis.txt": b"years of work"})
    fill(to, {".crop/options.json": json.dumps(OPTIONS).encode()})
    if name == ".crop":
        shutil.rmtree(to / name)
    (to / name).symlink_to(mine / "thesis.txt" if name in ("faces.jsonl", ".crop/.lock") else mine)
    before = content(mine)
    with pytest.raises(UserError, match="is a link, which crop never|outside .*where a link leads"):
        crop_here(raw, to, crop_options)
    assert content(mine) == before


def test_what_lies_in_the_place_of_a_face_is_passed_over(raw, crop_options, tmp_path):
    to = tmp_path / "to"
    crop_here(raw, to, crop_options)
    (to / "a-0.png").unlink()
    os.mkfifo(to / "a-0.png")
    (to / "a.png-0.png").write_bytes(encoded(Image.new("RGB", (900, 900), "red")))
    (to / "b" / "two-1.png").unlink()
    (to / "b" / "two-1.png").mkdir()
    folder = CroppedFolder(to)
    with folder.open(OPTIONS):
        with Image.open(io.BytesIO(contact_sheet(folder))) as sheet:
            assert sheet.height == 32  # of the smallest; the large one is no larger on it


def test_names_in_a_zip_lead_nowhere_else(tmp_path):
    bad = ["../../evil.png", "/evil.png", "..\\evil.png", "a/../../evil.png", "C:\\evil.png"]
    bad += ["x" * 300 + "/a.png", "dd/" * 600 + "a"]
    good = ["a\r\x1b[2J.png", "y" * 300 + ".png"]
    pack(tmp_path / "raw.zip", dict.fromkeys(bad + good, encoded(photograph())))
    to = tmp_path / "deep" / "er" / "to"
    result = here(*words(tmp_path / "raw.zip", to, "--similarity", "0"))
    assert result.returncode == 0 and "\x1b" not in result.stdout + result.stderr
    assert "5: unsafe name" in result.stdout and "2: name too long" in result.stdout
    inside = {path.name for path in to.rglob("*.png")}
    assert {path.name for path in tmp_path.rglob("*-0.png")} == inside and len(inside) == 1


def test_of_files_of_one_name_in_an_archive_the_first_is_cropped(tmp_path):
    """As `tar -r` and `zipfile` in mode "a" leave them; the folder can still be continued."""
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the same name
        for side in (90, 91):
            archive.writestr("noise.png", noise("PNG", side))
    for count in (1, 0):
        result = here(*words(tmp_path / "raw.zip", tmp_path / "to"))
        assert result.returncode == 0, result.stderr
        assert "raw.zip: 1 found, 1 used, 0 skipped.\n" in result.stdout
        assert f"Looked at {count} new pictures" in result.stdout
    assert len(lines_of(tmp_path / "to")) == 1


def test_without_any_face_it_says_what_to_try(tmp_path):
    fill(tmp_path / "raw", {"noise.png": noise("PNG", 90)})
    result = here(*words(tmp_path / "raw", tmp_path / "to"))
    assert result.returncode == 0
    assert "No face was found or kept: try a smaller --min_size or --min_sharp" in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw", "to"]
