"""`serve` as users run it: a process over an exported SavedModel, under load and signals."""

import contextlib
import io
import json
import pickle
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
from nursery import Nursling
from PIL import Image
from running import ROOT, started
from serving_models import INFO, Z_DIM, write_saved_model

from dcgan import images

PATIENCE = 60  # seconds; other work keeps the cores busy


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with the versions 1 and 2; tests copy from it."""
    folder = tmp_path_factory.mktemp("exported")
    for version in (1, 2):
        write_saved_model(folder, version)
    return folder


def put(exported: Path, version: int, folder: Path, number: int | None = None) -> None:
    """A version in a folder, by a rename, as `export` does it."""
    shutil.copytree(exported / str(version), folder / "new")
    (folder / "new").rename(folder / str(number or version))


class Server:
    """A server process, and where it answers."""

    def __init__(self, process: subprocess.Popen | Nursling):
        self.process = process
        self.said = []  # before it answered
        for line in process.stdout:
            self.said.append(line)
            if found := re.search(r"at (http://\S+)", line):
                break
        else:
            raise AssertionError("".join([*self.said, *process.communicate()]))
        self.address = found[1]

    def get(self, path: str, **kwargs) -> requests.Response:
        return requests.get(self.address + path, timeout=PATIENCE, **kwargs)

    def predict(self, body: dict, path: str = "/v1/models/dcgan:predict") -> requests.Response:
        return requests.post(self.address + path, json=body, timeout=PATIENCE)

    def picture(self, path: str) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(self.get(path).content)))

    def image(self, seed: int) -> np.ndarray:
        return self.picture(f"/image/{seed}.png")

    def first_grid(self) -> np.ndarray:
        """As the explorer asks for it."""
        return self.picture("/grid.png?seeds=0-47&columns=8")

    def wait_for(self, condition) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end and self.process.poll() is None
            time.sleep(0.05)


@contextlib.contextmanager
def serving(folder: Path, *flags, **kwargs):
    words = ("serve", "--model_dir", folder, "--port", "0", *flags)
    with started(*words, **kwargs) as process:
        yield Server(process)


# `main.py`, that tells what it has loaded when it ends.
TELLING = """
import atexit, sys
sys.path.insert(0, {root!r})
from dcgan import __main__
if __name__ == "__main__":
    atexit.register(lambda: print("loaded:", *sys.modules))
    __main__.start()
"""


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory):
    """One of version 1. Ctrl-C ends it at once, and it never loaded Keras nor training code."""
    folder = tmp_path_factory.mktemp("served")
    put(exported, 1, folder / "models")
    (folder / "main.py").write_text(TELLING.format(root=str(ROOT)))
    (folder / "browser").write_text(f'#!/bin/sh\necho "$1" > "{folder}/opened"\n')
    (folder / "browser").chmod(0o755)
    env = {"BROWSER": str(folder / "browser"), "DISPLAY": ":1"}
    with serving(folder / "models", "--open", warm=False, script=folder / "main.py", env=env) as it:
        yield it
        it.process.send_signal(signal.SIGINT)
        output, errors = it.process.communicate(timeout=PATIENCE)
        assert it.process.returncode == 128 + signal.SIGINT and "Traceback" not in errors
    loaded = set(output.rpartition("loaded: ")[2].split())
    rooms = {name.split(".")[1] for name in loaded if name.startswith("dcgan.")}
    assert {"serving", "latent"} <= rooms
    assert "keras" not in {name.partition(".")[0] for name in loaded}
    assert not rooms & {"models", "training", "export", "evaluation", "datasets", "outputs"}
    assert (folder / "opened").read_text().strip() == it.address  # by --open


def signature(exported: Path, version: int, name: str, **inputs) -> np.ndarray:
    """The bare SavedModel's answer."""
    import tensorflow as tf

    function = tf.saved_model.load(str(exported / str(version))).signatures[name]
    tensors = {key: tf.constant(value) for key, value in inputs.items()}
    return next(iter(function(**tensors).values())).numpy()


