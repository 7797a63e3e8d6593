"""Exports: the same images without this project's code, or no file at all."""

import dataclasses
import io
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
from importlib import util
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from checked_here import checking_here
from PIL import Image
from running import content, python, results_of, run, started, wait_until
from toy_run import Z_DIM, toy_run

from dcgan import UserError
from dcgan.export import fresh, keras_file, litert, onnx, parity, saved_model
from dcgan.export.description import describe
from dcgan.export.format import Format, Subject
from dcgan.export.writing import export
from dcgan.files import read_json
from dcgan.latent.sampling import make_sampler
from dcgan.models import Generator
from dcgan.run.checkpoint import open_checkpoint
from dcgan.run.run_dir import RunDir

FORMS = (saved_model.FORMAT, litert.FORMAT, onnx.FORMAT)
STEP = 1234
# In each process that is started: which modules it has at its end.
NOTE = """
import atexit, os, sys
def note():
    with open(os.path.join(os.path.dirname(__file__), sys.argv[1]), "w") as file:
        file.write(" ".join(name for name, module in sys.modules.items() if module))
atexit.register(note)
"""


def subject_of(root) -> Subject:
    checkpoint = open_checkpoint(root)
    return Subject(
        checkpoint.generator(),
        checkpoint.discriminator(),
        describe(RunDir(root), checkpoint),
    )


def is_installed(form: Format) -> bool:
    return all(util.find_spec(module) for module in form.packages)


def need(form: Format) -> Format:
    if not is_installed(form):
        pytest.skip(f"{form.name} needs {', '.join(form.packages)}")
    return form


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return toy_run(tmp_path_factory.mktemp("base") / "runs" / "toy-16x16x3", step=STEP)


@pytest.fixture(scope="module")
def subject(root):
    return subject_of(root)


@dataclasses.dataclass
class CommandLine:
    """What `export` left behind: killed while it wrote, then run again."""

    to: Path
    left: list[str]
    done: subprocess.CompletedProcess
    checks: Path  # a file for each runtime that a check was made with: the modules that it had

    def of(self, form: Format) -> tuple[Path, dict]:
        """A format's path and description; skips where its packages are not installed."""
        path = need(form).path(self.to, STEP)
        return path, read_json(form.description(path))


@pytest.fixture(scope="module")
def exported(root, tmp_path_factory):
    """The formats that can be made here, only to be read."""
    to = tmp_path_factory.mktemp("to") / "deep" / "models"
    words = ("export", "--format", ",".join(f.name for f in FORMS if is_installed(f)), "--to", to)
    unfinished = to / ".export" / "unfinished" / "saved_model"
    with started(*words, cwd=root.parents[1]) as process:
        wait_until(unfinished.exists, process)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    left = [path.name for path in to.iterdir()]
    checks = tmp_path_factory.mktemp("checks")
    (checks / "sitecustomize.py").write_text(NOTE)
    done = run(*words, cwd=root.parents[1], env={"PYTHONPATH": str(checks)})
    return CommandLine(to, left, done, checks)


# ------------------------------------------------------------------------------- the same images


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_differs_from_the_keras_model_by_less_than_the_tolerance(exported, form):
    found = exported.of(form)[1]["differences"]
    assert found.keys() == set(form.signatures)
    assert all(found[s] <= 1e-5 for s in found.keys() - {"generate", "png"})


def test_a_keras_file_computes_the_same(subject, tmp_path):
    with checking_here():
        (made,) = export(subject, [keras_file.FORMAT], tmp_path)
    assert made.path == tmp_path / "generator.keras" and made.differences == {"serving_default": 0}


def test_signatures_are_those_that_are_promised(exported):
    loaded = tf.saved_model.load(str(exported.of(saved_model.FORMAT)[0]))
    found = {}
    for name, signature in loaded.signatures.items():
        both = (signature.structured_input_signature[1], signature.structured_outputs)
        found[name] = [
            {k: (v.dtype.name, v.shape.as_list()) for k, v in part.items()} for part in both
        ]
    images = [None, 16, 16, 3]
    assert found == {
        "serving_default": [{"z": ("float32", [None, Z_DIM])}, {"images": ("float32", images)}],
        "generate": [{"seed": ("int64", [None])}, {"images": ("uint8", images)}],
        "png": [{"seed": ("int64", [None])}, {"png_bytes": ("string", [None])}],
        "discriminate": [{"images": ("uint8", images)}, {"score": ("float32", [None])}],
    }


