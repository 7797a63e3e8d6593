"""Exports the generator as a folder for any static host: the explorer, running in the browser.

Besides the explorer's files it holds generator.onnx, dcgan.json, the images of the first seeds, a
page that shows how to embed it and the two files of the npm package onnxruntime-web that run the
network in the page. The package is checked against a known hash. Without it, the explorer's
plain.js runs the network.
"""

import base64
import dataclasses
import functools
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from pathlib import Path

import numpy as np

from dcgan import UserError, images
from dcgan.export.format import DESCRIPTION, Format, Subject
from dcgan.export.onnx import PACKAGES, write_onnx
from dcgan.files import write_json
from dcgan.latent.sampling import make_sampler
from dcgan.serving.pictures import FIRST_GRID_COLUMNS, FIRST_GRID_IMAGES

EXPLORER = Path(__file__).parents[1] / "serving" / "explorer"
EXAMPLE = Path(__file__).with_name("example.html")
MODEL = "generator.onnx"
RUNTIME = "onnxruntime"  # the folder of onnxruntime-web's files
# The operations that the explorer's plain.js can run; a test compares both.
PLAIN = frozenset(
    "Add Cast Concat Conv ConvTranspose DepthToSpace LeakyRelu MatMul Mul Relu Reshape Slice Tanh "
    "Transpose".split()
)
LARGE, WORTH = 20_000, 0.9  # larger files (bytes) are packed if that leaves less than this share

VERSION = "1.30.0"
CDN = "https://cdn.jsdelivr.net/npm/onnxruntime-web@{version}/dist/"
# The package's hash, as printed by `npm view onnxruntime-web@1.30.0 dist.integrity`.
PACKAGE_HASHES = {
    "1.30.0": "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02V"
    "b7QmRMDs1SigqR4CXAfKYQ=="
}
BINARY, BINARY_BYTES = "ort-wasm-simd-threaded.wasm", 14_239_897
FILES = {  # the files to take from the package, with their hashes
    "ort.wasm.bundle.min.mjs": "sha512-1KcF8CWAZeqtTcvLgKPtOMXIbkWeh++LDCQpDhQ5ARVxHAL1VNL5rr0OI+Mx"
    "TbmNIANldE/A/q+O4gSKgSMjWQ==",
    BINARY: "sha512-Gt7e1iIDIZ/PXEhM/OVleqWHVom0kEI/hs8cod0crXcV9jDGM39B23Hu"
    "QnlOOgDOC3x4k5pxIgtdgzaL9up3MA==",
}
NPM_SECONDS = 600  # time limit for 33 MB

_RENDERER = """\
/* How this page draws: by itself. Written by `export --format web`. */

import {{ createRenderer as create }} from "./onnx.js";

const FILES = {files};

export const createRenderer = (progress) => create(FILES, progress);
"""


def write_web(
    generator_onnx: Path,
    description: dict,
    to: Path,
    *,
    onnxruntime: str,
    first: np.ndarray | None = None,
) -> None:
    """Writes the folder `to`, which must not exist yet.

    Args:
        generator_onnx: file of z [N, z_dim] -> images float32 [N, H, W, C] in [-1, 1].
        description: the content of dcgan.json.
        onnxruntime: see `check_runtime`.
        first: images of the seeds from 0, uint8 [N, H, W, C], to show until the network is loaded.

    Raises:
        UserError: onnxruntime-web cannot be fetched or is not the expected package, or plain.js
            cannot run this network.
    """
    if onnxruntime == "none":
        _require_plain(generator_onnx)
    shutil.copytree(EXPLORER, to)
    shutil.copyfile(generator_onnx, to / MODEL)
    write_json(to / DESCRIPTION, description)
    shutil.copyfile(EXAMPLE, to / EXAMPLE.name)
    # The explorer's onnx.js reads these keys from the renderer.js that is written below.
    files = {"model": MODEL, "info": DESCRIPTION, "bytes": {MODEL: (to / MODEL).stat().st_size}}
    if onnxruntime == "cdn":
        files |= {"runtime": CDN.format(version=VERSION), "integrity": FILES}
        files["bytes"][BINARY] = BINARY_BYTES
    elif onnxruntime != "none":
        _vendor(onnxruntime, to / RUNTIME)
        files["runtime"] = f"{RUNTIME}/"
    if first is not None:
        files["first"] = {"image": "first.png", "count": len(first), "columns": FIRST_GRID_COLUMNS}
        sheet = images.grid(first, columns=FIRST_GRID_COLUMNS, margin=0)
        (to / "first.png").write_bytes(images.png_bytes(sheet))
    _pack(to)
    for path in sorted((to / RUNTIME).glob(f"{BINARY}*")):
        files["bytes"][path.name] = path.stat().st_size
    renderer = _RENDERER.format(files=json.dumps(files, indent=2))
    (to / "renderer.js").write_text(renderer, encoding="utf-8")


