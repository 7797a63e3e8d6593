"""The folder of a crawl by itself: what becomes of each file, and what is remembered of it."""

import os

import pytest
from booru_server import picture
from crawls import download, known_to_gallery_dl, opened, pictures

from dcgan.files import read_json_lines
from dcgan.preparation import crawl_folder


def test_a_duplicate_is_thrown_away_and_never_fetched_again(tmp_path):
    with opened(tmp_path) as folder:
        folder.prepare()
        assert folder.take(download(folder, 1)) == "new"
        for again in ("duplicate", "known"):
            post = download(folder, 1, "site_2.jpg") | {"_archive_key": "k2"}
            assert folder.take(post) == again
            assert os.path.exists(post["_path"]) == (again == "known")
    with opened(tmp_path) as folder:
        assert known_to_gallery_dl(folder) == ["k1", "k2"] and folder.count == 1
    assert list(read_json_lines(folder.records)) and pictures(tmp_path) == {1: picture(1)}


def test_what_is_no_whole_picture_is_thrown_away_and_fetched_again(tmp_path):
    with opened(tmp_path) as folder:
        folder.prepare()
        post = download(folder, 1)
        whole = picture(1)
        for content in (whole[:-100], whole[:-10], whole[: len(whole) // 2], b"", b"words"):
            with open(post["_path"], "wb") as file:
                file.write(content)
            assert folder.take(post) in ("truncated", "empty file", "not an image")
            assert not os.path.exists(post["_path"])
        assert folder.take(post) == "known"  # a file that has gone is none to speak of
        assert known_to_gallery_dl(folder) == [] and not folder.records.exists()
        assert folder.take(download(folder, 1)) == "new"


def test_a_file_larger_than_any_picture_is_not_even_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(crawl_folder, "MAX_FILE_BYTES", len(picture(1)) - 1)
    monkeypatch.setattr(crawl_folder, "open_picture", None)
    with opened(tmp_path) as folder:
        folder.prepare()
        assert "too large for a picture" in folder.take(download(folder, 1))


def test_what_the_user_has_put_there_meanwhile_is_not_overwritten(tmp_path, monkeypatch):
    """Between the line of a picture, which names its file, and its last step."""
    with opened(tmp_path) as folder:
        folder.prepare()
        monkeypatch.setattr(
            folder, "_move_ready", lambda: (tmp_path / "site_1.jpg").write_text("x")
        )
        folder.take(download(folder, 1))
        monkeypatch.undo()
        folder._move_ready()
        assert [line["file"] for line in read_json_lines(folder.records)] == ["site_1.jpg"]
    assert (tmp_path / "site_1.jpg").read_text() == "x"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("site .a.jpg", "site .a.jpg"),
        (" . a.jpg", "a.jpg"),
        ("..jpg", None),
        ("e\u0301.jpg", "é.jpg"),
        ("A.JPG", "A.jpg"),
        ('a:b*"?<|>\\.jpg', "a_b_______.jpg"),
        ("\u202egpj.jpg", "_gpj.jpg"),
        (f"{'初' * 80}.jpg", f"{'初' * 60}.jpg"),
        ("deep/er/Ü.jpg", "deep_er_Ü.jpg"),
        (".hidden.jpg", "hidden.jpg"),
    ],
)
def test_the_name_of_a_file(tmp_path, name, kept):
    with opened(tmp_path) as folder:
        folder.prepare()
        assert folder.take(download(folder, 1, name)) == "new"
        [line] = read_json_lines(folder.records)
        assert kept in (line["file"], None) and not line["file"].startswith((".", " "))


def test_no_two_files_have_one_name_where_case_makes_no_difference(tmp_path):
    """Nor that of the user's own, or of a picture that is gone: its line would speak of another."""
    (tmp_path / "c.jpg").symlink_to("nowhere")
    (tmp_path / "d.jpg").write_bytes(b"mine")
    with opened(tmp_path) as folder:
        folder.prepare()
        for number, name in enumerate(["a.jpg", "A.jpg", "b.jpg", "c.jpg", "d.jpg"]):
            assert folder.take(download(folder, number, name)) == "new"
            (tmp_path / "b.jpg").unlink(missing_ok=True)
        assert folder.take(download(folder, 9, "B.jpg")) == "new"
        files = [line["file"] for line in read_json_lines(folder.records)]
    assert files[0] == "a.jpg" and files[2] == "b.jpg"
    assert len({file.casefold() for file in files} | {"c.jpg", "d.jpg"}) == 8
    assert (tmp_path / "d.jpg").read_bytes() == b"mine"


def test_a_site_s_fields_of_other_kinds_are_left_out(tmp_path):
    odd = {"id": [1], "tags": ["a", 3, None], "rating": {"s": 1}, "source": 5, "md5": True}
    with opened(tmp_path) as folder:
        folder.prepare()
        assert folder.take(download(folder, 1) | odd) == "new"
        assert folder.take(download(folder, 2) | {"tags": "a b", "id": "x", "_url": "u"}) == "new"
        assert folder.take(download(folder, 3) | {"tags": 7}) == "new"
        lines = list(read_json_lines(folder.records))
    told = [[line[n] for n in ("id", "tags", "rating", "source", "md5", "url")] for line in lines]
    assert told == [
        [None, ["a"], None, None, None, None],
        ["x", ["a", "b"], None, None, None, "u"],
        [3, [], None, None, None, None],
    ]
