"""`crawl` with the real gallery-dl, against a site on this machine with the faults of real ones."""

import io
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
import requests
from booru_server import Post, picture, serving
from crawls import (
    QUICK,
    crawl_well,
    crawled,
    download,
    known_to_gallery_dl,
    opened,
    pictures,
    words,
)
from pictures import png
from PIL import features
from running import ROOT, TIMEOUT, is_running, run, send_when, started, wait_until

from dcgan import UserError
from dcgan.files import read_json_lines
from dcgan.preparation import crawl, crawl_folder, sites

gallery_process = pytest.importorskip(
    "dcgan.preparation.gallery_process", reason="gallery-dl is not installed"
)


def samples(posts: list[Post]) -> dict[int, bytes]:
    return {post.number: post.sample for post in posts}


def test_a_site_full_of_faults(tmp_path):
    posts = [Post(number, name=f"初音ミク {number} é.jpg") for number in range(1, 11)]
    posts[0].md5 = posts[9].md5  # the same picture, posted twice
    posts[1].sample = posts[8].sample  # the same again, which only the content tells
    faults = {
        "/post.json": ["page", 429],
        "/samples/初音ミク 10 é.jpg": [503],
        "/samples/初音ミク 8 é.jpg": ["drop"],
        "/samples/初音ミク 7 é.jpg": ["html"],
        "/samples/初音ミク 6 é.jpg": ["half"],
        "/samples/初音ミク 5 é.jpg": ["page"],
        "/samples/初音ミク 4 é.jpg": [429],
    }
    with serving(posts, faults=faults) as site:
        said = crawl_well(site, tmp_path)
        assert pictures(tmp_path) == samples([p for p in posts if p.number in (10, 9, 8, 4, 3)])
        for number, reason in ((7, "not an image"), (6, "truncated"), (5, "HTML response")):
            assert any(f"_{number}." in x and reason in x for x in said.splitlines())
        assert "Not kept, for the reasons above: 3;" in said and "discarded: 1." in said
        site.requests.clear()
        assert "8 pictures, 3 of them new" in crawl_well(site, tmp_path)
        assert pictures(tmp_path) == samples(posts[2:])
        # Neither what is there nor what was a duplicate is asked for again.
        asked = [request.path[-8:-6].strip() for request in site.asked("/samples")]
        assert asked == ["7", "6", "5"]


def test_danbooru_general_samples_with_a_contact_at_a_distance(tmp_path):
    posts = [Post(1, rating="g"), Post(2, rating="s"), Post(3, rating="g")]
    with serving(posts) as site:
        refused = crawled(*words(site, tmp_path / "none", family="danbooru"))
        assert refused.returncode == 2 and "--contact" in refused.stderr
        assert not site.requests and not (tmp_path / "none").exists()
        crawl_well(site, tmp_path / "a", "--contact", "me@example.org", family="danbooru")
        assert pictures(tmp_path / "a") == samples([posts[0], posts[2]])
        assert site.asked("/posts.json")[0].query["tags"] == "rating:general"
        assert {request.user_agent for request in site.requests} == {
            "dcgan-crawl/1.0 (me@example.org)"
        }
        site.requests.clear()
        line = words(site, tmp_path / "b", "--original", "--delay", "0.2", family="danbooru")
        assert run(*line, env={"DCGAN_CONTACT": "https://example.org/me"}).returncode == 0
        assert pictures(tmp_path / "b") == {p.number: p.original for p in (posts[0], posts[2])}
        assert site.requests[-1].user_agent == "dcgan-crawl/1.0 (https://example.org/me)"
        # A page and two pictures keep their distance, counted where they are sent; a busy machine
        # may hold one back on its way and bring the next one nearer. Without it: some 10 ms.
        seconds = [request.seconds for request in site.requests]
        assert len(seconds) == 3
        assert min(b - a for a, b in zip(seconds, seconds[1:], strict=False)) > 0.1


