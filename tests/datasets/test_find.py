"""What a path holds: which files count, labels, fingerprints, and what is said where none do."""

import errno
import os
import zipfile

import numpy as np
import pytest
import requests
from pictures import bomb, decoded, fill, noise, pack, reasons, red

from dcgan import UserError
from dcgan.datasets import catalog, mnist
from dcgan.datasets.folder import FolderSource, ZipSource, find
from dcgan.run.run_dir import RunDir


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_hidden_files_are_passed_over(tmp_path, kind):
    files = {
        "b.png": red(),
        "sub/deep/a.png": red(),
        ".hidden.png": red(),
        ".thumbs/c.png": red(),
        "__MACOSX/._b.png": b"x",
        "sub/.DS_Store": b"x",
    }
    path = fill(tmp_path, files) if kind == "folder" else pack(tmp_path / "a.zip", files)
    assert find(path).names == ["b.png", "sub/deep/a.png"]


def test_links_are_followed_once(tmp_path):
    fill(tmp_path, {"real/a.png": red()})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "circle").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "broken.png").symlink_to(tmp_path / "nothing")
    assert find(tmp_path / "data").names == ["link/a.png"]


def test_who_trains_in_the_folder_of_the_pictures_does_not_train_on_grids(tmp_path):
    run = RunDir(tmp_path / "runs" / "here-8x8x3")
    kept = [path.relative_to(tmp_path).as_posix() for path in (run.config, run.environment)]
    fill(tmp_path, {"a.png": red(), "runs/here-8x8x3/samples/1.png": red()})
    fill(tmp_path, dict.fromkeys(kept, b"{}"))
    assert find(tmp_path).names == ["a.png"]
    assert "samples/1.png" in find(run.root).names  # when it is asked for


def test_what_may_not_be_looked_at_is_skipped_and_named(tmp_path, monkeypatch):
    """As `lost+found` at the top of a disk; the superuser of tests may read everything."""
    fill(tmp_path, {"a/1.png": red(), "lost+found/1.png": red(), "no.png": red()})
    (tmp_path / "a" / "itself.png").symlink_to("itself.png")
    look = os.scandir

    def look_if_allowed(path):
        if str(path).rstrip("/") in forbidden:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return look(path)

    monkeypatch.setattr(os, "scandir", look_if_allowed)
    forbidden = {str(tmp_path / "lost+found")}
    source = find(tmp_path)
    assert source.names == ["a/1.png", "a/itself.png", "lost+found", "no.png"]
    said = reasons(source)
    assert said.pop("a/itself.png").startswith("cannot be read (") and set(said) == {"lost+found"}
    forbidden.add(str(tmp_path))
    with pytest.raises(UserError, match="The folder .* cannot be read .Permission denied"):
        find(tmp_path)


def test_pattern_ignores_case_and_folders(tmp_path):
    fill(tmp_path, {"A.JPG": red(), "x/b.jpg": red(), "c.png": red(), "x.jpg/d.png.txt": red()})
    assert find(tmp_path, "*.jpg").names == ["A.JPG", "x/b.jpg"]
    for pattern in ("[A-C].*", "*.png,*.jpg", " *.JPG , *.png"):
        assert find(tmp_path, pattern).names == ["A.JPG", "c.png", "x/b.jpg"]
    assert '"*.bmp,*.tif"' in said(tmp_path, "*.bmp,*.tif")


LABELLED = {
    "cat/1.png": red(),
    "cat/more/2.png": red(),
    "dog/1.png": red(),
    "bird/1.png": red(),
}


@pytest.mark.parametrize("prefix", ["", "top/img_align/"])
def test_top_folders_are_labels(tmp_path, prefix):
    files = {prefix + name: data for name, data in LABELLED.items()}
    files |= {"README.md": b"words", prefix + "list.csv": b"a,b"}  # no pictures: no matter
    source = find(fill(tmp_path, files))
    label = source.labels["label"]
    assert label.names == ("bird", "cat", "dog") and label.values.dtype == np.int32
    names = [label.names[v] for v in label.values]
    got = {file.removeprefix(prefix): n for file, n in zip(source.names, names, strict=True)}
    assert {f: got[f] for f in LABELLED} == {f: f.split("/")[0] for f in LABELLED}


@pytest.mark.parametrize(
    "files", [["1.png"], ["a/1.png", "a/2.png"], ["a/1.png", "b/1.png", "loose.png"]]
)
def test_no_labels_without_several_folders_that_hold_everything(tmp_path, files):
    assert find(fill(tmp_path, dict.fromkeys(files, red()))).labels == {}


def test_unsafe_names_do_not_become_labels(tmp_path):
    files = dict.fromkeys(["all/a/1.png", "all/b/1.png", "../evil/1.png"], red())
    assert find(pack(tmp_path / "a.zip", files)).labels["label"].names == ("a", "b")


