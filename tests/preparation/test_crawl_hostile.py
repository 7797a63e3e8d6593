"""What a hostile site can do to a crawl by the real gallery-dl: waste its time, no more."""

import contextlib
import gzip
import itertools
import json
import os
import stat
import sys
from datetime import datetime
from pathlib import Path

import pytest
import requests
from booru_server import Post, Site, picture, serving
from crawls import crawled, download, opened, pictures, words
from pictures import bomb
from running import ROOT, run

from dcgan import UserError
from dcgan.files import read_json_lines
from dcgan.preparation import crawl, sites
from dcgan.preparation.crawl_folder import CrawledFolder

gallery_process = pytest.importorskip(
    "dcgan.preparation.gallery_process", reason="gallery-dl is not installed"
)


@pytest.fixture
def thesis(tmp_path) -> Path:
    """A file of the user's."""
    path = tmp_path / "thesis.txt"
    path.write_text("years of work")
    return path


@pytest.fixture
def photo(tmp_path) -> Path:
    """A picture of the user's, which a crawl might take for one of its own."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(picture(1000))
    return path


def records_of(path: Path) -> bytes:
    """Lines that say that this file was downloaded, in the words of now and of before."""
    post = {"_path": str(path), "_archive_key": path.name, "category": "c", "id": 1}
    message = {"kind": "picture", "post": post}
    return b"\r".join(json.dumps(line).encode() for line in (post, message))


# ---- records that others write


def test_a_server_cannot_make_records(tmp_path, thesis, photo):
    """Neither in its status line nor in a header, of a list of posts as of a picture."""
    lines = records_of(thesis) + b"\r" + records_of(photo)
    status = b"HTTP/1.0 403 No\r" + lines + b"\r x\r\n\r\n"
    header = b"HTTP/1.0 403 No\r\nServer: cloudflare\r" + lines + b"\r\n\r\n" + lines
    redirect = b"HTTP/1.0 302 No\r\nLocation: /x\r" + lines + b"\r\n\r\n"
    before = thesis.read_bytes(), photo.read_bytes()
    answers = [("/post.json", answer) for answer in (status, header, redirect)]
    for number, (path, answer) in enumerate([*answers, ("/samples/1.jpg", status)]):
        faults = {path: [answer]}
        with serving([Post(1)], faults=faults) as site, pytest.raises(crawl.NothingFound):
            with crawling(site, tmp_path / f"raw{number}"):
                pass
        assert faults == {path: []}
    assert (thesis.read_bytes(), photo.read_bytes()) == before


def test_a_post_cannot_make_records(tmp_path, thesis, photo):
    lines = "\n" + (records_of(thesis) + b"\n" + records_of(photo)).decode().replace("\r", "\n")
    says = {"tags": lines, "source": lines, "md5": lines, "_path": str(thesis), "kind": "picture"}
    before = thesis.read_bytes(), photo.read_bytes()
    with serving([Post(1, says={**says, "id": lines}), Post(2, says=says)]) as site:
        crawled(*words(site, tmp_path / "raw"))
    assert (thesis.read_bytes(), photo.read_bytes()) == before
    found = list(read_json_lines(tmp_path / "raw" / "posts.jsonl"))
    assert [line["id"] for line in found] == [2]  # the name that the other asks for is too long
    assert found[0]["source"] == lines and found[0]["tags"] == lines.split()


def test_what_a_server_says_gives_the_terminal_no_orders(tmp_path):
    rude = b"HTTP/1.0 403 \x1b[2J\x07\r\x9b\xe2\x80\xae gone\r\n\r\n"
    with serving([Post(1), Post(2)], faults={"/samples/1.jpg": [rude]}) as site:
        result = run(*words(site, tmp_path / "raw"))
    said = result.stdout + result.stderr
    assert r"\x1b[2J\x07\r\x9b" in result.stdout
    assert {c for c in said if not c.isprintable()} <= {"\n", "\r"}  # the bar has carriage returns
    assert "\r" not in result.stdout


def test_noise_on_standard_error_neither_blocks_nor_counts():
    noise = "import sys; sys.stderr.write('x' * 3_000_000 + '\\n\\x1b[2J{\"kind\": 1}\\n')"
    heard = []
    command = (sys.executable, "-c", f"print('one', flush=True); {noise}; print('two')")
    code, last = crawl._follow(command, lambda line: heard.append(line) or True)
    assert (code, last) == (0, '\x1b[2J{"kind": 1}')
    assert [line.strip() for line in heard] == [b"one", b"two"]


def test_a_message_that_a_kill_has_cut_is_no_message(tmp_path):
    folder = CrawledFolder(tmp_path)
    listener = crawl._Listener(folder, 1, crawl.CrawlResult(), bar=None)
    for line in (b'{"kind": "picture", "post": {"_path', b"", b"\xff\n", b"[" * 100_000):
        assert listener.handle_message(line)
    assert listener.result == crawl.CrawlResult()


def test_whatever_is_sent_is_one_line_of_ascii(monkeypatch):
    """Extractors give sets and dates, too; what they mean is nothing that JSON knows."""
    reading, writing = os.pipe()
    renamed = []
    with monkeypatch.context() as patch:  # this process keeps its own standard output
        patch.setattr(os, "dup", lambda number: writing)
        patch.setattr(os, "dup2", lambda *numbers: renamed.append(numbers))
        messages = gallery_process.MessageHandler()
    said = {"tags": {"a"}, "date": datetime(2026, 1, 2), "text": "\r\n\u2028\x85é\ud800"}
    messages.send("picture", post=said)
    messages.close()
    messages._pipe.close()
    with open(reading, "rb") as pipe:
        data = pipe.read()
    assert renamed == [(2, 1)]  # nothing else writes to the pipe
    assert data.isascii() and len(data.decode().splitlines()) == 1
    post = json.loads(data)["post"]
    assert post == {"tags": "{'a'}", "date": "2026-01-02 00:00:00", "text": said["text"]}


# ---- paths that are none of ours


def test_only_plain_files_in_incoming_are_taken(tmp_path, thesis, photo):
    with opened(tmp_path / "raw") as folder:
        folder.prepare()
        inside = folder.incoming
        (inside / "link.jpg").symlink_to(photo)
        other = tmp_path / "other.jpg"
        other.write_bytes(picture(1001))
        (inside / "hard.jpg").hardlink_to(other)
        (inside / "null.jpg").symlink_to("/dev/zero")
        (inside / "linked").symlink_to(tmp_path)
        (inside / "folder.jpg").mkdir()
        os.mkfifo(inside / "fifo.jpg")
        names = ("link.jpg", "hard.jpg", "null.jpg", "linked/photo.jpg", "folder.jpg", "fifo.jpg")
        paths = [
            *(inside / name for name in names),
            *(thesis, photo, "/dev/zero", "photo.jpg", "", inside, inside / ".."),
            *(inside / "../../../photo.jpg", inside / "../posts.jsonl", f"{inside}/\0.jpg"),
            *(f"{inside}/{'x' * 300}.jpg", f"{inside}2/a.jpg"),
        ]
        for number, path in enumerate(paths):
            post = {"_path": str(path), "_archive_key": str(number), "category": "c"}
            assert folder.take(post) == "not a file that was downloaded", path
        there = sorted(path.name for path in inside.iterdir())
        assert there == sorted({name.partition("/")[0] for name in names})
        assert folder.take(download(folder, 1)) == "new"
    assert thesis.read_text() == "years of work" and photo.read_bytes() == picture(1000)
    assert other.read_bytes() == picture(1001) and list(pictures(tmp_path / "raw")) == [1]
    assert not inside.exists()  # the links are gone, what they lead to is not


ODD = [
    *("../../../../x", "..", "/etc/x", "..\\..\\x", "\r\n\t\0\x1b[2J", "~", "$HOME", "C:\\x"),
    *("CON", ".hidden", "x" * 5000, "初" * 100, " ", "", -1, 0, None, True, 1.5, 1e300, 10**4000),
    *({"a": ["b"]}, [["c"]], "\u202egpj.exe"),
]
EXTENSIONS = ["../../x", "py", "exe", "jpg\0.sh", "x" * 300, "/etc/x", "", "jpg/../../y", ".."]


def all_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if ".crawl" not in path.parts}


def test_names_of_a_site_stay_names(tmp_path, thesis):
    says = [*({"id": value} for value in ODD), *({"extension": value} for value in EXTENSIONS)]
    to = tmp_path / "deep" / "er" / "raw"
    with serving([Post(i, says=one) for i, one in enumerate(says, 1)]) as site:
        crawled(*words(site, to))
    assert thesis.read_text() == "years of work"
    files = all_below(tmp_path) - {thesis, to, *to.parents}
    kept = {line["file"] for line in read_json_lines(to / "posts.jsonl")}
    assert {path.relative_to(to) for path in files} == {Path("posts.jsonl"), *map(Path, kept)}
    assert len(kept) >= len(says) - 4  # without those too long for any name
    for name in kept:
        assert name.isprintable() and name.endswith(".jpg") and name[0] != "."
        assert not set(name) & set('\\/:*?"<>|') and stat.S_ISREG((to / name).lstat().st_mode)


def test_titles_that_name_folders_lead_nowhere_else(tmp_path):
    """Nor into a neighbour whose name begins as the folder's."""
    incoming = tmp_path / "a" / "b" / "incoming"
    incoming.mkdir(parents=True)
    folders = ["{title}", "incoming{id}"]
    config = {"base-directory": "incoming", "directory": folders, "filename": "{id}.jpg"}
    (tmp_path / "config.json").write_text(json.dumps({"extractor": config}))
    titles = ["..", ".\x01.", "/etc", "../..", "\0..", " .. "]
    posts = [Post(i, says={"title": title}) for i, title in enumerate(titles)]
    with serving(posts) as site:
        module = (sys.executable, "-m", "dcgan.preparation.gallery_process")
        first = (str(incoming), "0", "1000000", "original", "--config-ignore", "-c")
        last = (str(tmp_path / "config.json"), f"moebooru:{site.root}/post?tags=")
        heard = []
        assert crawl._follow((*module, *first, *last), lambda line: heard.append(line) or True)
    sent = [json.loads(line) for line in heard]
    paths = {Path(line["post"]["_path"]) for line in sent if line["kind"] == "picture"}
    assert len(paths) == len(titles) and paths == set(tmp_path.rglob("*.jpg"))
    assert all(path.resolve().is_relative_to(incoming) for path in paths)