def test_a_seed_is_the_same_picture_as_in_sampling(exported, subject):
    seeds = np.arange(-3, 61, dtype=np.int64) * 2**33 + 7
    sample = make_sampler(subject.generator, z_dim=Z_DIM, z_dist="normal01")
    signatures = tf.saved_model.load(str(exported.of(saved_model.FORMAT)[0])).signatures
    pictures = signatures["generate"](seed=tf.constant(seeds))["images"].numpy()
    assert pictures.std(0).mean() > 20  # or this would prove little
    np.testing.assert_array_equal(pictures, sample(seeds))
    files = signatures["png"](seed=tf.constant(seeds[:3]))["png_bytes"].numpy()
    for file, picture in zip(files, pictures, strict=False):
        np.testing.assert_array_equal(Image.open(io.BytesIO(file)), picture)


def prove_batch_invariance(threads: str, cases: str, *sizes: str) -> None:
    """Runs in a process of its own, since threads are counted when TensorFlow starts."""
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    for shape, width, kernel_size, layout in CASES[: int(cases)]:
        random = np.random.default_rng(0)
        generator = Generator(shape, z_dim=100, width=width, kernel_size=kernel_size, layout=layout)
        generator.build()
        for variable in generator.variables:
            if variable.name == "kernel":
                fan_in = variable.shape[0] if len(variable.shape) == 2 else 4 * variable.shape[3]
                variable.assign(random.normal(0, fan_in**-0.5, variable.shape))
        spec = [tf.TensorSpec([None, 100], tf.float32)]
        images = tf.function(lambda z: saved_model.to_uint8(generator(z)), input_signature=spec)  # noqa: B023
        z = random.normal(size=(64, 100)).astype(np.float32)
        expected = images(z).numpy().astype(int)
        assert 15 < expected.std() < 120, expected.std()
        for size in map(int, sizes):
            found = np.concatenate([images(z[i : i + size]) for i in range(0, 64, size)])
            np.testing.assert_array_equal(found, expected, f"{shape}, {size}")


# The first shows oneDNN's choice with few threads already, at batches of one.
CASES = (
    ((48, 48, 3), 256, 4, "radford"),
    ((28, 28, 1), 256, 5, "tf_tutorial"),
    ((32, 32, 3), 512, 5, "radford"),
)
ALL = pytest.param(8, 3, (1, 2, 3, 5, 9, 11, 33), marks=pytest.mark.slow)


@pytest.mark.parametrize(("threads", "cases", "sizes"), [(3, 1, (1, 5, 33)), ALL])
def test_an_image_does_not_depend_on_how_many_are_asked_for(threads, cases, sizes):
    """With oneDNN's transposed convolutions it did: they share out sums by batch and threads."""
    results_of(__file__, threads, cases, *sizes)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_the_check_runs_without_this_project_and_other_runtimes(exported, form):
    imported = {*(exported.checks / need(form).runtime).read_text().split()}
    own = {"saved_model": "tensorflow", "litert": "ai_edge_litert", "onnx": "onnxruntime"}
    assert own[form.name] in imported
    assert not imported & {"dcgan", "keras", "tensorflow"} - {own[form.name]}


def test_the_check_runs_where_the_runtime_lies_beside_this_project(tmp_path):
    """As in the site-packages of an installation."""
    here = tmp_path / "site" / "dcgan" / "export"
    here.mkdir(parents=True)
    shutil.copy(fresh.__file__, here)
    runtime = """
        class InferenceSession:
            def __init__(self, path, providers):
                pass

            def run(self, wanted, given):
                return [given["z"] + 0.5]
    """
    (tmp_path / "site" / "onnxruntime.py").write_text(textwrap.dedent(runtime))
    z = np.zeros((1, Z_DIM), np.float32)
    cases = {"serving_default": ("images", [({"z": z}, z)])}
    (tmp_path / "cases").write_bytes(pickle.dumps(cases))
    words = (here / "fresh.py", "onnx", "model.onnx", tmp_path / "cases")
    process = python(*words, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "site")})
    assert process.stdout == '{"serving_default": 0.5}\n', process.stderr