def _pack(folder: Path) -> None:
    """Writes X.gz beside each large file X that gets smaller, for the page and for good hosts.

    X.br would be smaller still, but pages cannot unpack it, and few static hosts look for it.
    """
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in [path for path in files if path.name != DESCRIPTION]:  # it is written again later
        content = path.read_bytes()
        packed = gzip.compress(content, 9, mtime=0)
        if len(content) > LARGE and len(packed) < WORTH * len(content):
            path.with_name(f"{path.name}.gz").write_bytes(packed)


def _require_plain(generator_onnx: Path) -> None:
    import onnx

    needed = {node.op_type for node in onnx.load(str(generator_onnx)).graph.node}
    if unknown := sorted(needed - PLAIN):
        raise UserError(
            f"--onnxruntime none cannot draw with this network, which needs {', '.join(unknown)}: "
            "leave the flag out."
        )


def check_runtime(onnxruntime: str) -> None:
    """Raises UserError if `write_web` cannot use this source of onnxruntime-web.

    It can be a version for npm to fetch, a folder or .tgz with the package, "cdn" to make the page
    fetch it from a public host, or "none" to do without it.
    """
    if onnxruntime in ("cdn", "none") or Path(onnxruntime).exists():
        return
    if not re.fullmatch(r"\d+\.\d+\.\d+[\w.-]*", onnxruntime):
        raise UserError(
            f"--onnxruntime {onnxruntime} is neither a version such as {VERSION} nor cdn or none, "
            "and no such folder or .tgz exists."
        )
    if shutil.which("npm") is None:
        raise UserError(
            f"--format web fetches onnxruntime-web {onnxruntime} with npm, which is not installed: "
            "install Node.js, or name a folder or .tgz of the package, or cdn, with --onnxruntime."
        )


def _vendor(onnxruntime: str, to: Path) -> None:
    """Copies the two files from the package, its folder, or the folder in it that holds them."""
    given = place = Path(onnxruntime)
    with tempfile.TemporaryDirectory() as folder:
        if not given.exists():
            given = place = _fetch(onnxruntime, Path(folder))
        if given.is_file():
            place = Path(folder, "unpacked")
            _unpack(given, place)
        for inner in (place, place / "dist", place / "package" / "dist"):
            if all((inner / name).is_file() for name in FILES):
                to.mkdir()
                for name in FILES:
                    shutil.copyfile(inner / name, to / name)
                return
    raise UserError(
        f"{given} does not hold {' and '.join(FILES)}: expected the npm package onnxruntime-web, "
        "or its folder."
    )


def _unpack(package: Path, to: Path) -> None:
    try:
        with tarfile.open(package) as archive:
            wanted = [entry for entry in archive if Path(entry.name).name in FILES]
            archive.extractall(to, wanted, filter="data")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        reason = str(error).partition(":\n")[0]  # tarfile adds what it tried, line by line
        raise UserError(
            f"{package} cannot be unpacked ({reason}): expected the npm package onnxruntime-web."
        ) from error


def _fetch(version: str, folder: Path) -> Path:
    """Fetches the package of a version by npm, from its cache if possible; returns the .tgz."""
    words = [shutil.which("npm") or "npm", "pack", f"onnxruntime-web@{version}"]
    options = ["--pack-destination", str(folder), "--prefer-offline", "--loglevel", "error"]
    try:
        done = subprocess.run(
            words + options, capture_output=True, text=True, timeout=NPM_SECONDS, check=False
        )
        said = (done.stderr.strip() or "it said nothing").splitlines()[0]
    except subprocess.TimeoutExpired:
        said = f"it took more than {NPM_SECONDS} seconds"
    found = next(folder.glob("*.tgz"), None)
    if found is None:
        raise UserError(
            f"npm could not fetch onnxruntime-web {version} ({said}): check the network, or name "
            "a folder or .tgz of the package with --onnxruntime."
        )
    expected, received = PACKAGE_HASHES.get(version), _hash(found.read_bytes())
    if expected not in (None, received):  # for other versions, only npm checks the hash
        raise UserError(
            f"onnxruntime-web {version} from npm is not the published package: expected "
            f"{expected}, received {received}; clear npm's cache, and find out "
            "why before you continue."
        )
    return found


def _hash(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def _write(subject: Subject, path: Path, weights: str, *, onnxruntime: str) -> None:
    generator, table = subject.generator, subject.table
    sample = make_sampler(generator, z_dim=generator.z_dim, z_dist=generator.z_dist, table=table)
    first = sample(range(FIRST_GRID_IMAGES))
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / MODEL
        write_onnx(generator, model, weights=weights, table=table, is_optional=False)
        write_web(model, subject.description, path, onnxruntime=onnxruntime, first=first)


FORMAT = Format(
    name="web",
    target="web",
    write=functools.partial(_write, onnxruntime=VERSION),
    runtime="onnx",
    model=MODEL,
    inside=DESCRIPTION,
    packages=PACKAGES,
    halves=True,
    labels="needed",
)


def with_runtime(onnxruntime: str) -> Format:
    """Returns the format with onnxruntime-web from elsewhere, see `check_runtime`."""
    check_runtime(onnxruntime)
    return dataclasses.replace(FORMAT, write=functools.partial(_write, onnxruntime=onnxruntime))