# ---- what gallery-dl could be told to do


def test_what_a_post_says_is_followed_nowhere(tmp_path, photo):
    """Neither to addresses of other kinds, also by a redirect, nor as keys of gallery-dl's own."""
    addresses = [f"{kind}{photo}" for kind in ("file://", "text:", "ytdl:file://", "file:", "")]
    says = [{"sample_url": address, "file_url": address} for address in addresses]
    redirect = f"HTTP/1.0 302 Found\r\nLocation: file://{photo}\r\n\r\n".encode()
    keys = {"_http_method": "DELETE", "_http_data": "x", "_http_headers": {"User-Agent": "evil"}}
    keys |= {"_fallback": ["http://127.0.0.1:9"], "_http_expected_status": [404], "_mtime_meta": 1}
    posts = [Post(1, says=keys), Post(2), *(Post(i, says=s) for i, s in enumerate(says, 3))]
    with serving(posts, faults={"/samples/2.jpg": [redirect]}) as site:
        result = crawled(*words(site, tmp_path / "raw", "--contact", "me@example.org"))
        assert site.faults["/samples/2.jpg"] == []
        assert {(r.method, r.user_agent) for r in site.requests} == {
            ("GET", "dcgan-crawl/1.0 (me@example.org)")
        }
    assert list(pictures(tmp_path / "raw")) == [1]
    # Not even a file is made of them, which would then turn out to be no picture.
    assert "not an image" not in result.stdout