def first_grid(exported: Path, version: int) -> np.ndarray:
    faces = signature(exported, version, "generate", seed=np.arange(48))
    return images.grid(faces, columns=8)


def test_its_pictures_are_the_models(server, exported):
    seeds = np.array([7, -1, 1 << 62, 8], np.int64)
    expected = signature(exported, 1, "generate", seed=seeds)
    for seed, picture in zip(seeds, expected, strict=True):
        assert np.array_equal(server.image(seed), picture)
    named = {"signature_name": "generate", "inputs": {"seed": seeds.tolist()}}
    assert np.array_equal(server.predict(named).json()["outputs"], expected)
    assert np.array_equal(server.first_grid(), first_grid(exported, 1))
    z = np.random.default_rng(0).normal(size=(3, Z_DIM)).astype(np.float32)
    drawn = server.predict({"instances": z.tolist()}).json()["predictions"]
    difference = np.abs(np.float32(drawn) - signature(exported, 1, "serving_default", z=z)).max()
    assert difference < 1e-6
    scores = server.predict({"signature_name": "discriminate", "inputs": expected.tolist()})
    np.testing.assert_allclose(
        scores.json()["outputs"], expected.mean((1, 2, 3)) / 255, rtol=0, atol=1e-6
    )


def test_the_way_between_two_seeds_begins_and_ends_at_their_pictures(server):
    gif = Image.open(io.BytesIO(server.get("/interpolate.gif?from=7&to=9&frames=5").content))
    assert gif.n_frames == 8
    for frame, own, other in ((0, 7, 9), (4, 9, 7)):
        gif.seek(frame)
        shown = np.asarray(gif.convert("RGB"), int)

        def far(seed, shown=shown):
            return np.abs(shown - server.image(seed)).mean()

        assert far(own) < far(other) / 2  # the palette of a GIF allows no more


def test_a_picture_does_not_depend_on_who_asks_at_the_same_time(server):
    alone = [server.get(f"/image/{seed}.png").content for seed in range(8)]
    with ThreadPoolExecutor(50) as clients:
        answers = list(clients.map(lambda i: server.get(f"/image/{i % 8}.png"), range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.content == alone[i % 8] for i, answer in enumerate(answers))


def test_it_says_what_the_signatures_are(server):
    document = server.get("/v1/models/dcgan/metadata").json()
    assert document["model_spec"]["version"] == "1"
    z = document["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]["z"]
    assert z["dtype"] == "DT_FLOAT"
    assert [size["size"] for size in z["tensor_shape"]["dim"]] == ["-1", str(Z_DIM)]
    assert server.get("/model.json").json()["z_dim"] == INFO["z_dim"]


def test_only_this_machine_reaches_it(server):
    assert urlsplit(server.address).hostname == "127.0.0.1"


def damage_graph(path: Path) -> None:
    graph = path / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:-1000])


def damage_weights(path: Path) -> None:
    weights = next(path.glob("variables/*.data-*"))
    weights.write_bytes(weights.read_bytes()[:100])


def flip_a_weight(path: Path) -> None:
    weights = next(path.glob("variables/*.data-*"))
    content = bytearray(weights.read_bytes())
    content[50] ^= 1
    weights.write_bytes(content)


class Bomb:
    """Unpickled, it leaves a file."""

    def __reduce__(self):
        return (open, ("exploded", "w"))


def write_pickles(path: Path) -> None:
    for file in (path / "saved_model.pb", path / "variables" / "variables.index"):
        file.write_bytes(pickle.dumps(Bomb()))


