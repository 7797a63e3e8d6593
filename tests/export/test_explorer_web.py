"""`export --format web`: the explorer on a static host, drawing by itself, without a network."""

import shutil

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


def shown(browser, url: str) -> np.ndarray:
    """The pictures of SEEDS on the wall of a page that is opened for them."""
    page = browser.new_page()
    page.goto(url)
    try:
        return wall(page)
    finally:
        page.close()


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
        assert off(shown(browser, host.url), faces) <= 1
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
        assert off(shown(browser, host.url), faces) <= 1
        packed.unlink()
        worker = tmp_path / "site" / "onnx-worker.js"
        worker.write_text("self.DecompressionStream = undefined;\n" + worker.read_text())
        assert off(shown(browser, host.url), faces) <= 1


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


def test_a_missing_generator_is_said(browser, tmp_path):
    for name in ("model.onnx", *web.FILES):
        (tmp_path / name).touch()
    web.write_web(tmp_path / "model.onnx", info(), tmp_path / "site", onnxruntime=str(tmp_path))
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
