"""`serve` as users run it: a process over an exported SavedModel, under load and signals."""

import contextlib
import io
import json
import pickle
import re
import shutil
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
from PIL import Image
from running import python, start
from serving_models import INFO, Z_DIM, write_saved_model

import main
from dcgan import images

for package in ("fastapi", "uvicorn", "httptools", "orjson", "prometheus_client"):
    pytest.importorskip(package, reason=f"{package} is not installed")

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

    def __init__(self, folder: Path, *flags):
        # Its port is read while it runs.
        self.process = start("serve", "--model_dir", folder, "--port", "0", *flags, warm=False)
        self.said = []
        for line in self.process.stdout:
            self.said.append(line)
            if found := re.search(r"at (http://\S+)", line):
                break
        else:
            raise AssertionError("".join(self.said) + self.process.stderr.read())
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
def serving(folder: Path, *flags):
    server = Server(folder, *flags)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate(timeout=PATIENCE)  # its processes end with it, and let go


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    put(exported, 1, folder)
    with serving(folder) as server:
        yield server


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


def test_no_training_code_and_no_keras_are_loaded(exported):
    code = f"""
import sys
from pathlib import Path
from dcgan import commands
commands._load("serve")
from dcgan.serving import app, saved_model, server
model = saved_model.SavedModel(Path({str(exported / "1")!r}))
model.warm_up([1, 2])
model.latents([7])
units = {{name.split(".")[1] for name in sys.modules if name.startswith("dcgan.")}}
print(*units & {{"models", "losses", "state", "checkpoint", "training", "export"}})
sys.exit("keras" in sys.modules)
"""
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "\n"


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


def info(**changed):
    """Changes the description; a key whose value is None goes."""

    def change(path: Path) -> None:
        file = path / "assets.extra" / "dcgan.json"
        content = json.loads(file.read_text()) | changed
        file.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))

    return change


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
        info(z_dim=5),
        info(height=9),
        info(channels=1 << 70),
        info(note=1 << 70),  # which /model.json could not show
        info(note="\ud800"),
        damage_graph,
        damage_weights,
        flip_a_weight,
        lambda path: (path / "saved_model.pb").write_bytes(b""),
        lambda path: (path / "variables" / "variables.index").unlink(),
        lambda path: next(path.glob("variables/*.data-*")).unlink(),
        lambda path: (path / "assets.extra" / "dcgan.json").unlink(),
        lambda path: (path / "assets.extra" / "dcgan.json").write_text("[]"),
        lambda path: (path / "assets.extra" / "dcgan.json").write_text('{"z_dim": '),
    ],
)
def test_what_is_not_whole_is_not_used(exported, tmp_path, damage, monkeypatch):
    from dcgan.serving.saved_model import SavedModel, Unusable

    monkeypatch.chdir(tmp_path)
    put(exported, 1, tmp_path)
    damage(tmp_path / "1")
    with pytest.raises(Unusable, match=r"\w"):
        SavedModel(tmp_path / "1")
    assert not (tmp_path / "exploded").exists()


class Load:
    """Clients that ask for pictures without a pause, until the block ends."""

    def __init__(self, server: Server, clients: int):
        self.server, self.wrong, self.answered = server, [], 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=[i]) for i in range(clients)]

    def _ask(self, client: int) -> None:
        with requests.Session() as session:
            while not self._stop.is_set():
                url = f"{self.server.address}/image/{client}.png"
                try:
                    answer = session.get(url, timeout=PATIENCE)
                except requests.RequestException as error:
                    self.wrong.append(repr(error))
                    return
                if answer.status_code != 200:
                    self.wrong.append(answer.text)
                self.answered += 1

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_a_new_version_takes_over_under_load_then_sigterm_drains(exported, tmp_path):
    put(exported, 1, tmp_path)
    with serving(tmp_path) as server:
        first = server.image(7)
        with Load(server, clients=8) as load:
            # Half of version 5 is there for some seconds, and is never used.
            shutil.copytree(exported / "2", tmp_path / "5")
            damage_weights(tmp_path / "5")
            put(exported, 2, tmp_path)
            server.wait_for(lambda: server.get("/healthz").json()["version"] == 2)
            server.wait_for(lambda: server.get("/healthz").json()["refused"])
            answered = load.answered
            server.wait_for(lambda: load.answered > answered + 50)
        assert load.wrong == []
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
        assert "Version 5 is not loaded" in server.process.stdout.read()


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


def test_ctrl_c_ends_it_at_once(server_that_may_end):
    server_that_may_end.process.send_signal(signal.SIGINT)
    assert server_that_may_end.process.wait(PATIENCE) == 128 + signal.SIGINT
    assert "Traceback" not in server_that_may_end.process.stderr.read()


@pytest.fixture
def server_that_may_end(exported, tmp_path):
    put(exported, 1, tmp_path)
    with serving(tmp_path) as server:
        yield server


def test_without_an_export_it_names_the_command_that_makes_one(tmp_path, capfd):
    (tmp_path / "run").mkdir()
    for flag, folder, words in (
        ("--model_dir", tmp_path, "yet; run: python main.py export"),
        ("--run_dir", tmp_path / "run", f"{tmp_path / 'run'} is not a run folder"),
    ):
        assert main.main(["serve", flag, str(folder)]) == 2
        said = capfd.readouterr().err
        assert said.count("\n") <= 2 and words in said


def test_a_name_must_fit_into_an_address(exported, capfd):
    assert main.main(["serve", "--model_dir", str(exported), "--name", "a/b"]) == 2
    assert "--name must be" in capfd.readouterr().err


def test_one_version_is_no_model_folder(exported, capfd):
    assert main.main(["serve", "--model_dir", str(exported / "1")]) == 2
    assert f"--model_dir {exported}\n" in capfd.readouterr().err
