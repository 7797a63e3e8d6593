"""Bad files among good ones are skipped, counted and named, and training goes on."""

import re
import zipfile

from pictures import bomb
from running import small_flags, write_pictures

import main


def test_bad_files_are_skipped_and_training_goes_on(idle, tmp_path, capfd):
    folder = write_pictures(tmp_path / "mixed", 19)
    for name, size in (("0003.png", 60), ("0007.png", -30)):
        path = folder / name
        path.write_bytes(path.read_bytes()[:size])
    (folder / "0011.png").write_bytes(b"")
    (folder / "bomb.png").write_bytes(bomb())
    (folder / "notes.png").write_text("no picture")
    assert main.main([*small_flags(folder, tmp_path), "--steps", "1"]) == 0
    said, errors = capfd.readouterr()
    assert "21 found, 16 used, 5 skipped" in said and "Traceback" not in errors
    # Each bad file, with its own reason.
    for name, reason in (
        ("0003.png", "truncated"),
        ("0007.png", "truncated"),
        ("0011.png", "empty file"),
        ("bomb.png", "more than the limit of 100,000,000 pixels"),
        ("notes.png", "not an image"),
    ):
        assert re.search(rf"Skipped \d: {reason}.*\(.*{name}.*\)", said), name
    assert len(list((tmp_path / "run" / "checkpoints").glob("*.npz"))) == 1


def test_unsafe_names_are_skipped_and_training_goes_on(idle, tmp_path, capsys):
    folder = write_pictures(tmp_path / "good", 16)
    with zipfile.ZipFile(tmp_path / "unsafe.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
        for name in ("../outside.png", "a/../../outside.png", f"{tmp_path}/outside.png"):
            archive.writestr(name, path.read_bytes())
    assert main.main([*small_flags(tmp_path / "unsafe.zip", tmp_path), "--steps", "1"]) == 0
    said = capsys.readouterr().out
    assert "19 found, 16 used, 3 skipped" in said
    assert re.search(r"Skipped 3: unsafe name \(.*\.\./outside\.png.*\)", said)
    assert list(tmp_path.parent.rglob("outside.png")) == []