def test_a_page_without_a_rating_tag_gives_safe_pictures_only_and_their_lines(tmp_path):
    post = Post(7, tags="1girl solo 初音", source="https://example.org/ü")
    with serving([post, Post(8, tags="1boy"), Post(9, rating="e")]) as site:
        address = f"moebooru:{site.root}/post?tags=1girl"  # nothing is added to it
        assert crawled("crawl", "--site", address, "--to", tmp_path, *QUICK).returncode == 0
        assert site.asked("/post.json")[0].query["tags"] == "1girl"
        assert list(pictures(tmp_path)) == [7]
        (line,) = read_json_lines(tmp_path / "posts.jsonl")
        assert line["tags"] == ["1girl", "solo", "初音"]
        expected = {"id": 7, "rating": "s", "source": post.source, "md5": post.md5}
        assert expected.items() <= line.items()
        assert line["url"] == f"{site.root}/samples/7.jpg"


@pytest.mark.parametrize(
    ("code", "value", "seconds"),
    [
        *((429, "7", 7), (503, "100000", 600), (200, "7", 0), (503, None, 0), (429, "soon", 0)),
        *((429, "9" * 5000, 0), (503, "Fri, 31 Dec 999999999 23:59:59 GMT", 0), (429, "-7", 0)),
    ],
)
def test_retry_after_is_obeyed_within_reason(code, value, seconds):
    response = requests.Response()
    response.status_code = code
    if value:
        response.headers["Retry-After"] = value
    assert gallery_process._retry_after(response) == seconds


def test_no_request_comes_before_the_delay_or_what_retry_after_says(monkeypatch):
    clock, sent, answers = [0.0], [], [(200, None), (429, "7"), (200, None), (200, None)]

    def send(session, request):
        sent.append(clock[0])
        response = requests.Response()
        response.status_code, wait = answers[len(sent) - 1]
        response.headers.update({"Retry-After": wait} if wait else {})
        return response

    def sleep(seconds):
        clock[0] += seconds

    fake = types.SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep)
    monkeypatch.setattr(gallery_process, "time", fake)
    monkeypatch.setattr(requests.Session, "send", send)
    clock[0] = 100.0
    gallery_process._pace(1.0)
    for _ in answers:
        requests.Session().send(None)
    assert sent == [100.0, 101.0, 108.0, 109.0]


def test_the_limit_counts_what_the_folder_holds(tmp_path):
    posts = [Post(number) for number in range(1, 10)]
    with serving(posts) as site:
        crawl_well(site, tmp_path, "--limit", "3")
        assert pictures(tmp_path) == samples(posts[:-4:-1])
        (tmp_path / f"127.0.0.1_{site.root[-5:]}_9.jpg").unlink()  # weeded out by hand
        assert "4 pictures, 2 of them new" in crawl_well(site, tmp_path, "--limit", "4")
        asked = [request.path for request in site.asked("/samples")]
        assert asked.count("/samples/9.jpg") == 1 and "/samples/5.jpg" in asked


def recorded(folder: Path) -> int:
    path = folder / "posts.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_kill_in_mid_crawl_then_the_same_command(tmp_path):
    posts = [Post(number) for number in range(1, 13)]
    with serving(posts, wait=0.03) as site:
        with started(*words(site, tmp_path)) as process:
            wait_until(lambda: recorded(tmp_path) >= 4, process)
            (gallery_dl,) = children(process.pid)
            process.kill()
            assert process.wait() == -signal.SIGKILL
        end = time.monotonic() + TIMEOUT
        while is_running(gallery_dl):  # which ends with it
            assert time.monotonic() < end
            time.sleep(0.01)
        assert recorded(tmp_path) < len(posts)
        crawl_well(site, tmp_path)
        # A kill costs no more than the pictures that were on their way.
        assert len(site.asked("/samples")) <= len(posts) + 2
        assert pictures(tmp_path) == samples(posts)
        # The lines are in the order of a crawl that nothing disturbed: newest first.
        lines = read_json_lines(tmp_path / "posts.jsonl")
        assert [line["id"] for line in lines] == list(range(12, 0, -1))


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_stop_loses_nothing(tmp_path, number, code):
    posts = [Post(number) for number in range(1, 13)]
    with serving(posts, wait=0.05) as site:
        exit_code, said = send_when(words(site, tmp_path), lambda: recorded(tmp_path) >= 2, number)
        assert exit_code == code and "Traceback" not in said
        there = pictures(tmp_path)
        assert 2 <= len(there) < 12 and f"{len(there)} pictures are in" in said
        assert there == samples(posts[-len(there) :])


