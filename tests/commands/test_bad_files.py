"""Bad files among good ones are skipped, counted and named, and training goes on."""

import re

from pictures import bomb, pack
from running import checkpoints, small_flags, write_pictures

import main


def test_bad_files_and_unsafe_names_are_skipped_and_training_goes_on(idle, tmp_path, capfd):
    folder = write_pictures(tmp_path / "good", 19)
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    unsafe = ("../outside.png", "a/../../outside.png", f"{tmp_path}/outside.png")
    files |= dict.fromkeys(unsafe, files["0000.png"])
    files |= {"0003.png": files["0003.png"][:60], "0007.png": files["0007.png"][:-30]}
    files |= {"0011.png": b"", "bomb.png": bomb(), "notes.png": b"no picture"}
    mixed = pack(tmp_path / "mixed.zip", files)
    assert main.main([*small_flags(mixed, tmp_path), "--steps", "1"]) == 0
    said, errors = capfd.readouterr()
    assert "24 found, 16 used, 8 skipped" in said and "Traceback" not in errors
    # Each bad file, with its own reason.
    for name, reason in (
        ("0003.png", "truncated"),
        ("0007.png", "truncated"),
        ("0011.png", "empty file"),
        ("bomb.png", "more than the limit of 100,000,000 pixels"),
        ("notes.png", "not an image"),
        ("../outside.png", "unsafe name"),
    ):
        assert re.search(rf"Skipped \d: {reason}.*\(.*{re.escape(name)}.*\)", said), name
    assert checkpoints(tmp_path / "run") == [1]
    assert list(tmp_path.parent.rglob("outside.png")) == []
