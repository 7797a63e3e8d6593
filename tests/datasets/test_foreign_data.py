"""What `--dataset` may name besides pictures: a sentence says what it is and what to do."""

import gzip
import pickle
import sys

import pytest
from pictures import fill, red, sentence

from dcgan.datasets import catalog


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.rar", b"Rar!\x1a\x07\x01\0" + bytes(99), ("a RAR archive", "unrar x a.rar")),
        ("a.7z", b"7z\xbc\xaf\x27\x1c\0\4" + bytes(99), ("a 7z archive", "7z x a.7z")),
        ("a.zst", b"\x28\xb5\x2f\xfd" + bytes(99), ("packed by zstd", "unzstd a.zst")),
        ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(99), ("an HDF5 file", "numpy.savez")),
        ("a.pkl", pickle.dumps({"images": [0]}), ("a pickle, which can run any program",)),
        ("a.gz", gzip.compress(b"words", mtime=0), ("one packed file and no archive",)),
        ("a.arrow", b"ARROW1\0\0" + bytes(99), ("an Arrow file", "to_parquet")),
        ("a.db", b"SQLite format 3\0" + bytes(99), ("a database",)),
        ("a.png", red(), ("is one picture", "name the folder")),
        ("a.zip", red(), ("is one picture",)),
        ("a.csv", b"label,pixels\n1,2\n", ("is not a complete zip file",)),
    ],
)
def test_files(tmp_path, name, data, words):
    said = sentence(fill(tmp_path, {name: data}) / name)
    assert name in said and all(word in said for word in words)


def test_the_folder_of_a_picture_here_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(fill(tmp_path / "faces", {"a.png": red()}))
    assert sentence("a.png").endswith(f"such as {tmp_path / 'faces'}.")


@pytest.mark.parametrize("scheme", ["https", "HTTP", "ftp"])
def test_web_addresses_are_not_fetched(scheme):
    said = sentence(f"{scheme}://example.org/faces.zip")
    assert "is a web address" in said and "curl -LO" in said


def test_a_web_page_is_not_for_curl():
    said = sentence("https://www.kaggle.com/datasets/jessicali9530/celeba-dataset?select=a")
    assert "from it: download it there, and name the file" in said and "curl" not in said


def test_an_address_of_hugging_face():
    for address in ("https://huggingface.co/datasets/a/faces/tree/main", "hf://datasets/a/faces"):
        assert "hf download a/faces --repo-type dataset --local-dir data/faces" in sentence(address)


def test_file_addresses_are_paths(tmp_path):
    path = fill(tmp_path / "my faces", {"a.png": red()})
    source = catalog.find(path.as_uri(), "none")
    assert "%20" in path.as_uri() and source.names == ["a.png"]
    assert catalog.place(path.as_uri(), "none") == catalog.place(str(path), "none")


def test_what_a_missing_library_would_read(tmp_path, monkeypatch):
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    for place in (fill(tmp_path, {"a.parquet": b"PAR1PAR1"}) / "a.parquet", tmp_path):
        assert "needs pyarrow, not installed here: run pip install" in sentence(place)
