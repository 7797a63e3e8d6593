"""Settings of other projects, in the environment and in dotfiles, change nothing here."""

import json
import os
import sys
import warnings
from pathlib import Path

import matplotlib
import pytest
from running import ROOT, arrays_of, content, grids, python, run, small_flags, write_pictures

from dcgan import surroundings
from dcgan.outputs.plots import draw_losses
from dcgan.terminal import quiet

RC = "font.size: 40\naxes.facecolor: red\nlines.linewidth: 9\nsavefig.dpi: 30\n"
KERAS = {"floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}
# Each of these alone ended a start or changed a weight or a picture.
HOSTILE = {
    "MPLBACKEND": "module://no_such_package.backend_inline",
    "KERAS_BACKEND": "torch",
    "KERAS_MAX_EPOCHS": "many",
    "TF_USE_LEGACY_KERAS": "1",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
    "TF_FUNCTION_JIT_COMPILE_DEFAULT": "1",
    "XLA_FLAGS": "--no_such_flag=1",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_DETERMINISTIC_OPS": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONWARNDEFAULTENCODING": "1",
    "TQDM_NCOLS": "wide",
    "LC_ALL": "tr_TR.UTF-8",
    "GIT_DIR": "/nowhere",
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("data"), 32)


def trained(pictures, base, cwd, env=None) -> dict:
    """A run's arrays and pictures; with `env`, of a process that imports everything itself."""
    flags = (*small_flags(pictures, base), "--steps", "8", "--sample_freq", "4")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("TF_", "KERAS_", "MPL"))]:
            patch.delenv(name)
        start = (lambda *words, **kw: python(ROOT / "main.py", *words, **kw)) if env else run
        result = start(*flags, cwd=cwd, env=env)
    assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
    made = base / "run"
    pictures = {name: (made / name).read_bytes() for name in ("losses.png", "training.gif")}
    return {
        "arrays": {k: v.tobytes() for k, v in arrays_of(made, 8).items()},
        "pictures": pictures | grids(made),
        "said": result.stderr,
        "environment": json.loads((made / "environment.json").read_text("utf-8")),
    }


@pytest.fixture(scope="module")
def undisturbed(pictures, tmp_path_factory):
    base = tmp_path_factory.mktemp("undisturbed")
    return trained(pictures, base, base)


def hostile_home(folder) -> dict[str, str]:
    """A home folder, which is the working folder too, with others' dotfiles in it."""
    (folder / ".keras").mkdir(parents=True)
    (folder / ".keras" / "keras.json").write_text(json.dumps(KERAS | {"backend": "jax"}))
    for place in (folder / ".config" / "matplotlib", folder / ".matplotlib"):
        place.mkdir(parents=True)
        (place / "matplotlibrc").write_text(RC)
    (folder / "matplotlibrc").write_bytes(b"\xff\xfe: : :\n")  # whoever reads it ends
    fonts = Path(matplotlib.get_cachedir()).parent  # or they would be looked for anew
    return {"HOME": str(folder), "XDG_CACHE_HOME": str(fonts)}


def test_what_is_computed_and_drawn_depends_on_our_own_options_alone(
    undisturbed, pictures, tmp_path
):
    home = tmp_path / "home"
    env = HOSTILE | hostile_home(home)
    before = content(home)
    found = trained(pictures, tmp_path, home, env)
    assert content(home) == before  # it is others'
    assert found["arrays"] == undisturbed["arrays"]
    assert found["pictures"] == undisturbed["pictures"]
    dropped = ("TF_ENABLE_ONEDNN_OPTS", "TF_FUNCTION_JIT_COMPILE_DEFAULT", "TF_XLA_FLAGS")
    assert f"options of this project alone: {', '.join(dropped)}." in found["said"]
    assert found["environment"]["settings"]["TF_DETERMINISTIC_OPS"] == "1"
    assert found["environment"]["git_commit"] == undisturbed["environment"]["git_commit"]
    assert not undisturbed["environment"]["settings"].keys() & HOSTILE.keys()


def test_a_benchmark_that_is_started_by_its_name_is_isolated_too(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import os; print(os.environ.get('KERAS_BACKEND'))")
    env = {"KERAS_BACKEND": "torch", "TF_XLA_FLAGS": "--tf_xla_auto_jit=2"}
    ended = python("-m", "dcgan.benchmarks.peak", tmp_path / "peak", program, env=env)
    assert (ended.returncode, ended.stdout) == (0, "tensorflow\n"), ended.stderr
    assert "Ignored, since" in ended.stderr and "TF_XLA_FLAGS" in ended.stderr


def test_a_path_that_python_keeps_safe_and_docstrings_that_it_drops_do_not_hide_us(tmp_path):
    env = {"PYTHONSAFEPATH": "1", "PYTHONOPTIMIZE": "2"}
    ended = python(ROOT / "main.py", "--help", cwd=tmp_path, env=env)
    assert ended.returncode == 0, ended.stderr


def test_a_notebook_gets_our_networks_and_keeps_its_plots(monkeypatch):
    theirs = {"KERAS_BACKEND": "jax", "KERAS_HOME": str(ROOT), "MPLBACKEND": "svg"}
    monkeypatch.setattr(os, "environ", {**os.environ, **theirs})
    with quiet.quiet_start():  # behind which a notebook imports Keras
        ours = {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": surroundings.NO_FOLDER}
        assert (theirs | ours).items() <= os.environ.items()


def test_curves_look_alike_in_a_notebook_of_any_style(tmp_path):
    rows = [{"step": n, "d_loss": 1.0, "g_loss": n, "d_real": 0.5, "d_fake": 0.4} for n in (1, 2)]
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    draw_losses(metrics, tmp_path / "plain.png")
    with matplotlib.rc_context({"font.size": 40, "axes.facecolor": "red", "savefig.dpi": 30}):
        draw_losses(metrics, tmp_path / "styled.png")
        assert matplotlib.rcParams["font.size"] == 40  # theirs, still
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "styled.png").read_bytes()


def test_what_stays_is_recorded_and_no_secret_is():
    known = {"OMP_NUM_THREADS": "1", "TF_VAR_password": "x", "TF_TOKEN_host": "y", "HOME": "/"}
    assert surroundings.settings(known) == {"OMP_NUM_THREADS": "1"}


def test_a_commit_of_another_repository_is_not_ours(monkeypatch, tmp_path, capsys):
    """In a git hook GIT_DIR names the repository that the hook is of."""
    monkeypatch.setattr(os, "environ", {**os.environ, "GIT_DIR": str(tmp_path)})
    monkeypatch.setattr(sys, "warnoptions", [])
    surroundings.isolate()
    assert "GIT_DIR" not in os.environ and capsys.readouterr().err == ""


def test_warnings_of_libraries_do_not_end_us(monkeypatch):
    monkeypatch.setattr(os, "environ", {"PYTHONWARNINGS": "error"})
    monkeypatch.setattr(sys, "warnoptions", ["error"])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("error")
        surroundings.isolate()
        for category in (DeprecationWarning, ResourceWarning, UserWarning):
            warnings.warn("a library's", category, stacklevel=1)
    assert [one.category for one in said] == [UserWarning]
    assert sys.warnoptions == [] and "PYTHONWARNINGS" not in os.environ