def test_what_was_finished_when_a_stop_comes_is_heard():
    """Waiting in the pipe as well as sent on the way to the end, which closing its input is."""
    program = "import sys; print(1); print(2); sys.stdin.read(); print(3)"
    heard = []

    def hear(line: bytes) -> bool:
        heard.append(int(line))
        if heard == [1]:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        crawl._follow((sys.executable, "-c", program), hear)
    assert heard == [1, 2, 3]


@pytest.mark.parametrize("moment", ["before the line", "before the last step", "half a line"])
def test_a_kill_between_the_steps_of_taking_a_picture(tmp_path, monkeypatch, moment):
    class Killed(BaseException):
        pass

    def killed(path, *value):
        if moment == "half a line":
            path.write_text('{"file": "site_')
        raise Killed

    with pytest.raises(Killed), opened(tmp_path) as folder:
        folder.prepare()
        post = download(folder, 1)
        for cleaning in ("_read", "_clear"):  # a dead process cleans nothing
            monkeypatch.setattr(folder, cleaning, lambda: None)
        if moment == "before the last step":
            monkeypatch.setattr(folder, "_move_ready", lambda: killed(None))
        else:
            monkeypatch.setattr(crawl_folder, "append_json_line", killed)
        folder.take(post)
    monkeypatch.undo()
    with opened(tmp_path) as folder:
        kept = moment == "before the last step"
        assert folder.count == kept and known_to_gallery_dl(folder) == ["k1"] * kept
        assert folder.take(download(folder, 1)) == ("known" if kept else "new")
    assert pictures(tmp_path) == {1: picture(1)}


def on_a_terminal(command: tuple, answer: str) -> tuple[int, str]:
    """(exit code, output) of a command whose standard input is a terminal."""
    ours, theirs = pty.openpty()
    full = [sys.executable, str(ROOT / "main.py"), *map(str, command)]
    process = subprocess.Popen(full, stdin=theirs, stdout=subprocess.PIPE, stderr=-2, text=True)
    os.close(theirs)
    os.write(ours, answer.encode())
    try:
        return process.wait(60), process.stdout.read()
    finally:
        process.stdout.close()
        os.close(ours)


class Typed(io.StringIO):
    """What somebody types at a terminal."""

    def isatty(self) -> bool:
        return True


def test_consent_is_asked_once(tmp_path, monkeypatch):
    with serving([Post(1), Post(2)]) as site:
        to = tmp_path / "raw"
        command = [word for word in words(site, to, "--limit", "1") if word != "--yes"]
        for typed, sentence in ((io.StringIO("y\n"), "--yes"), (Typed("n\n"), "did not agree")):
            monkeypatch.setattr(sys, "stdin", typed)
            refused = crawled(*command)
            assert refused.returncode == 2 and sentence in refused.stderr
        assert not to.exists() and not site.requests
        code, said = on_a_terminal(command, "y\n")
        assert code == 0 and said.count("Do you agree") == 1
        assert f"{site.root}/static/terms_of_service" in said
        site.requests.clear()
        # The answer is remembered in the folder.
        assert crawled(*command).returncode == 0 and len(pictures(to)) == 1
        assert not site.requests  # the limit had been reached


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        ({"/post.json": [403]}, "broke off (HttpError: '403 Forbidden'"),
        ({"/samples/1.jpg": ["html"]}, "not an image): look at the site"),
    ],
)
def test_a_crawl_that_comes_to_nothing_leaves_nothing(tmp_path, faults, sentence):
    with serving([Post(1)], faults=faults) as site:
        result = crawled(*words(site, tmp_path / "raw"))
        assert result.returncode == 2 and sentence in result.stderr
        assert not (tmp_path / "raw").exists()
        assert len(site.asked("/post.json")) == 1  # after a refusal nothing is asked again


def test_formats_that_are_read_are_fetched_and_videos_are_not(tmp_path):
    names = ("1.jpg", "2.mp4", *(["3.avif"] if features.check("avif") else []))
    posts = [Post(i, name=name) for i, name in enumerate(names, 1)]
    for post in posts[2:]:
        post.sample = png(post.number, "AVIF", width=24, height=24)
    with serving(posts) as site:
        crawl_well(site, tmp_path)
        assert pictures(tmp_path) == samples([p for p in posts if p.name != "2.mp4"])
        assert not site.asked("/samples/2")


