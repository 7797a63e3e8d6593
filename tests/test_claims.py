"""What a file or server claims of its size takes no memory before it is seen to be true."""

import gzip
import hashlib
import http.server
import struct
import tarfile
import threading
import tracemalloc

import pytest

from dcgan import UserError
from dcgan.datasets import cifar10, mnist
from dcgan.datasets.download import RemoteFile, fetch

MEGABYTE = 1 << 20


def refused_in_little_memory(call, words: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=words):
            call()
        assert tracemalloc.get_traced_memory()[1] < 8 * MEGABYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("packer", [bytes, gzip.compress])
def test_an_idx_header_that_claims_a_million_images(tmp_path, packer):
    path = tmp_path / "images"
    path.write_bytes(packer(struct.pack(">4I", 2051, 1_000_000, 28, 28) + bytes(100)))
    read = lambda: mnist.read_idx(path, 2051, shape=(28, 28))  # noqa: E731
    refused_in_little_memory(read, "784,000,000 bytes after the header, received 100")


def test_a_pickle_that_asks_for_places(tmp_path):
    content = b"\x80\x02Nr\xff\xff\xff\x01."  # remembers None under the number 33,554,431
    parse = lambda: cifar10.parse_python(tmp_path / "data_batch_1", content)  # noqa: E731
    refused_in_little_memory(parse, "expected a CIFAR-10 python batch")


def test_labels_that_are_lists_of_lists_are_not_unfolded(tmp_path):
    """24 lists, each of the one before twice, are 16 million numbers as an array."""
    nested = b"]"
    nested += b"".join(b"q" + bytes([i]) + b"0](h" + bytes([i]) + b"h" + bytes([i]) + b"e"
                       for i in range(24))  # fmt: skip
    content = b"\x80\x02}(U\x04dataK\x00U\x06labels" + nested.replace(b"]", b"](K\x00e", 1) + b"u."
    parse = lambda: cifar10.parse_python(tmp_path / "data_batch_1", content)  # noqa: E731
    refused_in_little_memory(parse, "labels are not a list of numbers")


def test_a_tar_header_that_states_a_gigabyte_of_notes(tmp_path):
    """A pax header, which tarfile reads whole: a gigabyte of zeros in a megabyte."""
    notes = tarfile.TarInfo("notes")
    notes.type, notes.size = tarfile.XHDTYPE, 1 << 30
    with gzip.open(tmp_path / "cifar-10-binary.tar.gz", "wb", 1) as file:
        file.write(notes.tobuf())
        for _ in range(100):
            file.write(bytes(MEGABYTE))
    source = cifar10.find(tmp_path, download=False)
    refused_in_little_memory(lambda: len(source), "a header states 1,073,741,824 bytes")


@pytest.mark.parametrize("header", ["Content-Length", "Content-Range"])
def test_a_length_of_ten_thousand_digits_is_no_length(tmp_path, monkeypatch, header):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    digits = "9" * 10_000

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(206 if header == "Content-Range" else 200)
            self.send_header(header, "bytes 0-9/" * (header == "Content-Range") + digits)
            self.end_headers()
            self.wfile.write(b"0123456789")

        def log_message(self, *_):
            pass

    sha256 = hashlib.sha256(b"0123456789").hexdigest()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/file"
            file = RemoteFile("file", (url,), sha256, 10)
            assert fetch(file, tmp_path, wait_seconds=0).read_bytes() == b"0123456789"
        finally:
            server.shutdown()
            thread.join()