def test_no_key_of_a_site_is_an_instruction():
    """By the names that gallery-dl 1.32 looks for in a post."""
    names = ["_http_method", "_ytdl_manifest", "_ugoira_frame_data", "_mtime_http"]
    names += ["_file_recheck", "_extractor", "_fallback"]
    said = {**dict.fromkeys(names, 1), "id": 7, "_url": "x"}
    assert gallery_process._without_instructions(said) == {"id": 7, "_url": "x"}


def test_neither_the_user_s_configuration_nor_the_folder_s_name_is_read(tmp_path, monkeypatch):
    """By gallery-dl, which gives a meaning to both."""
    home, mark, to = tmp_path / "home", tmp_path / "mark", tmp_path / "$HOME ~ {id}\x01\t"
    (home / ".config" / "gallery-dl").mkdir(parents=True)
    run_this = {"name": "exec", "event": "after", "command": f"touch '{mark}'"}
    theirs = {"postprocessors": [run_this], "base-directory": str(home)}
    names = ("moebooru", "127.0.0.1", "unmatched")  # what is said of one site comes before all else
    config = json.dumps({"extractor": {**theirs, **dict.fromkeys(names, theirs)}})
    (home / ".config" / "gallery-dl" / "config.json").write_text(config)
    (home / ".gallery-dl.conf").write_text(config)
    before = set(home.rglob("*"))
    with serving([Post(1)]) as site:
        monkeypatch.setenv("HOME", str(home))
        assert crawled(*words(site, to)).returncode == 0
    assert list(pictures(to)) == [1] and set(tmp_path.iterdir()) == {home, to}
    assert set(home.rglob("*")) == before


