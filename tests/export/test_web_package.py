"""The two files of the npm package onnxruntime-web: from where they come, and from where not."""

import io
import json
import tarfile

import pytest
from explorer_pages import description

from dcgan import UserError
from dcgan.export import web


def packed(path, **files: bytes):
    """A .tgz as npm makes them."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/dist/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_a_package_and_its_folders_give_the_same_files(tmp_path):
    files = {name: name.encode() for name in web.FILES}
    package = packed(tmp_path / "package.tgz", **files, other=b"")
    with tarfile.open(package) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    folders = [tmp_path / "out" / inner for inner in ("", "package", "package/dist")]
    for i, given in enumerate([package, *folders]):
        web._vendor(str(given), tmp_path / str(i))
        assert {p.name: p.read_bytes() for p in (tmp_path / str(i)).iterdir()} == files
    (tmp_path / "generator.onnx").write_bytes(b"model")
    site = tmp_path / "site"
    web.write_web(tmp_path / "generator.onnx", description(), site, onnxruntime=str(package))
    assert {p.name: p.read_bytes() for p in (site / web.RUNTIME).iterdir()} == files
    assert json.loads((site / "dcgan.json").read_text()) == description()
    assert (site / "generator.onnx").read_bytes() == b"model"
    assert "onnx.js" in (site / "renderer.js").read_text()


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Puts a script in npm's place."""

    def put(script: str) -> None:
        place = tmp_path / "bin" / "npm"
        place.parent.mkdir()
        place.write_text(f"#!/bin/sh\n{script}\n")
        place.chmod(0o755)
        monkeypatch.setenv("PATH", f"{place.parent}:/usr/bin:/bin")

    return put


def test_another_package_under_the_version_is_refused(tmp_path, npm):
    package = packed(tmp_path / "false.tgz", **dict.fromkeys(web.FILES, b"evil"))
    npm(f'cp {package} "$4"')
    with pytest.raises(UserError, match="not the published package"):
        web._vendor(web.VERSION, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_npm_says_is_passed_on(tmp_path, npm):
    npm('echo "npm error code ENOTFOUND" >&2; exit 1')
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
    (tmp_path / "broken.tgz").write_bytes(b"no archive")
    whole = packed(tmp_path / "whole.tgz", **dict.fromkeys(web.FILES, b"x" * 9999)).read_bytes()
    (tmp_path / "cut.tgz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty").mkdir()
    packed(tmp_path / "empty.tgz")
    for given in ("broken.tgz", "cut.tgz", "empty", "empty.tgz"):
        with pytest.raises(
            UserError, match=f"{given} (cannot|does not).* npm package onnxruntime-"
        ):
            web._vendor(str(tmp_path / given), tmp_path / "out")
        assert not (tmp_path / "out").exists()
