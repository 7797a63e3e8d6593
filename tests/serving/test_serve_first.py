"""`serve` on a run that was never exported, and `--open`."""

import os
import re
import sys
import threading
from pathlib import Path

import pytest
import requests
from running import TIMEOUT, run, started, wait_until
from toy_run import toy_run

for package in ("fastapi", "uvicorn", "httptools", "orjson", "prometheus_client"):
    pytest.importorskip(package, reason=f"{package} is not installed")


def browser(folder: Path) -> Path:
    """A program that writes down the address that it is to open."""
    script = folder / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > "{folder}/opened"\n')
    script.chmod(0o755)
    return script


@pytest.mark.skipif(os.name == "nt", reason="the browser is a shell script")
def test_a_run_is_exported_before_it_is_served_and_opened(tmp_path):
    root = toy_run(tmp_path / "a run")
    env = {"BROWSER": str(browser(tmp_path)), "DISPLAY": ":1"}
    words = ("serve", f"--run_dir={root}", "--port", 0, "--open")
    with started(*words, warm=False, cwd=tmp_path, env=env) as process:
        said = []
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"at (http://\S+)", line):
                break
        assert f"{root} was not exported yet: exporting it first.\n" in said
        wait_until((tmp_path / "opened").exists, process)
        picture = requests.get(f"{found[1]}/image/7.png", timeout=TIMEOUT)
        assert picture.status_code == 200 and picture.content.startswith(b"\x89PNG")
    assert (root / "export" / "saved_model" / "1234" / "saved_model.pb").exists()
    assert (tmp_path / "opened").read_text().strip() == found[1]


def test_a_run_that_cannot_be_exported_is_refused_once(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    result = run("serve", "--run_dir", "run", "--port", 0, cwd=tmp_path)
    assert result.returncode == 2 and result.stderr.count("error:") == 1
    assert "holds no intact checkpoint" in result.stderr


@pytest.mark.parametrize(("screen", "opens"), [("DISPLAY", 1), ("WAYLAND_DISPLAY", 1), ("", 0)])
def test_the_browser_is_opened_where_there_is_a_screen(screen, opens, monkeypatch):
    from dcgan.serving import server

    monkeypatch.setattr(sys, "platform", "linux")
    for name in server.SCREENS:
        monkeypatch.delenv(name, raising=False)
    if screen:
        monkeypatch.setenv(screen, ":1")
    opened, done = [], threading.Event()
    monkeypatch.setattr("webbrowser.open", lambda url: (opened.append(url), done.set()))
    server.show_in_browser("http://127.0.0.1:1")
    if opens:
        done.wait(TIMEOUT)
    assert opened == ["http://127.0.0.1:1"] * opens