def test_fingerprint_changes_with_the_files_and_only_then(tmp_path):
    fill(tmp_path, {"a.png": red(), "b.png": red()})
    first = find(tmp_path).fingerprint
    assert find(tmp_path).fingerprint == first
    status = (tmp_path / "a.png").stat()
    os.utime(tmp_path / "a.png", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    touched = find(tmp_path).fingerprint
    (tmp_path / "b.png").rename(tmp_path / "c.png")
    renamed = find(tmp_path).fingerprint
    assert len({first, touched, renamed, find(tmp_path, "a*").fingerprint}) == 4


def test_fingerprint_of_a_zip_is_of_its_content(tmp_path):
    one = find(pack(tmp_path / "1.zip", {"a.png": red(), "b.png": red()})).fingerprint
    assert find(pack(tmp_path / "2.zip", {"a.png": red(), "b.png": red()})).fingerprint == one
    assert find(pack(tmp_path / "3.zip", {"a.png": red(), "b.png": bomb(8, 8)})).fingerprint != one


def test_a_folder_with_one_zip_and_no_pictures_is_that_zip(tmp_path):
    pack(tmp_path / "faces.ZIP", {"a.jpg": red(), "b.png": red()})
    fill(tmp_path, {"list_attr.txt": b"words"})
    assert isinstance(find(tmp_path), ZipSource)
    assert find(tmp_path, "*.jpg").names == ["a.jpg"]
    fill(tmp_path, {"picture.png": red()})
    assert isinstance(find(tmp_path), FolderSource)


def said(path, pattern="*") -> str:
    """The one sentence of the error."""
    with pytest.raises(UserError) as error:
        find(path, pattern)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_said_of_places_without_pictures(tmp_path):
    assert "does not exist" in said(tmp_path / "nowhere")
    empty = fill(tmp_path / "empty", {".hidden": b"x"})
    assert "no files" in said(empty)
    assert "no files" in said(pack(tmp_path / "empty.zip", {}))
    words = fill(tmp_path / "words", {f"{i}.txt": b"words" for i in range(7)} | {"8.txt": b""})
    assert "looked at 8 files (7 not an image (0.txt, 1.txt, 2.txt, 3.txt, 4.txt, ...); " in said(
        words
    )
    assert "1 empty file (8.txt)" in said(words)


def test_what_is_said_of_a_pattern_that_matches_nothing(tmp_path):
    files = {"a.jpg": red(), "b.jpg": red(), "c.csv": b"x", "README": b"x"}
    for path in (fill(tmp_path / "folder", files), pack(tmp_path / "a.zip", files)):
        sentence = said(path, "*.png")
        assert '"*.png"' in sentence and "4 files" in sentence
        assert ".jpg (2)" in sentence and ".csv (1)" in sentence and "none (1)" in sentence


def test_what_is_said_of_no_zip(tmp_path):
    assert "not a complete zip file" in said(fill(tmp_path, {"a.zip": b"words"}) / "a.zip")
    whole = pack(tmp_path / "b.zip", {"a.png": noise("PNG")}).read_bytes()
    assert "not a complete zip file" in said(fill(tmp_path, {"cut.zip": whole[:-30]}) / "cut.zip")
    assert "3 archives" in said(tmp_path) and "a.zip" in said(tmp_path)


def test_backslashes_between_the_folders_of_a_zip(tmp_path):
    """Compress-Archive of Windows PowerShell 5 writes them, for folders of their own too."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in (
            "animals\\cats\\1.png",
            "animals\\dogs\\1.png",
            "animals\\dogs\\.thumb\\2.png",
        ):
            info = zipfile.ZipInfo("x")
            info.filename = name  # which zipfile itself would have changed on Windows
            archive.writestr(info, red())
        archive.writestr("animals\\cats\\", b"")
    source = find(tmp_path / "a.zip")
    assert source.names == ["animals/cats/1.png", "animals/dogs/1.png"]
    assert source.labels["label"].names == ("cats", "dogs")
    assert len(decoded(source).indices) == 2


@pytest.mark.parametrize("place", ["mnist/3/a.png", "mnist.zip", "MNIST/pictures.zip"])
def test_own_pictures_in_the_place_of_a_published_data_set(tmp_path, monkeypatch, place):
    """They are used, and nothing is downloaded beside them."""
    monkeypatch.setattr(requests, "get", lambda *_, **__: pytest.fail("it asks the network"))
    if place.endswith(".zip"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        pack(tmp_path / place, {"3/a.png": red()})
    else:
        fill(tmp_path, {place: red()})
    source = catalog.find("mnist", str(tmp_path))
    assert [name.rpartition("/")[2] for name in source.names] == ["a.png"]
    assert "name another --data_dir" in source.notes[0]
    assert [catalog.find("mnist", str(tmp_path), pattern="*.png").names] == [source.names]


def test_published_files_go_before_pictures_beside_them(tmp_path):
    for stem in mnist.STEMS["train"]:
        fill(tmp_path, {f"mnist/{stem}": b"", "mnist/samples/a.png": red()})
    assert catalog.find("mnist", str(tmp_path)).name == "mnist"
    assert catalog.find("mnist", str(tmp_path)).notes == ()


@pytest.mark.parametrize("files", [{}, {"mnist/README": b"words", "mnist/x.gz.part": b"x"}])
def test_without_pictures_the_published_files_are_asked_for(tmp_path, files):
    fill(tmp_path, files)
    with pytest.raises(UserError, match="train-images-idx3-ubyte.gz is not in"):
        catalog.find("mnist", str(tmp_path), download=False)