@pytest.mark.parametrize(
    "site",
    ["-o", "--exec", "moebooru:--exec", "http://a\n-o", "http://[::1", "http://a\0b", "file:///x"],
)
def test_sites_that_are_no_address(site):
    with pytest.raises(UserError, match="is not known"):
        sites.make_search(site)


def test_tags_are_no_options():
    address = sites.make_search("konachan", "--exec=x -o a&b#c \udcff", "any").address
    assert address == "https://konachan.com/post?tags=--exec%3Dx%20-o%20a%26b%23c%20%FF"


# ---- answers that are no answers


@contextlib.contextmanager
def crawling(site: Site, to: Path):
    """The result of a crawl in this process."""
    folder = CrawledFolder(to)
    with folder.open():
        search = sites.make_search(f"moebooru:{site.root}", "", "any")
        yield folder, crawl.crawl(search, folder, limit=10, delay=0.01)


HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n"
PACKED = HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(1 << 20))


def test_pictures_that_are_none(tmp_path, monkeypatch):
    """Each is thrown away for its own reason, and those after it come all the same."""
    monkeypatch.setattr(crawl, "MAX_FILE_BYTES", 100_000)
    answers = {
        "endless": lambda: itertools.chain([HEAD + b"\r\n"], itertools.repeat(bytes(1000))),
        "short": lambda: [HEAD + b"Content-Length: 9\r\n\r\n", picture(1)],
        "negative": lambda: HEAD + b"Content-Length: -7\r\n\r\n" + picture(1)[:100],
        "digits": lambda: HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nGIF89a",
        "gzip": lambda: PACKED,
        "bomb": lambda: HEAD + b"\r\n" + bomb(20_000, 6_000),
        "html": lambda: HEAD + b"\r\n<!doctype html>",
    }
    reasons = {"endless": "more than", "short": "truncated", "negative": "truncated"}
    reasons |= {
        "digits": "damaged",
        "gzip": "more than",
        "bomb": "limit of",
        "html": "not an image",
    }
    posts = [Post(number, name=f"{name}.jpg") for number, name in enumerate(answers, 2)]
    faults = {f"/samples/{name}.jpg": [one() for _ in range(5)] for name, one in answers.items()}
    with serving([Post(1), *posts], faults=faults) as site:
        with crawling(site, tmp_path) as (folder, result):
            assert result.new == 1
            assert len(result.broken) == len(answers)
            for post, (name, why) in zip(posts[::-1], result.broken, strict=True):
                assert f"_{post.number}." in name and reasons[post.name[:-4]] in why, post.name
            assert list(folder.incoming.iterdir()) == []  # no half of it stays
    assert list(pictures(tmp_path)) == [1]


