"""A site of the moebooru and danbooru shape on this machine, with the faults of real ones.

It serves `/post.json?tags=&page=&limit=` and `/posts.json`, newest first, and `/originals/<name>`
and `/samples/<name>`. Faults are prescribed by path and used up one a request.
"""

import contextlib
import hashlib
import io
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

import numpy as np
from PIL import Image


def picture(number: int, side: int = 24) -> bytes:
    """A JPEG of noise that no other number has."""
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


@dataclass
class Post:
    """A post. `name` is of its files, `rating` a letter of the site's own, `says` put last."""

    number: int
    tags: str = "1girl solo"
    rating: str = "s"
    name: str = ""
    original: bytes = b""
    sample: bytes = b""
    md5: str = ""
    source: str = "https://example.org/art"
    says: dict = field(default_factory=dict)

    def __post_init__(self):
        self.name = self.name or f"{self.number}.jpg"
        self.original = self.original or picture(self.number, 48)
        self.sample = self.sample or picture(self.number)
        self.md5 = self.md5 or hashlib.md5(self.original, usedforsecurity=False).hexdigest()


@dataclass
class Request:
    """What was asked for, when (seconds of the monotonic clock) and by whom."""

    path: str
    query: dict[str, str]
    seconds: float
    user_agent: str
    method: str = "GET"


@dataclass
class Site:
    """The posts, the faults by path, and what was asked for.

    A fault is a status code, or "drop" (the connection, half way), "half" (the file, as if it were
    whole), "html" (a web page under the type of a picture) or "page" (a web page); or bytes, which
    are sent as they are, or an iterator of such, for as long as somebody listens.
    """

    posts: list[Post]
    faults: dict[str, list] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    wait: float = 0.0  # seconds before each picture
    retry_after: str | None = None
    root: str = ""

    def asked(self, start: str) -> list[Request]:
        """The requests whose path starts so."""
        return [request for request in self.requests if request.path.startswith(start)]

    def fault(self, path: str):
        """The next fault of a path, or None."""
        return self.faults[path].pop(0) if self.faults.get(path) else None


class _Handler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.0"

    def log_message(self, *_):
        pass

    def do_GET(self):
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), {k: v[0] for k, v in parse_qs(parts.query).items()}
        agent = self.headers.get("User-Agent", "")
        self.site.requests.append(Request(path, query, time.monotonic(), agent, self.command))
        fault = self.site.fault(path)
        if isinstance(fault, int):
            self.send_response(fault)
            if self.site.retry_after:
                self.send_header("Retry-After", self.site.retry_after)
            self.end_headers()
            return
        if fault is not None and not isinstance(fault, str):
            with contextlib.suppress(ConnectionError):
                self.wfile.writelines([fault] if isinstance(fault, bytes) else fault)
            return
        kind, data = self.content(path, query)
        if kind is None:
            self.send_error(404)
            return
        claimed = len(data)
        if fault == "page":
            kind, data = "text/html", b"<!doctype html><title>Just a moment</title>"
            claimed = len(data)
        elif fault == "html":
            data = b"<!doctype html><title>Just a moment</title>"
            claimed = len(data)
        elif fault == "half":
            data = data[: len(data) // 2]
            claimed = len(data)
        elif fault == "drop":
            data = data[: len(data) // 2]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(claimed))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(data)

    do_POST = do_DELETE = do_GET

    def content(self, path: str, query: dict) -> tuple[str | None, bytes]:
        """(content type, content) of a path; (None, ...) when there is none."""
        if path in ("/post.json", "/posts.json"):
            found = self.matching(query, general=path == "/posts.json")
            form = self.moebooru if path == "/post.json" else self.danbooru
            return "application/json", json.dumps([form(post) for post in found]).encode()
        time.sleep(self.site.wait)
        for post in self.site.posts:
            if path == f"/originals/{post.name}":
                return "image/jpeg", post.original
            if path == f"/samples/{post.name}":
                return "image/jpeg", post.sample
        return None, b""

    def matching(self, query: dict, *, general: bool) -> list[Post]:
        wanted = set(query.get("tags", "").split())
        ratings = {tag.partition(":")[2][0] for tag in wanted if tag.startswith("rating:")}
        wanted = {tag for tag in wanted if not tag.startswith("rating:")}
        found = [
            post
            for post in sorted(self.site.posts, key=lambda post: -post.number)
            if wanted <= set(post.tags.split()) and (not ratings or post.rating in ratings)
        ]
        limit, page = int(query.get("limit", 20)), query.get("page", "1")
        if general and page.startswith("b"):
            return [post for post in found if post.number < int(page[1:])][:limit]
        start = (int(page) - 1) * limit
        return found[start : start + limit]

    def moebooru(self, post: Post) -> dict:
        return {
            "id": post.number,
            "tags": post.tags,
            "created_at": 1_500_000_000 + post.number,
            "rating": post.rating,
            "source": post.source,
            "md5": post.md5,
            "file_url": f"{self.site.root}/originals/{quote(post.name)}",
            "sample_url": f"{self.site.root}/samples/{quote(post.name)}",
            **post.says,
        }

    def danbooru(self, post: Post) -> dict:
        kinds = ("artist", "character", "copyright", "general", "meta")
        return {
            "id": post.number,
            "tag_string": post.tags,
            **{f"tag_string_{kind}": "" for kind in kinds},
            "created_at": "2020-01-01T00:00:00.000-05:00",
            "rating": post.rating,
            "source": post.source,
            "md5": post.md5,
            "file_url": f"{self.site.root}/originals/{quote(post.name)}",
            "large_file_url": f"{self.site.root}/samples/{quote(post.name)}",
            **post.says,
        }


@contextlib.contextmanager
def serving(posts: list[Post], **options) -> Iterator[Site]:
    """Serves posts while the block runs; `options` are attributes of `Site`."""
    site = Site(posts, **options)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    site.root = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
