"""Bad files among good ones are skipped, counted and named, and training goes on."""

import re
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from running import run, small_flags, write_pictures

import main


def png(width: int, height: int) -> bytes:
    """A whole black PNG of one bit a pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(1)
    row = bytes(1 + (width + 7) // 8)  # the filter, then the bits
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def spoil(base: Path) -> list[str]:
    """Flags for a folder of 16 good pictures and five bad files."""
    folder = write_pictures(base / "mixed", 19)
    for name, size in (("0003.png", 60), ("0007.png", -30)):
        path = folder / name
        path.write_bytes(path.read_bytes()[:size])
    (folder / "0011.png").write_bytes(b"")
    (folder / "bomb.png").write_bytes(png(30_000, 30_000))
    (folder / "notes.png").write_text("no picture")
    return [*small_flags(folder, base), "--steps", "1"]


def check_spoiled(stdout: str, base: Path) -> None:
    assert "21 found, 16 used, 5 skipped" in stdout
    # Each bad file, with its own reason.
    for name, reason in (
        ("0003.png", "truncated"),
        ("0007.png", "truncated"),
        ("0011.png", "empty file"),
        ("bomb.png", "more than the limit of 100,000,000 pixels"),
        ("notes.png", "not an image"),
    ):
        assert re.search(rf"Skipped \d: {reason}.*\(.*{name}.*\)", stdout), (name, stdout)
    assert len(list((base / "run" / "checkpoints").glob("*.npz"))) == 1


def pack_unsafely(base: Path) -> list[str]:
    """Flags for a zip of 16 good pictures and three whose names lead out of it."""
    folder = write_pictures(base / "good", 16)
    with zipfile.ZipFile(base / "unsafe.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
        for name in ("../outside.png", "a/../../outside.png", f"{base}/outside.png"):
            archive.writestr(name, path.read_bytes())
    return [*small_flags(base / "unsafe.zip", base), "--steps", "1"]


def check_packed(stdout: str, base: Path) -> None:
    assert "19 found, 16 used, 3 skipped" in stdout
    assert re.search(r"Skipped 3: unsafe name \(.*\.\./outside\.png.*\)", stdout)
    assert list(base.parent.rglob("outside.png")) == []


MIXED = {"bad_files": (spoil, check_spoiled), "unsafe_zip": (pack_unsafely, check_packed)}


def test_unsafe_names_are_skipped_and_training_goes_on(tmp_path, capsys):
    flags = pack_unsafely(tmp_path)
    capsys.readouterr()
    assert main.main(flags) == 0
    check_packed(capsys.readouterr().out, tmp_path)


@pytest.mark.parametrize("name", ["bad_files", pytest.param("unsafe_zip", marks=pytest.mark.slow)])
def test_bad_files_are_skipped_in_a_process_of_its_own(name, tmp_path):
    prepare, check = MIXED[name]
    result = run(*prepare(tmp_path))
    assert result.returncode == 0, result.stderr
    check(result.stdout, tmp_path)
    assert "Traceback" not in result.stderr
