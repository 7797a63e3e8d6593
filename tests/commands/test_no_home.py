"""A home folder that there is not, or that cannot be written, is no reason to stop."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from running import ROOT, SMALL, checkpoints, write_pictures

from dcgan import UserError
from dcgan.datasets import cache_folder

SAID = "There is no home folder to write to"


@pytest.fixture(autouse=True)
def nobody_asked_before():
    cache_folder._own_folder.cache_clear()
    yield
    cache_folder._own_folder.cache_clear()


def test_a_home_is_used(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder.cache_folder() == tmp_path / ".cache" / "dcgan"
    assert list((tmp_path / ".cache" / "dcgan").iterdir()) == [] and not caplog.records


@pytest.mark.parametrize("home", ["/dev/null", "/proc/nowhere", None])
def test_without_one_a_temporary_folder_serves_and_is_named(home, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if home is None:
        monkeypatch.setattr(Path, "home", lambda: Path("~no-such-user").expanduser())
    else:
        monkeypatch.setenv("HOME", home)
    folder = cache_folder.cache_folder()
    assert folder.parent == tmp_path and folder.is_dir() and folder.stat().st_mode & 0o77 == 0
    assert cache_folder.cache_folder() == folder  # one for all, and said once
    (said,) = [record.getMessage() for record in caplog.records]
    assert SAID in said and str(folder) in said and "--cache_dir" in said
    assert cache_folder.cache_folder("elsewhere") == Path("elsewhere")


def test_one_that_is_there_but_read_only_is_none(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cache" / "dcgan").mkdir(parents=True)

    def refuse(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert tmp_path not in cache_folder.cache_folder().parents
    assert f"{SAID} (Read-only file system)" in caplog.text


def test_without_any_folder_the_user_is_asked_for_one(monkeypatch):
    monkeypatch.setenv("HOME", "/proc/nowhere")

    def refuse(**_):
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(UserError, match="--cache_dir"):
        cache_folder.cache_folder()


# A user whom no passwd knows, as with `docker run --user 12345`; it may read all, since the
# interpreter of the tests may lie in root's home.
AS_NOBODY = (
    *("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"),
)


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("setpriv") is None or os.geteuid() != 0, reason="needs root and setpriv"
)
def test_a_user_that_nobody_knows_trains():
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        base.chmod(0o777)
        pictures = write_pictures(base / "pictures", 16)
        env = {k: v for k, v in os.environ.items() if k != "HOME"}
        env |= {"TMPDIR": name, "PYTHONDONTWRITEBYTECODE": "1"}
        flags = ("--dataset", pictures, "--run_dir", base / "run", *SMALL, "--steps", "2")
        words = [*AS_NOBODY, sys.executable, ROOT / "main.py", *flags]
        ended = subprocess.run(
            words, cwd=base, env=env, capture_output=True, text=True, timeout=250
        )
        assert ended.returncode == 0, ended.stderr
        assert SAID in ended.stdout and "Traceback" not in ended.stderr
        assert checkpoints(base / "run") == [2]
        assert not list(base.glob("dcgan-*"))  # it is gone with the command