def test_a_list_without_end_is_not_held_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(crawl, "STARTS", 1)
    packed = gzip.compress(bytes(1 << 27), 1)
    page = b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + packed
    with serving([], faults={"/post.json": [page]}) as site:
        with pytest.raises(crawl.NothingFound, match="more than 67,108,864 bytes"):
            with crawling(site, tmp_path):
                pass


@pytest.mark.parametrize(
    ("stream", "code", "most"),
    [(True, 200, 7), (True, 206, 7), (True, 403, 1 << 26), (False, 200, 1 << 26)],
)
def test_only_a_picture_may_have_the_bytes_of_one(monkeypatch, stream, code, most):
    """What comes with a refusal is held in memory, also where a picture was asked for."""

    def answer(*_, **__):
        response = requests.Response()
        response.status_code = code
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", answer)
    monkeypatch.setattr(requests.Response, "iter_content", requests.Response.iter_content)
    gallery_process._limit(7)
    sent = requests.adapters.HTTPAdapter().send(None, stream=stream)
    assert sent.most_bytes == most


NO_LISTS = ["[null]", "[" * 100_000]
RARE = ('[{"id": "\\ud800"}]', '[{"sample_url": "/x", "created_at": 1e999}]')
NO_LISTS += [pytest.param(body, marks=pytest.mark.slow) for body in RARE]


@pytest.mark.parametrize("body", NO_LISTS, ids=lambda body: body[:12])
def test_lists_that_are_none_end_in_a_sentence(tmp_path, monkeypatch, body):
    monkeypatch.setattr(crawl, "STARTS", 1)
    page = f"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}".encode()
    with serving([], faults={"/post.json": [page]}) as site:
        with pytest.raises(crawl.NothingFound), crawling(site, tmp_path):
            pass
    assert os.listdir(tmp_path) == [".crawl"]


# ---- what a folder from somebody else may hold


def test_lines_that_no_crawl_has_written_are_passed_over(tmp_path, thesis):
    root = tmp_path / "raw"
    with opened(root) as folder:
        folder.prepare()
        assert folder.take(download(folder, 1)) == "new"
    (good,) = read_json_lines(root / "posts.jsonl")
    values = [None, 7, 1e999, True, [], {}, ["x"], {"a": 1}, "\ud800", "x\0", str(thesis), "../x"]
    bad = [good | {name: value} for name in ("file", "sha256", "key") for value in values]
    lines = ["", "[]", "7", "{", "[" * 100_000, "9" * 5000, "\0", '{"key": 1}', '{"rules": []}']
    lines += map(json.dumps, bad)
    for name in ("posts.jsonl", ".crawl/duplicates.jsonl", ".crawl/agreed.jsonl"):
        with open(root / name, "a") as file:
            file.writelines(line + "\n" for line in lines)
    with opened(root) as folder:
        assert not folder.has_agreed("x")
        folder.prepare()
        assert folder.take(download(folder, 1)) == "known"
        assert folder.take(download(folder, 2)) == "new"
    assert thesis.read_text() == "years of work"
    assert {p.name for p in root.glob("*.jpg")} == {"site_1.jpg", "site_2.jpg"}


@pytest.mark.parametrize("name", ["posts.jsonl", ".crawl", ".crawl/.lock", ".crawl/agreed.jsonl"])
def test_links_in_the_place_of_own_files_are_refused(tmp_path, thesis, name):
    root = tmp_path / "raw"
    (root / ".crawl").mkdir(parents=True)
    if name == ".crawl":
        (root / ".crawl").rmdir()
        (tmp_path / "incoming").mkdir()
        (root / name).symlink_to(tmp_path)
    else:
        (root / name).symlink_to(thesis)
    with pytest.raises(UserError, match="is a link, which crawl never makes"), opened(root):
        pass
    assert thesis.read_text() == "years of work" and ROOT.exists()
    assert (tmp_path / "incoming").exists() == (name == ".crawl")
