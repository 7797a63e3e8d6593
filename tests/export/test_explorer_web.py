"""`export --format web`: the explorer on a static host, drawing by itself, without a network."""

import io
import json
import shutil
import tarfile

import numpy as np
import pytest
from explorer_pages import chromium, description, pixels, serving
from toy_run import Z_DIM, toy_run

from dcgan import UserError
from dcgan.export import web
from dcgan.latent.sampling import make_sampler
from dcgan.run.checkpoint import open_checkpoint

pytestmark = pytest.mark.slow  # a browser and an npm package
SHAPE = (16, 16, 3)
SEEDS = range(8)
OFFLINE = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


@pytest.fixture(scope="module")
def browser():
    with chromium(*OFFLINE) as browser:
        if browser is None:
            pytest.skip("needs playwright and Chromium")
        yield browser


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The published npm package."""
    if shutil.which("npm") is None:
        pytest.skip("needs npm")
    try:
        return web._fetch(web.VERSION, tmp_path_factory.mktemp("npm"))
    except UserError as error:
        if "could not fetch" not in str(error):
            raise
        pytest.skip(f"needs onnxruntime-web from npm: {error}")


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    return open_checkpoint(toy_run(tmp_path_factory.mktemp("run"), shape=SHAPE)).generator()


@pytest.fixture(scope="module")
def model(generator, tmp_path_factory):
    for module in ("tf2onnx", "onnx", "onnxruntime"):
        pytest.importorskip(module)
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    web.write_onnx(generator, path)
    return path


@pytest.fixture(scope="module")
def faces(generator):
    """What the Keras model makes of SEEDS: uint8 [8, 16, 16, 3]."""
    return make_sampler(generator, z_dim=Z_DIM, z_dist="normal01")(SEEDS)


def info() -> dict:
    return description(z_dim=Z_DIM, side=SHAPE[0])


def wall(page) -> np.ndarray:
    """The pictures of SEEDS on the wall."""
    page.wait_for_selector(f".wall .tile:nth-child({len(SEEDS)}) canvas.painted")
    return np.stack([pixels(page.locator(".wall canvas").nth(seed)) for seed in SEEDS])


def off(found: np.ndarray, expected: np.ndarray) -> int:
    """The largest difference, in levels."""
    return int(np.abs(found.astype(int) - expected).max())


def test_the_same_seed_is_the_same_picture_under_a_path_and_without_a_network(
    browser, package, model, faces, tmp_path
):
    web.write_web(model, info(), tmp_path / "site", onnxruntime=str(package))
    assert len(np.unique(faces.reshape(len(faces), -1), axis=0)) == len(SEEDS)
    asked, faults = [], []
    with serving(tmp_path / "site", prefix="/faces/") as host:
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{host.url}faces/#seed=7")
        assert off(wall(page), faces) <= 1
        page.get_by_role("slider", name="Direction 1", exact=True).press("End")
        page.wait_for_url("**#z=*")
        assert page.locator("#fault").is_hidden()
        page.close()
    assert faults == []
    files = {url.removeprefix(host.url).split("#")[0] for url in asked if url.startswith(host.url)}
    assert {"faces/generator.onnx", "faces/dcgan.json"} <= files
    # What goes over the wire is the packed file, whatever the host packs by itself.
    assert f"faces/onnxruntime/{web.BINARY}.gz" in files
    assert f"faces/onnxruntime/{web.BINARY}" not in files
    sent = sum((tmp_path / "site" / name.removeprefix("faces/")).stat().st_size for name in files)
    assert sent < 6e6
    assert all(url.startswith((host.url, "data:", "blob:")) for url in asked)


def test_a_public_host_is_asked_for_the_known_files_only(
    browser, package, model, faces, tmp_path, monkeypatch
):
    cdn = tmp_path / "cdn"
    web._vendor(str(package), cdn)
    with serving(cdn) as other, serving(tmp_path / "site") as host:
        monkeypatch.setattr(web, "CDN", other.url)
        web.write_web(model, info(), tmp_path / "site", onnxruntime="cdn")
        assert not (tmp_path / "site" / web.RUNTIME).exists()
        page = browser.new_page()
        page.goto(host.url)
        assert off(wall(page), faces) <= 1
        page.close()
        script = cdn / "ort.wasm.bundle.min.mjs"
        script.write_bytes(script.read_bytes() + b"\n")  # somebody changed it
        page = browser.new_page()
        page.goto(host.url)
        page.locator("#fault").wait_for(state="visible")
        assert "could not be loaded" in page.locator("#fault").inner_text()
        page.close()


def test_a_host_that_unpacks_by_itself_and_an_old_browser_do_no_harm(
    browser, package, model, faces, tmp_path
):
    web.write_web(model, info(), tmp_path / "site", onnxruntime=str(package))
    folder = tmp_path / "site" / web.RUNTIME
    packed = folder / f"{web.BINARY}.gz"
    packed.write_bytes((folder / web.BINARY).read_bytes())  # as Content-Encoding: gzip leaves it
    with serving(tmp_path / "site") as host:
        page = browser.new_page()
        page.goto(host.url)
        assert off(wall(page), faces) <= 1
        page.close()
        packed.unlink()
        worker = tmp_path / "site" / "onnx-worker.js"
        worker.write_text("self.DecompressionStream = undefined;\n" + worker.read_text())
        page = browser.new_page()
        page.goto(host.url)
        assert off(wall(page), faces) <= 1
        page.close()


def test_without_the_runtime_the_page_draws_the_same(browser, model, faces, tmp_path):
    web.write_web(model, info(), tmp_path / "site", onnxruntime="none")
    assert not (tmp_path / "site" / web.RUNTIME).exists()
    faults = []
    with serving(tmp_path / "site", prefix="/faces/") as host:
        page = browser.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{host.url}faces/")
        assert off(wall(page), faces) <= 1
        assert page.locator("#loading").inner_text() == ""
        page.goto(f"{host.url}faces/example.html")
        frame = page.frame_locator("iframe")
        frame.locator(".wall .tile canvas.painted").first.wait_for()
        assert frame.locator("#name").inner_text() == "Seed 7"
        page.close()
    assert faults == []


def test_the_first_pictures_are_seen_before_the_network_is_there(browser, model, faces, tmp_path):
    web.write_web(model, info(), tmp_path / "site", onnxruntime="none", first=faces)
    network = tmp_path / "site" / web.MODEL
    network.rename(network.with_name("away"))
    with serving(tmp_path / "site") as host:
        page = browser.new_page()
        page.goto(host.url)
        np.testing.assert_array_equal(wall(page), faces)  # to the last level: they are a PNG
        page.locator("#fault").wait_for(state="visible")  # of the others
        network.with_name("away").rename(network)
        page.locator("#fault button").click()
        page.wait_for_selector(".wall .tile:nth-child(48) canvas.painted", state="attached")
        page.close()


def test_the_loading_is_said_in_percent_of_all(browser, model, tmp_path):
    web.write_web(model, info(), tmp_path / "site", onnxruntime="none")
    said = """(async () => {
        const worker = new Worker("onnx-worker.js", { type: "module" });
        const said = [];
        const model = new URL("generator.onnx", location).href;
        const bytes = { "generator.onnx": BYTES };
        worker.postMessage({ id: 0, open: { model, runtime: null, bytes } });
        await new Promise((done) => {
            worker.onmessage = ({ data }) => {
                if ("progress" in data) said.push(data.progress);
                else done(said.push(data.fault ?? "open"));
            };
        });
        return said;
    })()"""
    size = (tmp_path / "site" / web.MODEL).stat().st_size
    with serving(tmp_path / "site") as host:
        page = browser.new_page()
        page.goto(host.url)
        found = page.evaluate(said.replace("BYTES", str(size)))
        assert found[-3:] == [f"loading: 100 % of {size / 1e6:.1f} MB", "", "open"]
        half = page.evaluate(said.replace("BYTES", str(2 * size)))
        assert half[-3].startswith("loading: 50 % of")
        page.close()


def small_package(path, **files: bytes):
    """A .tgz as npm makes them."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/dist/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_a_missing_generator_is_said(browser, tmp_path):
    (tmp_path / "model.onnx").touch()
    package = small_package(tmp_path / "package.tgz", **dict.fromkeys(web.FILES, b""))
    web.write_web(tmp_path / "model.onnx", info(), tmp_path / "site", onnxruntime=str(package))
    (tmp_path / "site" / web.MODEL).unlink()
    with serving(tmp_path / "site") as host:
        page = browser.new_page()
        page.goto(host.url)
        page.locator("#fault").wait_for(state="visible")
        assert "generator could not be loaded" in page.locator("#fault").inner_text()
        page.close()


