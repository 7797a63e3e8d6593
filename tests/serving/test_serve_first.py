"""`serve` on a run that was never exported, and `--open`."""

import os
import subprocess
import sys
import threading

import pytest
from running import TIMEOUT
from serving_models import write_saved_model

import main
from dcgan.cli import flags
from dcgan.commands import serve
from dcgan.serving import server, worker_pool


def test_a_run_is_exported_before_it_is_served(tmp_path, monkeypatch, capfd):
    """Only once, and `--open` reaches the server; the export and the server are stand-ins."""
    served, folder = [], tmp_path / "export" / "saved_model"

    def run(app, listener, *, show):
        served.append((app.state.service.versions.newest, show))
        app.state.service.close()

    monkeypatch.setattr(serve, "_export", lambda run_dir: write_saved_model(folder, 7) and 0)
    monkeypatch.setattr(server, "run", run)
    monkeypatch.setattr(worker_pool.WorkerPool, "start", lambda self: None)
    words = ["serve", f"--run_dir={tmp_path}", "--port", "0"]
    for more in (["--open"], []):
        assert main.main([*words, *more]) == 0
    assert served == [(7, True), (7, False)]
    said = "".join(capfd.readouterr())
    assert said.count(f"{tmp_path} was not exported yet: exporting it first.\n") == 1


def test_a_run_that_cannot_be_exported_is_refused_once(tmp_path, capfd, monkeypatch):
    refusing = [sys.executable, "-S", "-c", "import sys; sys.exit('error: no checkpoint')"]
    monkeypatch.setattr(serve, "_exporting", lambda run_dir: (refusing, dict(os.environ)))
    assert main.main(["serve", f"--run_dir={tmp_path}", "--port", "0"]) == 1
    said = capfd.readouterr().err
    assert said.count("error:") == 1 and "error: no checkpoint" in said


def test_the_command_that_exports_is_found_from_any_folder(tmp_path):
    words, env = serve._exporting(tmp_path)
    assert flags.parse(words[3:]) == ("export", {"run_dir": str(tmp_path)})
    kwargs = {"cwd": tmp_path, "env": env, "timeout": TIMEOUT, "text": True}
    assert subprocess.check_output([*words[:3], "--version"], **kwargs).startswith("dcgan ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{}/absent"], "yet; run: python main.py export"),
        (["{}/1"], "--model_dir {}\n"),
        (["{}", "--name", "a/b"], "--name must be"),
        (["{}", "--follow"], "leave one of them out"),
    ],
)
def test_what_cannot_be_served_is_a_sentence(words, told, tmp_path, capfd):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    given = [word.format(tmp_path) for word in words]
    assert main.main(["serve", "--model_dir", *given]) == 2
    said = capfd.readouterr().err
    assert told.format(tmp_path) in said and said.count("error: ") == 1


@pytest.mark.parametrize(("screen", "opens"), [("DISPLAY", 1), ("WAYLAND_DISPLAY", 1), ("", 0)])
def test_the_browser_is_opened_where_there_is_a_screen(screen, opens, monkeypatch):
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