@pytest.mark.parametrize(
    "damage",
    [
        write_pickles,
        damage_graph,
        damage_weights,
        flip_a_weight,
        lambda path: (path / "variables" / "variables.index").unlink(),
        lambda path: next(path.glob("variables/*.data-*")).unlink(),
    ],
)
def test_what_is_not_whole_is_not_used(exported, tmp_path, damage, monkeypatch):
    from dcgan.serving.saved_model import SavedModel, UnusableVersion

    monkeypatch.chdir(tmp_path)
    put(exported, 1, tmp_path)
    damage(tmp_path / "1")
    with pytest.raises(UnusableVersion, match=r"\w"):
        SavedModel(tmp_path / "1")
    assert not (tmp_path / "exploded").exists()


@contextlib.contextmanager
def load(server: Server, clients: int) -> Iterator[list[int]]:
    """Clients that ask for pictures without a pause until the block ends: the answers' statuses."""
    statuses, stop = [], threading.Event()

    def ask(client: int) -> None:
        with requests.Session() as session:
            while not stop.is_set():
                url = f"{server.address}/image/{client}.png"
                statuses.append(session.get(url, timeout=PATIENCE).status_code)

    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(ask, client) for client in range(clients)]
        try:
            yield statuses
        finally:
            stop.set()
    for one in asking:
        one.result()  # or its error


def test_a_new_version_takes_over_under_load_then_sigterm_drains(exported, tmp_path):
    put(exported, 1, tmp_path)
    with serving(tmp_path) as server:
        first = server.image(7)
        with load(server, clients=8) as statuses:
            # Half of version 5 is there for some seconds, and is never used.
            shutil.copytree(exported / "2", tmp_path / "5")
            damage_weights(tmp_path / "5")
            put(exported, 2, tmp_path)
            server.wait_for(lambda: server.get("/healthz").json()["version"] == 2)
            server.wait_for(lambda: server.get("/healthz").json()["refused"])
            answered = len(statuses)
            server.wait_for(lambda: len(statuses) > answered + 50)
        assert set(statuses) == {200}
        assert np.array_equal(
            server.image(7), signature(exported, 2, "generate", seed=np.int64([7]))[0]
        )
        assert not np.array_equal(server.image(7), first)
        assert np.array_equal(server.first_grid(), first_grid(exported, 2))
        states = server.get("/v1/models/dcgan").json()["model_version_status"]
        assert [(s["version"], s["state"]) for s in states] == [
            ("2", "AVAILABLE"),
            ("1", "AVAILABLE"),
        ]
        old = server.predict(
            {"signature_name": "generate", "instances": [7]},
            "/v1/models/dcgan/versions/1:predict",
        )
        assert np.array_equal(old.json()["predictions"], [first])
        assert server.get("/v1/models/dcgan/versions/5").status_code == 404
        health = server.get("/healthz").json()
        assert [refused["version"] for refused in health["refused"]] == [5]
        assert "Read less bytes" in health["refused"][0]["reason"]
        assert str(tmp_path) not in health["refused"][0]["reason"]
        foreign = server.get("/model.json", headers={"Host": "evil.example"})
        assert foreign.status_code == 400 and "allowed_hosts" in foreign.json()["error"]
        assert drained(server) == (b"HTTP/1.1 200", 128 + signal.SIGTERM)
        assert "Version 5 is not loaded" in server.process.communicate()[0]


def drained(server: Server) -> tuple[bytes, int]:
    """SIGTERM in the middle of a request: the answer it gets, and the exit code."""
    where = urlsplit(server.address)
    body = json.dumps({"z": [[0.5] * Z_DIM]}).encode()
    lines = ["POST /render HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", "", ""]
    head = "\r\n".join(lines).encode()
    with socket.create_connection((where.hostname, where.port), timeout=PATIENCE) as connection:
        connection.sendall(head + body[:5])
        server.wait_for(lambda: server.get("/healthz").ok)  # so that it has been read
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(requests.ConnectionError):
            server.get("/healthz")  # nobody new is let in
        connection.sendall(body[5:])
        answer = connection.recv(65536)
    return answer[:12], server.process.wait(PATIENCE)
