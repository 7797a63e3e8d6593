"""Bodies that come encoded: what becomes of them, and of those that are damaged or bombs."""

import gzip
import json
import shutil
import subprocess
import time
import zlib

import numpy as np
import pytest
import requests
from fastapi.testclient import TestClient
from serving_models import SIDE, Recorder, faces, service_of
from test_serving_limits import listening, talk

from dcgan.serving import content_encoding
from dcgan.serving.app import make_app
from dcgan.serving.errors import RequestError
from dcgan.serving.memory import FREE_BYTES, MemoryBudget
from dcgan.serving.worker_pool import INLINE_BYTES

PREDICT = "/v1/models/dcgan:predict"
BODY = json.dumps({"signature_name": "generate", "instances": [7, 8]}).encode()
ANSWER = {"predictions": [[[[seed] * 3] * SIDE] * SIDE for seed in (7, 8)]}
LONG = BODY + b" " * 50_000  # beyond what is decoded on the event loop
LIMIT = 100_000

RAW = zlib.compress(BODY)[2:-4]
SENT = {
    "gzip": (gzip.compress(BODY), "gzip"),
    "long": (gzip.compress(LONG), "gzip"),
    "another name": (gzip.compress(BODY), "X-GZip"),
    "several members": (gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]), "gzip"),
    "an empty member": (gzip.compress(b"") + gzip.compress(BODY), "gzip"),
    "filled up": (gzip.compress(BODY) + bytes(500), "gzip"),
    "not compressed": (gzip.compress(BODY, 0), "gzip"),
    "deflate": (zlib.compress(BODY), "deflate"),
    "raw deflate": (RAW, "deflate"),
    "identity": (BODY, "identity"),
    "empty words": (gzip.compress(BODY), ", identity ,gzip"),
    "twice": (gzip.compress(zlib.compress(BODY)), "deflate, gzip"),
}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of a server over real sockets."""
    with listening(tmp_path_factory.mktemp("models")) as address:
        yield address


def post(address, body: bytes, encoding: str, path: str = PREDICT) -> requests.Response:
    url = f"http://{address[0]}:{address[1]}{path}"
    return requests.post(url, data=body, headers={"Content-Encoding": encoding}, timeout=60)


@pytest.mark.parametrize("name", SENT)
def test_an_encoded_body_is_answered_like_the_plain_one(address, name):
    answer = post(address, *SENT[name])
    assert (answer.status_code, answer.json()) == (200, ANSWER)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_sends_gzip_from_a_pipe(address):
    """In chunks: without Content-Length."""
    url = f"http://{address[0]}:{address[1]}{PREDICT}"
    headers = ["-H", "Content-Encoding: gzip", "-H", "Transfer-Encoding: chunked"]
    command = ["curl", "-sS", "--compressed", *headers, "--data-binary", "@-", url]
    done = subprocess.run(command, input=gzip.compress(LONG), capture_output=True, timeout=60)
    assert json.loads(done.stdout) == ANSWER, done.stderr


def test_latent_vectors_may_come_encoded_too(address):
    body = gzip.compress(json.dumps({"z": [[0.0] * 4]}).encode())
    assert post(address, body, "gzip", "/render").content.startswith(b"\x89PNG")


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, br", "gzip," * 3])
def test_other_codings_are_refused_with_those_that_are_read(address, encoding):
    answer = post(address, BODY, encoding)
    assert answer.status_code == 415 and "expected gzip, deflate" in answer.json()["error"]
    assert answer.headers["accept-encoding"] == "gzip, deflate"


def test_a_coding_is_refused_before_the_body_is_read(address):
    head = b"POST /render HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\nContent-Length: 9\r\n\r\n"
    assert talk(address, head).startswith(b"HTTP/1.1 415")


WHOLE = gzip.compress(BODY)
DAMAGED = {
    "plain": (BODY, "gzip"),
    "nothing": (b"", "gzip"),
    "cut short": (WHOLE[:-1], "gzip"),
    "cut in the second member": (WHOLE + WHOLE[:20], "gzip"),
    "wrong sum": (WHOLE[:-8] + bytes([WHOLE[-8] ^ 1]) + WHOLE[-7:], "gzip"),
    "followed by something": (WHOLE + b"x", "gzip"),
    "deflate cut short": (zlib.compress(BODY)[:-1], "deflate"),
    "deflate followed by something": (RAW + b"x", "deflate"),
    "the wrong way round": (gzip.compress(zlib.compress(BODY)), "gzip, deflate"),
    "long and cut short": (gzip.compress(np.random.default_rng(0).bytes(50_000))[:-1], "gzip"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_body_is_a_sentence(address, name):
    answer = post(address, *DAMAGED[name])
    assert answer.status_code == 400
    assert "is not a complete" in answer.json()["error"]


def gzipped_zeros(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()


BOMBS = {
    "a byte too many": (gzip.compress(BODY + b" " * (LIMIT + 1 - len(BODY))), "gzip"),
    "ninety megabytes": (gzipped_zeros(90), "gzip"),
    "many members": (gzip.compress(bytes(1000)) * 101, "gzip"),
    "deflate": (zlib.compress(bytes(LIMIT + 1)), "deflate"),
    "a bomb in another": (gzip.compress(gzipped_zeros(500), 9), "gzip, gzip"),
    "large as it comes": (np.random.default_rng(0).bytes(LIMIT + 1), "gzip"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_becomes_too_large_is_refused_at_the_limit(address, name):
    answer = post(address, *BOMBS[name])
    assert answer.status_code == 413
    assert "limit of 100,000 bytes" in answer.json()["error"]
    assert post(address, gzip.compress(BODY + b" " * (LIMIT - len(BODY))), "gzip").ok


def test_no_more_than_the_limit_is_ever_decoded(monkeypatch):
    """zlib is asked for one byte more than may be, and no further."""
    decoded = 0

    class Counted:
        def __init__(self, stream):
            self.stream = stream

        def __getattr__(self, name):
            return getattr(self.stream, name)

        def decompress(self, data, most):
            nonlocal decoded
            piece = self.stream.decompress(data, most)
            decoded += len(piece)
            return piece

    make = zlib.decompressobj
    monkeypatch.setattr(
        content_encoding.zlib, "decompressobj", lambda window: Counted(make(window))
    )
    for body in (gzipped_zeros(5), gzip.compress(bytes(700)) * 20):
        decoded = 0
        with pytest.raises(RequestError, match="limit of 5,000 bytes"):
            content_encoding.decode(body, ["gzip"], 5000)
        assert decoded == 5001


def test_many_empty_members_take_time_in_proportion():
    """Copying what follows each of them would take minutes for these 8 MB."""
    body = gzip.compress(b"") * 400_000
    start = time.monotonic()
    assert content_encoding.decode(body, ["gzip"], 1) == b""
    assert time.monotonic() - start < 30


def test_what_is_long_is_decoded_beside_the_event_loop(tmp_path):
    service = service_of(faces(), tmp_path, readers=(readers := Recorder()))
    with TestClient(make_app(service)) as client:
        for body, size, handed in (
            (BODY, len(BODY), []),
            (LONG, len(LONG), [("decode", None)]),
            (BODY + b" " * (INLINE_BYTES - len(BODY)), INLINE_BYTES, []),
        ):
            readers.done.clear()
            answer = client.post(
                PREDICT, content=gzip.compress(body), headers={"Content-Encoding": "gzip"}
            )
            assert answer.json() == ANSWER
            assert readers.done == [*handed, ("read_predict", size)]
        readers.done.clear()
        noise = gzip.compress(np.random.default_rng(0).bytes(INLINE_BYTES))
        client.post(PREDICT, content=noise, headers={"Content-Encoding": "gzip"})
        assert readers.done[0] == ("decode", None)


def test_what_a_body_becomes_counts_for_the_budget(tmp_path):
    budget = MemoryBudget(limit=10_000)
    budget.used = 1  # so that this request is not alone
    service = service_of(faces(), tmp_path, memory=budget)
    headers = {"Content-Encoding": "gzip"}
    large = gzip.compress(BODY + b" " * (FREE_BYTES + 10_000))
    with TestClient(make_app(service)) as client:
        assert client.post(PREDICT, content=gzip.compress(LONG), headers=headers).status_code == 200
        assert client.post(PREDICT, content=large, headers=headers).status_code == 503
    assert budget.used == 1
