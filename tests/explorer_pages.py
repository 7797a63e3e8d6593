"""A stand-in for the server behind the explorer, a static host, and a browser to look at them.

The stand-in paints coloured blobs, a cheap function of z that changes smoothly with it.
"""

import contextlib
import functools
import io
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image

EXPLORER = Path(__file__).parents[1] / "dcgan" / "serving" / "explorer"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

PIXELS = """(canvas, step) => {
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    const found = [];
    for (let y = step >> 1; y < height; y += step)
        for (let x = step >> 1; x < width; x += step)
            found.push(...data.subarray(4 * (y * width + x), 4 * (y * width + x) + 3));
    return [found, Math.floor(width / step)];
}"""


def description(*, z_dim: int = 16, side: int = 24, z_dist: str = "normal01") -> dict:
    """A dcgan.json; its directions are the axes."""
    return {
        "dataset": "blobs",
        "height": side,
        "width": side,
        "channels": 3,
        "z_dim": z_dim,
        "z_dist": z_dist,
        "step": 1234,
        "directions": np.eye(z_dim)[: min(10, z_dim)].tolist(),
        "direction_scales": np.linspace(3, 1, min(10, z_dim)).tolist(),
    }


def blobs(z: np.ndarray, side: int) -> np.ndarray:
    """z [N, at least 8] -> uint8 [N, side, side, 3]: a round blob on a plain ground."""
    y, x = np.mgrid[:side, :side] / (side - 1)
    unit = 1 / (1 + np.exp(-np.asarray(z, np.float64)))[:, :, None, None]
    far = np.hypot(x - unit[:, 3], y - unit[:, 4]) / (0.15 + 0.3 * unit[:, 5])
    mask = np.clip(4 - 4 * far, 0, 1)[..., None]
    ground = unit[:, 0:3, 0, 0][:, None, None]
    colour = unit[:, [6, 7, 0], 0, 0][:, None, None]
    return np.rint(255 * (mask * colour + (1 - mask) * ground)).astype(np.uint8)


class Host(ThreadingHTTPServer):
    """A server that can be told to misbehave.

    Attributes:
        info: what /model.json answers; (status, sentence) is an error.
        refusal: None, or the same for /render.
        limit: images of a request; beyond it the answer is 413.
        asked: the z of every /render, arrays [N, z_dim].
    """

    daemon_threads = True
    info: dict | tuple[int, str]
    refusal: tuple[int, str] | None = None
    limit = 64

    def __init__(self, handler, info=None):
        super().__init__(("127.0.0.1", 0), handler)
        self.info = info
        self.asked: list[np.ndarray] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Files(SimpleHTTPRequestHandler):
    """Files under a path of their own, as GitHub Pages serves a project."""

    extensions_map = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(self, *args, prefix: str, **kwargs):
        self.prefix = prefix
        super().__init__(*args, **kwargs)

    def translate_path(self, path: str) -> str:
        if not path.startswith(self.prefix):
            return str(Path(self.directory) / "absent")
        return super().translate_path(path.removeprefix(self.prefix.rstrip("/")))

    def end_headers(self) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")  # as public hosts of packages do
        super().end_headers()

    def log_message(self, *args) -> None:
        pass


class _Stub(_Files):
    def do_GET(self) -> None:
        if self.path == "/model.json":
            info = self.server.info
            self._say(*(info if isinstance(info, tuple) else (200, info)))
        else:
            super().do_GET()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        z = np.array(body["z"], np.float32)
        if self.server.refusal:
            return self._say(*self.server.refusal)
        if len(z) > self.server.limit:
            return self._say(413, f"{len(z)} images; the limit is {self.server.limit} a request.")
        self.server.asked.append(z)
        pictures = blobs(z, self.server.info["height"])
        sheet = np.concatenate(list(pictures), axis=1)  # columns = N: side by side
        file = io.BytesIO()
        Image.fromarray(sheet).save(file, "PNG")
        self._send(200, "image/png", file.getvalue())

    def _say(self, status: int, content) -> None:
        value = content if isinstance(content, dict) else {"error": content}
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextlib.contextmanager
def serving(folder: Path, *, prefix: str = "/", info: dict | None = None) -> Iterator[Host]:
    """Serves a folder; with `info`, the explorer's endpoints too."""
    handler = functools.partial(_Stub if info else _Files, prefix=prefix, directory=str(folder))
    host = Host(handler, info)
    thread = threading.Thread(target=host.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        host.shutdown()
        host.server_close()
        thread.join()


@contextlib.contextmanager
def chromium(*switches: str) -> Iterator:
    """A headless browser of the system's, driven by playwright; None where either is missing.

    Args:
        switches: of Chromium.
    """
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        yield None
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", *switches]
        )
        yield browser
        browser.close()


def pixels(locator, step: int = 1) -> np.ndarray:
    """A canvas as uint8 [H, W, 3]; of one enlarged by `step`, one pixel of each square."""
    found, width = locator.evaluate(PIXELS, step)
    return np.uint8(found).reshape(-1, width, 3)
