"""gallery-dl in a process of its own: `python -m dcgan.preparation.gallery_process` and its words.

It is gallery-dl's own command line with three things added that its options cannot do: it ends with
the process that started it, no two requests of any kind are closer than the delay (and none comes
before the time that a server asks for with Retry-After), and of danbooru's pictures it can take the
sample size. The first two words are the delay in seconds and "sample" or "original".
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from urllib.parse import urljoin

import gallery_dl
import requests
from gallery_dl import text
from gallery_dl.extractor.danbooru import DanbooruExtractor
from gallery_dl.extractor.message import Message
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

LONGEST_WAIT_SECONDS = 600.0  # whatever Retry-After says


def main() -> int:
    """Runs gallery-dl; returns its exit code."""
    delay, size = float(sys.argv[1]), sys.argv[2]
    del sys.argv[1:3]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _pace(delay)
    if size == "sample":
        _take_samples_of_danbooru()
    return gallery_dl.main()


def _end_with_parent() -> None:
    """Standard input is a pipe from the parent: it ends when the parent closes it or is killed."""
    while os.read(0, 1):
        pass
    os._exit(1)


def _pace(delay: float) -> None:
    """Makes every request wait until `delay` seconds after the one before it, redirects included.

    gallery-dl paces pages and pictures each on its own, so a page may follow a picture at once.
    """
    send = requests.Session.send
    earliest = 0.0

    def paced(session: requests.Session, request, **options) -> requests.Response:
        nonlocal earliest
        time.sleep(max(earliest - time.monotonic(), 0.0))
        earliest = time.monotonic() + delay
        response = send(session, request, **options)
        earliest = max(earliest, time.monotonic() + _retry_after(response))
        return response

    requests.Session.send = paced


def _retry_after(response: requests.Response) -> float:
    """The seconds for which the server wants to be left alone."""
    value = response.headers.get("Retry-After")
    if not value or response.status_code not in (429, 503):
        return 0.0
    try:
        return min(Retry().parse_retry_after(value), LONGEST_WAIT_SECONDS)
    except InvalidHeader:
        return 0.0  # gallery-dl backs off by itself


def _take_samples_of_danbooru() -> None:
    """Downloads `large_file_url`, at most 850 pixels wide, which gallery-dl has no option for."""
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
