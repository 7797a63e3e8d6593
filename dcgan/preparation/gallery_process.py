"""Runs gallery-dl in its own process: `python -m dcgan.preparation.gallery_process ARGUMENTS`.

It is gallery-dl's own command line, with additions that its options do not offer. It ends with the
process that started it. Requests of any kind are at least the delay apart, and none is sent before
the time that a server asks for with Retry-After. It can fetch danbooru's samples. The arguments
before those of gallery-dl are the folder for pictures, the delay in seconds, the most bytes of a
picture, and "sample" or "original".

What a site sends is not trusted. The original standard output carries only this file's messages,
one JSON object per line; what gallery-dl prints there goes to standard error instead. No file is
written outside of the folder, no answer is read without limit, and what a site's JSON tells
gallery-dl itself, such as the HTTP method to use, is dropped.
"""

import collections
import json
import logging
import os
import sqlite3
import sys
import threading
import time
import types
from collections.abc import Iterator
from urllib.parse import urljoin

import gallery_dl
import requests
from gallery_dl import text, util
from gallery_dl.archive import DownloadArchive
from gallery_dl.extractor.danbooru import DanbooruExtractor
from gallery_dl.extractor.message import Message
from gallery_dl.job import DownloadJob
from gallery_dl.path import PathFormat
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from dcgan.preparation import archive

LONGEST_WAIT_SECONDS = 600.0  # even if Retry-After asks for more
MOST_PAGE_BYTES = 1 << 26  # of an answer that is not a picture; 1000 danbooru posts have some 3 MB
# The fields of a post that are reported, by gallery-dl's names; `crawl_folder` reads them.
FIELDS = ("category", "id", "tags", "rating", "source", "md5", "_url", "_archive_key")
# Keys with which extractors instruct gallery-dl's downloaders; a site's JSON could hold them, too.
INSTRUCTIONS = ("_http_", "_ytdl_", "_ugoira_", "_mtime_", "_file_", "_extractor", "_fallback")


def main() -> int:
    messages = MessageHandler()
    folder, delay, most_bytes, size = sys.argv[1:5]
    del sys.argv[1:5]
    # The configuration has paths relative to here: in the names of the user's folders gallery-dl
    # would replace "~", "$" and control characters.
    os.chdir(os.path.dirname(folder))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _pace(float(delay))
    _limit(int(most_bytes))
    _stay_inside(os.path.realpath(folder))
    util.json_loads = json.JSONDecoder(object_hook=_without_instructions).decode
    if size == "sample":
        _prefer_small_danbooru_files()
    DownloadArchive._sqlite3 = types.SimpleNamespace(
        connect=archive.connect, OperationalError=sqlite3.OperationalError
    )
    _report(messages)
    logging.getLogger().addHandler(messages)
    return gallery_dl.main()


class MessageHandler(logging.Handler):
    """Sends messages to the parent process, on a pipe that nothing else here writes to."""

    def __init__(self):
        super().__init__(logging.INFO)
        self._pipe = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)

    def send(self, kind: str, **content) -> None:
        """Sends a message as one line of ASCII, whatever its content is."""
        line = json.dumps({"kind": kind, **content}, default=str) + "\n"
        self._pipe.write(line.encode("ascii"))
        self._pipe.flush()

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname.lower()
        self.send("log", name=record.name, level=level, text=record.getMessage())


def _report(messages: MessageHandler) -> None:
    """Makes gallery-dl send a message for each picture that it downloads or fails to download."""
    initialize = DownloadJob.initialize

    def initialize_and_listen(job: DownloadJob, *arguments) -> None:
        initialize(job, *arguments)
        job.hooks = collections.defaultdict(list)
        job.register_hooks({"after": send_picture, "error": send_failure})

    def send_picture(path: PathFormat) -> None:
        post = {name: path.kwdict[name] for name in FIELDS if name in path.kwdict}
        messages.send("picture", post={**post, "_path": os.path.abspath(path.realpath)})

    def send_failure(path: PathFormat) -> None:
        messages.send("failed", name=str(path.filename or path.kwdict.get("_url")))

    DownloadJob.initialize = initialize_and_listen


def _end_with_parent() -> None:
    """Ends this process when standard input, a pipe, is closed by the parent or the parent dies."""
    while os.read(0, 1):
        pass
    os._exit(1)


def _pace(delay: float) -> None:
    """Makes every request, redirects included, wait until `delay` seconds after the one before.

    gallery-dl paces pages and pictures separately, so a page could follow a picture at once.
    """
    send = requests.Session.send
    earliest = 0.0

    def send_slowly(session: requests.Session, request, **options) -> requests.Response:
        nonlocal earliest
        time.sleep(max(earliest - time.monotonic(), 0.0))
        earliest = time.monotonic() + delay
        response = send(session, request, **options)
        earliest = max(earliest, time.monotonic() + _retry_after(response))
        return response

    requests.Session.send = send_slowly


def _retry_after(response: requests.Response) -> float:
    """Returns the seconds to wait that a server asks for; 0 if it does not."""
    value = response.headers.get("Retry-After")
    if not value or response.status_code not in (429, 503):
        return 0.0
    try:
        return min(Retry().parse_retry_after(value), LONGEST_WAIT_SECONDS)
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0  # gallery-dl backs off by itself


def _limit(most_bytes: int) -> None:
    """Ends answers longer than `most_bytes`, or `MOST_PAGE_BYTES` if they are not pictures.

    Bytes are counted unpacked. Pictures are read as a stream, everything else is kept in memory.
    """
    iter_content = requests.Response.iter_content
    send = requests.adapters.HTTPAdapter.send

    def send_and_mark(adapter, request, stream=False, **options) -> requests.Response:
        response = send(adapter, request, stream=stream, **options)
        is_picture = stream and response.status_code in (200, 206)
        response.most_bytes = most_bytes if is_picture else MOST_PAGE_BYTES
        return response

    def read_limited(response: requests.Response, *arguments, **options) -> Iterator[bytes]:
        count = 0
        for piece in iter_content(response, *arguments, **options):
            count += len(piece)
            if count > response.most_bytes:
                # After an error of `requests`, gallery-dl would try again.
                raise OSError(f"the answer has more than {response.most_bytes:,} bytes")
            yield piece

    requests.adapters.HTTPAdapter.send = send_and_mark
    requests.Response.iter_content = read_limited


def _stay_inside(folder: str) -> None:
    """Makes gallery-dl write only inside a folder.

    It names folders after titles that a site chooses, and ".." may be one of them.
    """
    set_directory = PathFormat.set_directory

    def set_directory_inside(path: PathFormat, post: dict) -> None:
        set_directory(path, post)
        there = os.path.realpath(path.realdirectory)
        if os.path.commonpath((folder, there)) != folder:
            path.directory = path.realdirectory = path.basedirectory

    PathFormat.set_directory = set_directory_inside


def _without_instructions(value: dict) -> dict:
    return {key: item for key, item in value.items() if not key.startswith(INSTRUCTIONS)}


def _prefer_small_danbooru_files() -> None:
    """Makes gallery-dl fetch `large_file_url`, at most 850 pixels wide, as no option of it does."""
    items = DanbooruExtractor.items

    def samples(extractor: DanbooruExtractor) -> Iterator[tuple]:
        for kind, url, post in items(extractor):
            sample = post.get("large_file_url")
            if kind == Message.Url and sample:
                url = urljoin(f"{extractor.root}/", sample)
                text.nameext_from_url(url, post)
            yield kind, url, post

    DanbooruExtractor.items = samples


if __name__ == "__main__":
    sys.exit(main())