@pytest.mark.parametrize("rating", ["safe", pytest.param("any", marks=pytest.mark.slow)])
def test_any_address_that_gallery_dl_knows(tmp_path, rating):
    """A page that states no ratings has none that are safe."""
    with serving([Post(1, name="初音.jpg")]) as site:
        to = tmp_path / "raw"
        address = f"{site.root}/samples/初音.jpg"
        result = crawled("crawl", "--site", address, "--to", to, *QUICK, "--rating", rating)
    if rating == "any":
        assert result.returncode == 0 and list(pictures(to).values()) == [picture(1)]
        return
    assert result.returncode == 2 and "lists no pictures of that rating" in result.stderr
    assert "--rating any" in result.stderr and not to.exists()


@pytest.mark.parametrize(
    ("site", "tags", "rating", "address"),
    [
        ("konachan", "1girl solo", "safe", "https://konachan.com/post?tags=1girl%20solo%20{s}"),
        ("https://yande.re/", "a&b", "any", "https://yande.re/post?tags=a%26b"),
        ("Danbooru", "", "safe", "https://danbooru.donmai.us/posts?tags=rating%3Ageneral"),
        ("safebooru", "", "any", "https://safebooru.donmai.us/posts?tags="),
        ("danbooru:http://a.b:1", "", "any", "Danbooru:http://a.b:1/posts?tags="),
        ("danbooru:http://a.b/pools/1", "", "safe", "Danbooru:http://a.b/pools/1"),
        ("https://yande.re/pool/show/1", "", "safe", "https://yande.re/pool/show/1"),
        ("https://a.b/gallery/1", "", "safe", "https://a.b/gallery/1"),
    ],
)
def test_addresses(site, tags, rating, address):
    expected = address.replace("{s}", "rating%3Asafe")
    found = sites.make_search(site, tags, rating)
    assert found.address == expected
    # danbooru's "s" is for sensitive; of unknown sites "g" and "s" stand for general and safe.
    family = {"moebooru": "s", "danbooru": "g", None: "gs"}[found.family]
    assert found.initials == (None if rating == "any" else family)


@pytest.mark.parametrize(
    ("site", "tags", "sentence"),
    [
        ("konachn", "", "expected one of danbooru, konachan, safebooru"),
        ("konachan", "1girl rating:explicit", "use --rating"),
        ("konachan", "-rating:e", "use --rating"),
        ("https://a.b/gallery/1", "1girl", "leave out --tags"),
    ],
)
def test_sites_refused(site, tags, sentence):
    with pytest.raises(UserError, match=sentence):
        sites.make_search(site, tags)


def test_without_gallery_dl_the_pip_command_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "gallery_dl", None)
    with pytest.raises(UserError, match=r"crawl needs gallery_dl, .* pip install .*\[data\]"):
        crawl.check_requirements(sites.make_search("konachan"), None)


def test_a_contact_that_cannot_be_sent():
    with pytest.raises(UserError, match="ASCII"):
        crawl.check_requirements(sites.make_search("konachan"), "mé@example.org")


def test_two_crawls_do_not_share_a_folder(tmp_path):
    with opened(tmp_path), pytest.raises(UserError, match="Another process"):
        with opened(tmp_path):
            pass


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "raw").write_text("mine")
    with pytest.raises(UserError, match="cannot be written"):
        with opened(tmp_path / "raw"):
            pass


def test_a_full_disk_is_told_in_a_sentence(tmp_path, monkeypatch):
    def full(path, **_):
        raise sqlite3.OperationalError("database or disk is full")

    with opened(tmp_path) as folder:
        monkeypatch.setattr(sqlite3, "connect", full)
        with pytest.raises(UserError, match="disk is full.*free space"):
            folder.prepare()


def test_a_disk_that_is_full_for_gallery_dl_is_not_the_site_s_fault(tmp_path, monkeypatch):
    text = "Unable to download data:  OSError: [Errno 28] No space left on device"
    message = {"kind": "log", "name": "moebooru", "level": "error", "text": text}
    starts = []

    def follow(command, handle):
        starts.append(command)
        handle(json.dumps(message).encode())
        return 128, ""

    monkeypatch.setattr(crawl, "_follow", follow)
    with opened(tmp_path) as folder, pytest.raises(UserError, match="disk of .* free space, then"):
        crawl.crawl(sites.make_search("konachan"), folder, limit=1)
    assert len(starts) == 1
