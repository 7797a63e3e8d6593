"""The explorer's plain.js, run by Node, against ONNX Runtime."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from explorer_pages import EXPLORER

from dcgan import UserError
from dcgan.export import web
from dcgan.models import Generator

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
SCRIPT = f"""
import {{ readFileSync }} from "node:fs";
import {{ InferenceSession, OPERATIONS, Tensor }} from "{(EXPLORER / "plain.js").as_uri()}";
const z = JSON.parse(readFileSync(0, "utf8"));
const session = await InferenceSession.create(new Uint8Array(readFileSync(MODEL)));
const given = new Tensor("float32", Float32Array.from(z.flat()), [z.length, z[0].length]);
const {{ dims, data }} = (await session.run({{ z: given }})).images;
console.log(JSON.stringify([dims, [...data], Object.keys(OPERATIONS)]));
"""


def plain(model, z: np.ndarray) -> tuple[np.ndarray, set[str]]:
    """What plain.js draws, and the operations that it knows."""
    words = ["node", "--input-type=module", "-e", SCRIPT.replace("MODEL", json.dumps(str(model)))]
    given = json.dumps(z.tolist())
    done = subprocess.run(words, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    dims, values, known = json.loads(done.stdout)
    return np.float32(values).reshape(dims), set(known)


def written(path, shape, *, weights="float32", **kwargs):
    """A generator with weights of some size, as ONNX."""
    for module in ("tf2onnx", "onnx", "onnxruntime"):
        pytest.importorskip(module)
    generator = Generator(shape, z_dim=7, width=16, **kwargs)
    generator.build()
    random = np.random.default_rng(0)
    for variable in generator.variables:
        if "variance" in variable.name or "gamma" in variable.name:
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        else:
            variable.assign(random.normal(0, 0.2, variable.shape))
    web.write_onnx(generator, path, weights=weights)
    return path


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((16, 16, 3), {"kernel_size": 3, "weights": "float16"}),
        ((13, 22, 1), {"kernel_size": 5}),
        ((32, 32, 3), {"kernel_size": 4, "layout": "torch_tutorial"}),
    ],
)
def test_it_draws_what_onnx_runtime_draws(shape, options, tmp_path):
    model = written(tmp_path / "generator.onnx", shape, **options)
    import onnxruntime

    z = np.random.default_rng(1).normal(size=(3, 7)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    expected = session.run(["images"], {"z": z})[0]
    assert expected.std() > 0.1
    found, known = plain(model, z)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert known == web.PLAIN
    web._require_plain(model)


def test_a_network_that_it_cannot_run_is_refused_at_export(tmp_path):
    model = written(tmp_path / "generator.onnx", (28, 28, 1), layout="tf_tutorial")
    with pytest.raises(UserError, match="none cannot draw with this network, which needs Pad"):
        web.write_web(model, {}, tmp_path / "site", onnxruntime="none")
    assert not (tmp_path / "site").exists()


def test_large_files_are_packed_beside_and_others_are_not(tmp_path):
    (tmp_path / "long.js").write_text("a line\n" * 10_000)
    (tmp_path / "dcgan.json").write_text("a line\n" * 10_000)  # export adds to it later
    (tmp_path / "short.js").write_text("a line")
    (tmp_path / "noise").write_bytes(np.random.default_rng(0).bytes(100_000))
    web._pack(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.gz")) == ["long.js.gz"]
