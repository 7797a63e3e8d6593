"""Downloads against a real server on this machine that drops, lies, stalls and is busy."""

import gzip
import hashlib
import http.server
import random
import re
import threading
import time
import unittest.mock
from dataclasses import dataclass, field

import pytest

from dcgan import UserError
from dcgan.datasets import download
from dcgan.datasets.download import RemoteFile, fetch
from dcgan.terminal import progress

CONTENT = random.Random(1).randbytes(300_000)


@dataclass
class Behaviour:
    """What the server does with one path; lists are used up one answer at a time."""

    body: bytes = CONTENT
    ranges: bool = True
    statuses: list = field(default_factory=list)
    drops: list = field(default_factory=list)  # bytes sent before the connection is dropped
    headers: dict = field(default_factory=dict)
    length: bool = True
    shift: int = 0  # a wrong start in Content-Range


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.paths, self.asked = {}, []

    def url(self, path: str, **behaviour) -> str:
        self.paths[f"/{path}"] = Behaviour(**behaviour)
        return f"http://127.0.0.1:{self.server_port}/{path}"

    @property
    def ranges(self) -> list:
        """The Range header of every request, in order."""
        return [wanted for _, wanted in self.asked]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        behaviour = self.server.paths.get(self.path)
        if behaviour is None:
            return self.send_error(404)
        if behaviour.statuses:
            return self.send_error(behaviour.statuses.pop(0))
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(match[1]) if match and behaviour.ranges else 0
        if start >= len(behaviour.body):
            return self.send_error(416)
        self._send(behaviour, behaviour.body[start:], start)

    def _send(self, behaviour, body, start):
        self.send_response(206 if start or "Content-Range" in behaviour.headers else 200)
        if start:
            first, total = start + behaviour.shift, len(behaviour.body)
            self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        if behaviour.length:
            self.send_header("Content-Length", str(len(body)))
        for name, value in behaviour.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: behaviour.drops.pop(0)] if behaviour.drops else body)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def remote(*urls, content=CONTENT, **more) -> RemoteFile:
    return RemoteFile("data.bin", urls, hashlib.sha256(content).hexdigest(), len(content), **more)


def quick(file, folder, **more):
    """With other patience, such as tries=2."""
    constants = {name.upper(): value for name, value in {"wait_seconds": 0.001, **more}.items()}
    with unittest.mock.patch.multiple(download, **constants):
        return fetch(file, folder)


def refusal(file, folder, **more) -> str:
    with pytest.raises(UserError) as caught:
        quick(file, folder, **more)
    message = str(caught.value)
    assert "data.bin" in message and str(folder) in message
    assert "\n" not in message and message.endswith(".")
    assert not (folder / "data.bin").exists()
    return message