def test_the_published_files_are_those_whose_hashes_stand_in_the_code(package, tmp_path):
    web._vendor(str(package), tmp_path / "files")
    found = {path.name: web._hash(path.read_bytes()) for path in (tmp_path / "files").iterdir()}
    assert found == web.FILES
    assert web._hash(package.read_bytes()) == web.PACKAGE_HASHES[web.VERSION]


def test_a_folder_of_the_package_does_as_well(tmp_path):
    generator = tmp_path / "generator.onnx"
    generator.write_bytes(b"model")
    files = {name: name.encode() for name in web.FILES}
    package = small_package(tmp_path / "package.tgz", **files)
    with tarfile.open(package) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    folders = [tmp_path / "out" / inner for inner in ("", "package", "package/dist")]
    for i, given in enumerate([package, *folders]):
        site = tmp_path / f"site{i}"
        web.write_web(generator, info(), site, onnxruntime=str(given))
        assert {p.name: p.read_bytes() for p in (site / web.RUNTIME).iterdir()} == files
        assert json.loads((site / "dcgan.json").read_text()) == info()
        assert (site / "generator.onnx").read_bytes() == b"model"
        assert "onnx.js" in (site / "renderer.js").read_text()


def fake_npm(folder, monkeypatch, script: str) -> None:
    npm = folder / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")


def test_another_package_under_the_version_is_refused(tmp_path, monkeypatch):
    package = small_package(tmp_path / "false.tgz", **dict.fromkeys(web.FILES, b"evil"))
    fake_npm(tmp_path, monkeypatch, f'cp {package} "$4"')
    with pytest.raises(UserError, match="not the published package"):
        web._vendor(web.VERSION, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_npm_says_is_passed_on(tmp_path, monkeypatch):
    fake_npm(tmp_path, monkeypatch, 'echo "npm error code ENOTFOUND" >&2; exit 1')
    with pytest.raises(UserError, match="could not fetch .*ENOTFOUND.*--onnxruntime"):
        web._vendor(web.VERSION, tmp_path / "out")


def test_what_cannot_be_used_is_refused_before_anything_is_done(tmp_path, monkeypatch):
    web.check_runtime("cdn")
    web.check_runtime(str(tmp_path))
    with pytest.raises(UserError, match="neither a version"):
        web.with_runtime(str(tmp_path / "absent"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="npm, which is not installed"):
        web.with_runtime(web.VERSION)
    for given in (tmp_path, small_package(tmp_path / "empty.tgz")):
        with pytest.raises(UserError, match="npm package onnxruntime-web"):
            web._vendor(str(given), tmp_path / "out")
    (tmp_path / "broken.tgz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="npm package onnxruntime-web"):
        web._vendor(str(tmp_path / "broken.tgz"), tmp_path / "out")
