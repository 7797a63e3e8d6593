"""Clients that are slow, endless or rude, against the real protocol over real sockets."""

import contextlib
import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvicorn
from serving_models import faces, service_of

from dcgan import UserError
from dcgan.serving import limits, server
from dcgan.serving.app import make_app

PATIENCE = 0.5  # seconds in these tests
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@contextlib.contextmanager
def listening(folder, limit: int = 250, **options):
    """The address of a server in a thread, that takes so many connections; options of the app."""
    app = make_app(service_of(faces(), folder, body_limit=100_000), **options)
    listener = server.bind("127.0.0.1", 0)
    running = uvicorn.Server(server.config(app, connections=limit))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield listener.getsockname()
    running.should_exit = True
    thread.join(60)  # at once, but on a busy machine
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of a server."""
    with listening(tmp_path_factory.mktemp("models")) as address:
        yield address


@pytest.fixture
def impatient(address, monkeypatch):
    """The same, with little patience for a request."""
    monkeypatch.setattr(limits, "REQUEST_SECONDS", PATIENCE)
    return address


def talk(address, *parts: bytes, pause: float = 0.0) -> bytes:
    """What the server says to bytes that come in parts, until it closes or says no more."""
    with socket.create_connection(address, timeout=5) as connection:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
        connection.settimeout(2)
        received = b""
        with contextlib.suppress(ConnectionError, TimeoutError):
            while block := connection.recv(65536):
                received += block
                if b"\r\n\r\n" in received:
                    break
        return received


def is_cut(address, *parts: bytes, pause: float = 0.0) -> bool:
    """Whether the server closes the connection without an answer, and not before its time."""
    start = time.monotonic()
    answer = talk(address, *parts, pause=pause)
    return answer == b"" and PATIENCE / 2 < time.monotonic() - start < 5


def lives(address) -> bool:
    return talk(address, HEALTH).startswith(b"HTTP/1.1 200")


def post(body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST /render HTTP/1.1", b"Host: x", *headers, b"", body]
    return b"\r\n".join(lines)


def test_slow_clients_are_cut(impatient):
    slow = (
        [],  # says nothing
        [b"GET /healthz HT"],
        [b"G", b"E", b"T", b" ", b"/", b"h"] * 2,
        [post(b'{"z": ', b"Content-Length: 20")],
    )
    with ThreadPoolExecutor() as clients:
        assert all(clients.map(lambda parts: is_cut(impatient, *parts, pause=PATIENCE / 6), slow))
    assert lives(impatient)


def test_a_second_request_has_its_own_time(impatient):
    with socket.create_connection(impatient, timeout=5) as connection:
        for _ in range(2):
            connection.sendall(HEALTH)
            answer = b""
            while not answer.endswith(b"}"):  # head and body may come apart
                answer += connection.recv(65536) or pytest.fail(f"ended after {answer}")
            assert answer.startswith(b"HTTP/1.1 200")
            time.sleep(0.7 * PATIENCE)
        connection.sendall(HEALTH[:10])
        assert connection.recv(65536) == b""


def test_the_time_for_an_answer_ends_long_before_uvicorns_own_five_seconds(address, monkeypatch):
    monkeypatch.setattr(limits, "ANSWER_SECONDS", PATIENCE)
    with socket.create_connection(address, timeout=4) as connection:
        connection.sendall(HEALTH)
        while connection.recv(65536):
            pass


def test_endless_headers_are_cut(address):
    start = time.monotonic()
    assert talk(address, b"GET / HTTP/1.1\r\nA: ", *[b"x" * 60_000] * 9) == b""
    assert talk(address, b"GET /", *[b"x" * 60_000] * 9) == b""
    assert time.monotonic() - start < 5
    assert lives(address)


def test_what_no_request_needs_is_refused(address):
    """All in one go: nothing of it is still to come when it is counted."""
    for line in (b"GET /" + b"x" * 40_000, b"GET /image/7.png?" + b"a&" * 100):
        refused = talk(address, line + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert refused.startswith(b"HTTP/1.1 400")
    many = b"".join(b"A%d: x\r\n" % i for i in range(8000))
    assert talk(address, b"GET /healthz HTTP/1.1\r\n" + many + b"\r\n").startswith(b"HTTP/1.1 400")
    assert lives(address)


def test_a_connection_may_send_only_so_many_requests_ahead(address):
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(HEALTH * (limits.PIPELINED + 1))
        answers = b""
        while answers.count(b'"status":"ok"') < limits.PIPELINED + 1:
            answers += connection.recv(65536) or pytest.fail(f"ended after {answers}")
        connection.sendall(HEALTH * 1000)
        with contextlib.suppress(ConnectionError):
            while block := connection.recv(65536):
                answers += block
    assert answers.count(b'"status":"ok"') < 1000 / 2
    assert lives(address)


def test_beyond_so_many_connections_the_answer_is_to_come_back(tmp_path):
    with listening(tmp_path, limit=2) as address, contextlib.ExitStack() as connections:
        for _ in range(2):
            connections.enter_context(socket.create_connection(address, timeout=5))
        answer = talk(address, HEALTH).lower()
        assert answer.startswith(b"http/1.1 503")
        assert b"\r\nretry-after: 1\r\n" in answer and b"\r\nconnection: close\r\n" in answer
        assert b"application/json" in answer
        connections.close()
        end = time.monotonic() + 10
        while not lives(address):
            assert time.monotonic() < end


def test_bodies_beyond_the_limit_are_refused_before_they_are_read(address):
    refused = talk(address, post(b"", b"Content-Length: 100001"))
    assert refused.startswith(b"HTTP/1.1 413")
    chunk = b"%x\r\n%s\r\n" % (50_001, b" " * 50_001)
    assert talk(address, post(chunk * 2, b"Transfer-Encoding: chunked")).startswith(b"HTTP/1.1 413")
    body = json.dumps({"z": [[0.0] * 4]}).encode()
    fitting = body + b" " * (100_000 - len(body))
    assert talk(address, post(fitting, b"Content-Length: 100000")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",  # TLS where none is spoken
        b"\x00" * 100,
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /render HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /render HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET /image/%00.png HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /explorer/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /image/7.png?" + b"a=b&" * 4000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_no_bytes_end_the_server(address, garbage):
    assert b"HTTP/1.1 5" not in talk(address, garbage)
    assert lives(address)


def test_two_hundred_at_once(address):
    requests = b"GET /image/7.png HTTP/1.1\r\nHost: x\r\n\r\n"
    connections = []
    for _ in range(200):  # on a busy machine it takes more than `PATIENCE` to open so many
        connections.append(socket.create_connection(address, timeout=10))
        connections[-1].sendall(requests)
    for connection in connections:
        with connection:
            answer = b""
            while not answer.endswith(b"\x89PNG7"):
                part = connection.recv(65536)
                assert part, f"cut short: {answer}"
                answer += part
            assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("host", ["127.0.0.1", "256.256.256.256", "no.such.host.invalid"])
def test_an_address_that_cannot_be_had_is_a_sentence(host):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"cannot listen on port {port} of {host} \(.*\)"):
            server.bind(host, port)


@pytest.mark.skipif(os.name != "posix", reason="two sockets cannot be bound to one port here")
def test_an_address_that_another_server_takes_while_the_model_is_loaded_is_a_sentence():
    with server.bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with server.bind("127.0.0.1", port) as second:
            first.listen()
            with pytest.raises(UserError, match=f"cannot listen on port {port} of 127.0.0.1"):
                server.run(None, second)