# ----------------------------------------------------------------------------------- or no file


def test_another_model_than_the_keras_model_is_refused_and_leaves_nothing(subject, root, tmp_path):
    form = need(onnx.FORMAT)
    subject.generator.deconvs[-1].bias.assign_add([2e-4, 0.0, 0.0])
    other = subject_of(root)
    wrong = dataclasses.replace(form, write=lambda _, path, w: form.write(other, path, w))
    try:
        with checking_here(), pytest.raises(UserError, match="onnx export differs .* nothing was "):
            export(subject, [wrong], tmp_path / "to")
    finally:
        subject.generator.deconvs[-1].bias.assign_sub([2e-4, 0.0, 0.0])
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_does_not_run_is_refused(subject, tmp_path):
    form = need(onnx.FORMAT)
    broken = dataclasses.replace(form, write=lambda _, path, w: path.write_bytes(b"no model"))
    before = tmp_path / "generator.txt"
    before.write_text("of somebody")
    with pytest.raises(UserError, match="does not run in a process of its own"):
        export(subject, [broken], tmp_path)
    assert set(content(tmp_path)) == {".export/.lock", "generator.txt"}


@pytest.mark.parametrize("value", [1.1e-5, float("nan"), float("inf")])
def test_what_is_above_the_tolerance_or_no_number_is_refused(value, monkeypatch, tmp_path):
    monkeypatch.setattr(parity, "_differences", lambda *_: {"serving_default": value})
    with pytest.raises(UserError, match="differs from the Keras model"):
        parity.check(onnx.FORMAT, tmp_path, {})
    monkeypatch.setattr(parity, "_differences", lambda *_: {"serving_default": 1e-5})
    assert parity.check(onnx.FORMAT, tmp_path, {}) == {"serving_default": 1e-5}


def test_differences():
    zeros = np.zeros((2, 3), np.float32)
    assert fresh.difference(zeros, np.full((2, 3), 0.5, np.float32)) == 0.5
    assert fresh.difference(zeros[:1], zeros) == np.inf  # which numpy would stretch
    assert fresh.difference(zeros.astype(np.float64), zeros) == np.inf
    assert np.isnan(fresh.difference(zeros * np.nan, zeros))
    low, high = np.array([3], np.uint8), np.array([250], np.uint8)
    assert fresh.difference(low, high) == fresh.difference(high, low) == 247  # not 9: 3 - 250 + 256


# -------------------------------------------------------------------------------- half the bytes


def test_float16_halves_the_file_and_moves_no_pixel_by_more_than_a_level(
    exported, subject, tmp_path
):
    forms = [form for form in (litert.FORMAT, onnx.FORMAT) if is_installed(form)]
    with checking_here():
        halves = export(subject, forms, tmp_path, weights="float16")
    for half in halves:
        whole, description = exported.of(half.form)
        # Of this toy 159 KB are weights; the graph itself takes some too.
        assert half.path.stat().st_size < 0.6 * whole.stat().st_size
        assert 1e-5 < half.differences["serving_default"] <= 2 / 255
        assert read_json(half.form.description(half.path))["weights"] == half.weights == "float16"
        assert description["weights"] == "float32"


# ----------------------------------------------------------------------------- the whole command


def test_kill_9_leaves_no_half_export_and_the_same_command_makes_it_whole(exported):
    assert exported.left == [".export"]
    assert exported.done.returncode == 0, exported.done.stderr
    assert list((exported.to / ".export").iterdir()) == [exported.to / ".export" / ".lock"]
    assert [path.name for path in (exported.to / "saved_model").iterdir()] == [str(STEP)]
    for line in ("Wrote saved_model", "serving_default", "discriminate", "batch sizes 1, 3, 64"):
        assert line in exported.done.stdout
    noise = ("Traceback", "0000 00:00", "WARNING")
    assert not any(word in exported.done.stderr for word in noise), exported.done.stderr


if __name__ == "__main__":
    prove_batch_invariance(*sys.argv[1:])
