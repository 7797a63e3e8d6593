"""The generator as a folder that any static host serves: the explorer drawing in the browser.

Beside the explorer's own files it holds generator.onnx, dcgan.json and, from the npm package
onnxruntime-web, the two files that run the one in the page. The package is checked against a known
hash; nothing else of it is taken.
"""

import base64
import dataclasses
import functools
import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from pathlib import Path

from dcgan import UserError
from dcgan.export.format import DESCRIPTION, Format, Subject
from dcgan.export.onnx import PACKAGES, write_onnx
from dcgan.files import write_json

EXPLORER = Path(__file__).parents[1] / "serving" / "explorer"
MODEL = "generator.onnx"
RUNTIME = "onnxruntime"  # the folder of onnxruntime-web's files

VERSION = "1.30.0"
CDN = "https://cdn.jsdelivr.net/npm/onnxruntime-web@{version}/dist/"
# Of the package, as `npm view onnxruntime-web@1.30.0 dist.integrity` has it, and of what is in it.
PACKAGE_HASHES = {
    "1.30.0": "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02V"
    "b7QmRMDs1SigqR4CXAfKYQ=="
}
FILES = {
    "ort.wasm.bundle.min.mjs": "sha512-1KcF8CWAZeqtTcvLgKPtOMXIbkWeh++LDCQpDhQ5ARVxHAL1VNL5rr0OI+Mx"
    "TbmNIANldE/A/q+O4gSKgSMjWQ==",
    "ort-wasm-simd-threaded.wasm": "sha512-Gt7e1iIDIZ/PXEhM/OVleqWHVom0kEI/hs8cod0crXcV9jDGM39B23Hu"
    "QnlOOgDOC3x4k5pxIgtdgzaL9up3MA==",
}
NPM_SECONDS = 600  # for 33 MB

_RENDERER = """\
/* How this page draws: by itself. Written by `export --format web`. */

import {{ createRenderer as create }} from "./onnx.js";

const FILES = {files};

export const createRenderer = (progress) => create(FILES, progress);
"""


def write_web(generator_onnx: Path, description: dict, to: Path, *, onnxruntime: str) -> None:
    """Writes the folder.

    Args:
        generator_onnx: z [N, z_dim] -> images float32 [N, H, W, C] in [-1, 1].
        description: becomes dcgan.json.
        to: does not exist yet.
        onnxruntime: see `check_runtime`.

    Raises:
        UserError: onnxruntime-web could not be had, or is not what it should be.
    """
    shutil.copytree(EXPLORER, to)
    shutil.copyfile(generator_onnx, to / MODEL)
    write_json(to / DESCRIPTION, description)
    files = {"model": MODEL, "info": DESCRIPTION, "runtime": f"{RUNTIME}/"}
    if onnxruntime == "cdn":
        files |= {"runtime": CDN.format(version=VERSION), "integrity": FILES}
    else:
        _vendor(onnxruntime, to / RUNTIME)
    renderer = _RENDERER.format(files=json.dumps(files, indent=2))
    (to / "renderer.js").write_text(renderer, encoding="utf-8")


def check_runtime(onnxruntime: str) -> None:
    """Refuses early what `write_web` could not use.

    Args:
        onnxruntime: where onnxruntime-web comes from: a version, to be fetched with npm; a folder
            or .tgz that holds the package; or cdn, to let the page fetch it from a public host.

    Raises:
        UserError: says what to do.
    """
    if onnxruntime == "cdn" or Path(onnxruntime).exists():
        return
    if not re.fullmatch(r"\d+\.\d+\.\d+[\w.-]*", onnxruntime):
        raise UserError(
            f"--onnxruntime {onnxruntime} is neither a version such as {VERSION} nor cdn, and no "
            "such folder or .tgz exists."
        )
    if shutil.which("npm") is None:
        raise UserError(
            f"--format web fetches onnxruntime-web {onnxruntime} with npm, which is not installed: "
            "install Node.js, or name a folder or .tgz of the package, or cdn, with --onnxruntime."
        )


def _vendor(onnxruntime: str, to: Path) -> None:
    """Puts the two files into a new folder."""
    given = Path(onnxruntime)
    with tempfile.TemporaryDirectory() as folder:
        if not given.exists():
            given = _fetch(onnxruntime, Path(folder))
        found = _from_folder(given) if given.is_dir() else _from_package(given)
    to.mkdir()
    for name, content in found.items():
        (to / name).write_bytes(content)


def _fetch(version: str, folder: Path) -> Path:
    """The package of a version, by npm, whose cache answers when it has been here before."""
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
    if expected not in (None, received):  # of other versions npm alone has checked the hash
        raise UserError(
            f"onnxruntime-web {version} from npm is not the published package: expected "
            f"{expected}, received {received}; clear npm's cache, and ask why before you go on."
        )
    return found


def _hash(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def _from_folder(folder: Path) -> dict[str, bytes]:
    """The two files by name; people name the package's folder, or the one in it with the files."""
    for inner in (folder, folder / "dist", folder / "package" / "dist"):
        if all((inner / name).is_file() for name in FILES):
            return {name: (inner / name).read_bytes() for name in FILES}
    raise UserError(
        f"{folder} does not hold {' and '.join(FILES)}: expected the folder of the npm package "
        "onnxruntime-web."
    )


def _from_package(package: Path) -> dict[str, bytes]:
    """The two files by name."""
    found = {}
    try:
        with tarfile.open(package) as archive:
            for entry in archive:
                name = entry.name.removeprefix("package/dist/")
                if name in FILES and entry.isfile():
                    found[name] = archive.extractfile(entry).read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(
            f"{package} cannot be unpacked ({error}): expected the npm package onnxruntime-web."
        ) from error
    if missing := FILES.keys() - found:
        raise UserError(
            f"{package} does not hold {' and '.join(sorted(missing))} in package/dist/: expected "
            "the npm package onnxruntime-web."
        )
    return found


def _write(subject: Subject, path: Path, weights: str, *, onnxruntime: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / MODEL
        write_onnx(subject.generator, model, weights=weights, table=subject.table)
        write_web(model, subject.description, path, onnxruntime=onnxruntime)


FORMAT = Format(
    name="web",
    target="web",
    write=functools.partial(_write, onnxruntime=VERSION),
    runtime="onnx",
    model=MODEL,
    inside=DESCRIPTION,
    packages=PACKAGES,
    halves=True,
)


def with_runtime(onnxruntime: str) -> Format:
    """The format with onnxruntime-web from elsewhere.

    Raises:
        UserError: see `check_runtime`.
    """
    check_runtime(onnxruntime)
    return dataclasses.replace(FORMAT, write=functools.partial(_write, onnxruntime=onnxruntime))