def test_a_whole_file_arrives_under_its_name(server, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress, "is_interactive", lambda: True)
    path = quick(remote(server.url("a")), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "data.bin"
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["data.bin"]
    assert "downloading data.bin" in capsys.readouterr().err


ARRIVALS = {  # what the server does, what an earlier process left, the ranges that are asked for
    "drops": ({"drops": [100_000, 100_000]}, b"", [None, "bytes=100000-", "bytes=200000-"]),
    "no ranges": ({"ranges": False, "drops": [100_000]}, b"", [None, "bytes=100000-"]),
    "continued": ({}, CONTENT[:123_456], ["bytes=123456-"]),
    "whole": ({}, CONTENT, []),
    "stale": ({}, bytes(100), ["bytes=100-", None]),
    "all stale": ({}, bytes(300_000), [None]),
    "longer": ({}, bytes(400_000), [None]),
    "shifted": ({"shift": 1}, CONTENT[:1000], ["bytes=1000-", None]),
    "busy": ({"statuses": [429]}, b"", [None, None]),
    "ill": ({"statuses": [500]}, b"", [None, None]),
}


@pytest.mark.parametrize("name", ARRIVALS)
def test_it_arrives(server, tmp_path, name):
    """With two tries, of which those that bring something do not count."""
    behaviour, part, ranges = ARRIVALS[name]
    if part:
        (tmp_path / "data.bin.part").write_bytes(part)
    assert quick(remote(server.url("a", **behaviour)), tmp_path, tries=2).read_bytes() == CONTENT
    assert server.ranges == ranges


def test_a_server_that_stays_busy_is_given_up_for_the_next(server, tmp_path):
    urls = server.url("a", statuses=[503] * 99), server.url("b")
    assert quick(remote(*urls), tmp_path, tries=3).read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["/a"] * 3 + ["/b"]


@pytest.mark.parametrize("header", ["Content-Length", "Content-Range"])
def test_a_length_of_ten_thousand_digits_is_no_length(server, tmp_path, header):
    ranged = header == "Content-Range"
    headers = {header: "bytes 0-9/" * ranged + "9" * 10_000}
    url = server.url("a", length=False, headers=headers)
    assert quick(remote(url), tmp_path).read_bytes() == CONTENT


def test_the_next_mirror_continues_what_the_first_began(server, tmp_path):
    urls = server.url("a", drops=[100_000, 0, 0, 0]), server.url("b")
    assert quick(remote(*urls), tmp_path, tries=2).read_bytes() == CONTENT
    assert server.asked[-1] == ("/b", "bytes=100000-")


@pytest.mark.parametrize(
    "behaviour",
    [
        {"statuses": [404] * 9},
        {"body": b"<!DOCTYPE html><p>moved", "headers": {"Content-Type": "text/html"}},
        {"body": b"\n<html>" + CONTENT[:299_993]},
        {"body": bytes(300_000)},
        {"body": CONTENT[:299_999]},
        {"body": CONTENT + b"x"},
        {"body": CONTENT + b"x", "length": False},
    ],
)
def test_an_answer_of_no_use_leads_to_the_next_mirror(server, tmp_path, behaviour):
    urls = server.url("a", **behaviour), server.url("b")
    assert quick(remote(*urls), tmp_path).read_bytes() == CONTENT
    assert len(server.asked) == 2  # no second try at the first


def test_when_all_fail_the_message_says_why_and_what_to_do(server, tmp_path):
    with Server() as silent:  # listens no longer once the block ends
        dead = silent.url("dead")
    urls = (
        f"http://127.0.0.1:{server.server_port}/missing",
        server.url("html", body=b"<html>", headers={"Content-Type": "text/html; charset=x"}),
        server.url("busy", statuses=[503] * 9),
        server.url("other", body=bytes(300_000)),
        server.url("short", body=CONTENT[:1000], length=False),
        dead,
    )
    message = refusal(remote(*urls), tmp_path, tries=2)
    for url in urls:
        assert url in message
    reasons = ("404", "web page", "503", "checksum", "ends after 1,000 bytes", "cannot be reached")
    for reason in reasons:
        assert reason in message
    assert "by hand" in message


def test_silence_is_a_dropped_connection(server, tmp_path, monkeypatch):
    monkeypatch.setattr(Handler, "do_GET", lambda self: time.sleep(0.3))
    message = refusal(remote(server.url("a")), tmp_path, tries=1, timeout_seconds=0.1)
    assert "did not answer within 0.1 seconds" in message


def test_the_server_is_not_asked_for_what_is_there_not_wanted_or_cannot_be_kept(server, tmp_path):
    file = remote(server.url("a"))
    with pytest.raises(UserError) as caught:
        fetch(file, tmp_path, download=False)
    assert all(text in str(caught.value) for text in ("data.bin", str(tmp_path), *file.urls))
    (tmp_path / "file").write_bytes(b"")
    assert "cannot be written" in refusal(file, tmp_path / "file" / "folder")
    (tmp_path / "data.bin").write_bytes(b"mine")  # put there by hand
    assert quick(file, tmp_path).read_bytes() == b"mine"
    assert fetch(file, tmp_path, download=False).read_bytes() == b"mine"
    assert server.asked == []


def test_a_full_disk_is_a_sentence_and_what_arrived_is_kept(server, tmp_path):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        message = refusal(remote(server.url("a")), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert "cannot be written" in message
    assert quick(remote(server.url("a")), tmp_path).read_bytes() == CONTENT


def test_two_downloads_at_once_ask_only_once(server, tmp_path):
    pytest.importorskip("fcntl")
    file = remote(server.url("a", drops=[1000, 1000]))
    threads = [threading.Thread(target=quick, args=(file, tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert len(server.asked) == 3  # two drops and the rest, by whoever came first


# What is compressed well, so that the levels differ.
TEXT = b"".join(b"%d\n" % (i * i) for i in range(60_000))


def packed(level: int) -> bytes:
    return gzip.compress(TEXT, level, mtime=level)


def test_gzip_files_are_compared_by_their_content(server, tmp_path):
    for level in (1, 9):
        url = server.url("a", body=packed(level))
        path = quick(remote(url, content=TEXT, gzipped=True), tmp_path / f"{level}")
        assert path.read_bytes() == packed(level)


def test_gzip_files_are_resumed(server, tmp_path):
    url = server.url("a", body=packed(9), drops=[50_000], length=False)
    path = quick(remote(url, content=TEXT, gzipped=True), tmp_path)
    assert path.read_bytes() == packed(9)
    assert server.ranges == [None, "bytes=50000-"]


def test_gzip_files_of_two_mirrors_are_not_mixed(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(packed(1)[:50_000])
    url = server.url("a", body=packed(9))
    assert quick(remote(url, content=TEXT, gzipped=True), tmp_path).read_bytes() == packed(9)


def test_gzip_files_cut_short_or_with_other_content_are_refused(server, tmp_path):
    others = gzip.compress(TEXT[:-1] + b"x"), gzip.compress(TEXT + b"x")
    for body in (packed(9)[:-1000], *others, packed(9)[:-5] + b"x"):
        url = server.url("a", body=body)
        refusal(remote(url, content=TEXT, gzipped=True), tmp_path, tries=2)
