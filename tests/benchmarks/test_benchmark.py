"""The benchmark: what is compared with what, in which order, and that the baselines are honest."""

import json
import logging
import shlex
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from running import run, write_pictures

from dcgan import UserError
from dcgan.benchmarks import pictures, processes, samples, steps
from dcgan.benchmarks.bare import BareStep
from dcgan.benchmarks.estimate import CostEstimate, estimate
from dcgan.benchmarks.turns import HEADER, PairedFigures, measure_in_turn
from dcgan.cli.command_options import complete
from dcgan.cli.recorded import to_dict
from dcgan.cli.resolve import resolve
from dcgan.cli.run_options import Benchmark, Sample
from dcgan.commands import benchmark
from dcgan.commands.sample import run as run_sample
from dcgan.datasets.folder import FolderSource
from dcgan.datasets.prepare import prepare
from dcgan.datasets.source import ImageSpec
from dcgan.files import read_json_lines
from dcgan.images import read_png
from dcgan.run.run_dir import RunDir
from dcgan.terminal.progress import format_estimate
from dcgan.training.state import GANState
from dcgan.training.step import make_step
from dcgan.training.trainer import Trainer, make_networks, optimizer_options, step_options

SMALL = {"output_size": 8, "g_width": 16, "d_width": 4, "z_dim": 8, "batch_size": 8, "channels": 3}


def small_config(**more):
    given = {"dataset": "toys", "precision": "float32", "strategy": "none", **SMALL, **more}
    return resolve(given)


# --- figures


def test_the_ratio_is_of_medians_and_the_spread_of_pairs():
    compared = PairedFigures("step", "images/s", (1.0, 2.0, 6.0), (1.0, 4.0, 3.0), "bare")
    assert compared.ratio == 2 / 3
    # The pairs' ratios are 1, 0.5 and 2: the quartiles lie half-way between the sorted ones.
    assert compared.spread == (0.75, 1.5)
    record = json.loads(json.dumps(compared.record()))
    assert record["ratio"] == 0.666667 and record["better"] == "more"
    assert record["ours"] == [1, 2, 6] and record["baseline_figures"] == [1, 4, 3]
    assert compared.row().split()[:4] == ["step", "2", "3", "images/s"]
    assert compared.row().index("images/s") + len("images/s") < HEADER.index("ratio") + 5
    assert PairedFigures("m", "MB", (3.0,), (2.0,), "bare").spread == (1.5, 1.5)


def test_turns_alternate():
    taken = []

    def figure(name):
        taken.append(name)
        return float(len(taken))

    found = measure_in_turn(lambda: figure("ours"), lambda: figure("bare"), pairs=3, name="test")
    assert taken == ["ours", "bare"] * 3
    assert found == ((1.0, 3.0, 5.0), (2.0, 4.0, 6.0))


# --- the training loop and its bare step


@pytest.mark.usefixtures("eager")
def test_the_bare_step_is_the_step_of_training():
    """The same weights after two steps, bit for bit: nothing is left out or slowed down."""
    config = small_config(update="simultaneous", ema_decay=0.5, precision="float16")
    spec = json.loads(json.dumps(steps.bare_spec(config)))
    bare = BareStep(spec)
    assert bare.seconds(2) > 0
    state = GANState(*make_networks(config), **optimizer_options(config))
    step = make_step(state, step_options(config), tf.distribute.get_strategy())
    batch = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), np.uint8)
    for _ in range(2):
        step(tf.constant(batch))
    arrays = bare.state.arrays()
    assert int(arrays["step"]) == 2 and any(name.startswith("averaged") for name in arrays)
    for name, array in state.arrays().items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_run_of_training_in_turn_with_the_bare_step(tmp_path, idle, at_once):
    write_pictures(tmp_path / "toys", 40)
    config = small_config(
        steps=9, sample_freq=1000, ckpt_freq=1000, log_freq=2, steps_per_call=at_once
    )
    prepared = prepare(FolderSource(tmp_path / "toys"), ImageSpec(8, 8, 3), cache_dir=None)
    run_dir = RunDir(tmp_path / "run")
    run_dir.create()
    trainer = Trainer(config, run_dir, lambda: prepared)
    turns = []
    bare = SimpleNamespace(images=8, seconds=lambda count: turns.append(count) or 0.1)
    compared = steps.training(trainer, bare, steps=3, cadence=(200, 500))
    assert len(compared.ours) == len(compared.bare) == 2  # the first turn compiles
    assert min(compared.ours + compared.bare) > 0
    assert int(trainer.state.step) == 9 and turns == [3, 3, 3]
    # A grid and a checkpoint a turn, the lines of the log as always, and the end of every run.
    assert [path.stem for path in run_dir.sample_grids()] == [f"{n:08d}" for n in (0, 3, 6, 9)]
    assert [path.stem for path in trainer.checkpointer.paths()] == [
        "00000003",
        "00000006",
        "00000009",
    ]
    assert [line["step"] for line in read_json_lines(run_dir.metrics)] == [2, 3, 4, 6, 8, 9]


def test_grids_and_checkpoints_are_charged_at_their_cadence(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(steps.time, "perf_counter", lambda: clock.now)

    def takes(seconds):
        def act(*_):
            clock.now += seconds
            return seconds

        return act

    def run(hook):
        for done in range(1, 7):
            clock.now += 0.7
            hook(done, {"d_loss": 1.0})

    acts = {"sample": takes(4.0), "checkpoint": takes(10.0)}
    trainer = SimpleNamespace(**acts, images_per_step=64, run=run)
    bare = SimpleNamespace(images=64, seconds=lambda count: takes(0.5 * count)())
    compared = steps.training(trainer, bare, steps=2, cadence=(20, 100))
    # Each step 0.7 s, a grid's 4 s by 20 and a checkpoint's 10 s by 100: 0.7 + 0.2 + 0.1 = 1.
    assert compared.ours == pytest.approx([64.0, 64.0])
    assert compared.bare == pytest.approx([128.0, 128.0])


def test_a_stopped_training_ends_the_benchmark():
    trainer = SimpleNamespace(run=lambda hook: 130)
    with pytest.raises(SystemExit) as stopped:
        steps.training(trainer, None, steps=1, cadence=(1, 1))
    assert stopped.value.code == 130


# --- input and sampling


@pytest.mark.parametrize("spec", [ImageSpec(64, 64, 3), ImageSpec(28, 28, 1), ImageSpec(96, 96, 3)])
def test_the_pillow_loop_makes_the_images_that_training_gets(tmp_path, spec):
    paths = pictures.write_jpegs(tmp_path / "pictures", 12)
    assert len(paths) == 12 == len(FolderSource(tmp_path / "pictures"))
    images = prepare(FolderSource(tmp_path / "pictures"), spec, cache_dir=None).images
    np.testing.assert_array_equal(pictures.pillow_loop(paths, spec), images)


def test_reading(monkeypatch):
    monkeypatch.setattr(pictures, "IMAGES_A_TURN", 40)
    monkeypatch.setattr(pictures, "DRAWN", 5)
    spec = ImageSpec(16, 16, 3)
    found = pictures.measure_reading(spec, batch_size=8, flip=True, pairs=2, jpegs=20)
    assert [(c.name, c.unit, len(c.ours)) for c in found] == [
        ("decoding", "images/s", 2),
        ("batches", "batches/s", 2),
    ]
    assert all(min(c.ours + c.bare) > 0 for c in found)


def test_the_gather_takes_every_image_once_an_epoch():
    images = np.arange(12, dtype=np.uint8).reshape(12, 1, 1, 1)
    gathered = pictures._gather(images, 4)
    epochs = [np.concatenate([next(gathered) for _ in range(3)]).ravel() for _ in range(2)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(12))
    assert not np.array_equal(*epochs)


def test_sampling_is_of_the_command_and_of_a_lively_generator():
    config = small_config(output_size=16)
    state, taken = GANState(*make_networks(config)), []

    def sample(run_root, to, count):
        run_sample(Sample(run_dir=str(run_root), to=str(to), num_images=count))
        files = sorted(to.glob("seed*.png"))
        taken.append((len(files), np.std([read_png(path) for path in files])))

    found = samples.sampling(state, to_dict(config), sample, pairs=5, images=70)
    assert [count for count, _ in taken] == [70, 70]
    assert min(deviation for _, deviation in taken) > 5  # levels; grey would be 0
    assert [(one.name, len(one.ours)) for one in found] == [("sampling", 5), ("to files", 2)]
    assert all(min(one.ours + one.bare) > 0 for one in found)


# --- processes


@pytest.mark.parametrize(
    ("printed", "figure"),
    [
        ('{"batch": 64, "images_per_second": 41.5, "peak_mb": 900}', 41.5),
        ('{"images_per_second":1e2}\n{"images_per_second": 43.0}', 43.0),
        ("step 1: 12 images/s\nstep 2: 1,234.5 images/s, done in 7 s", 1234.5),
        ("epoch 3 of 4, 88.images/s", 88.0),
        ("77img/s", 77.0),
        ("0.5 seconds an image", None),
        ("", None),
    ],
)
def test_the_figure_of_an_outside_program(printed, figure):
    assert processes.rate(printed) == figure


def program(code):
    return shlex.join([sys.executable, "-c", code])


@pytest.fixture
def our_process(monkeypatch):
    """Ours without its seconds: 100 images a second."""
    calls = []

    def ours(words, given=""):
        calls.append((words, json.loads(given)))
        return '{"images_per_second": 100.0}\n'

    monkeypatch.setattr(processes, "_python", ours)
    return calls


SPEC = {"recipe": {"batch_size": 64}}


def test_an_outside_program_that_prints_its_speed(our_process):
    command = program('print("warm-up, 7 images/s", flush=True); print("25 images/s")')
    compared = processes.outside(command, SPEC, steps=7, pairs=3)
    assert (compared.unit, compared.ratio, len(compared.bare)) == ("images/s", 4.0, 3)
    assert compared.baseline == command
    assert our_process == [(["-m", "dcgan.benchmarks.bare", "--steps=7"], SPEC)] * 3


def test_an_outside_program_that_prints_none_is_timed(our_process):
    compared = processes.outside(program("import time; time.sleep(0.3)"), SPEC, steps=7, pairs=1)
    assert (compared.unit, compared.more_is_better) == ("s", False)
    assert compared.bare[0] > 0.3 > compared.ours[0]


def test_an_outside_program_may_print_other_than_utf_8(our_process):
    command = program(r"import os; os.write(1, b'\xe9tape 25 images/s')")
    assert processes.outside(command, SPEC, steps=7, pairs=1).ratio == 4.0


@pytest.mark.parametrize(("images", "told"), [(64 * 30, False), (64 * 20, True)])
def test_another_amount_of_work_is_told(caplog, images, told):
    with caplog.at_level(logging.WARNING, "dcgan"):
        processes._note_differences('{"batch": 64, "steps": 30, "x": 1}', images=images)
        processes._note_differences("25 images/s", images=images)
    assert ("times 1,920 images, ours 1,280" in caplog.text) == told


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (program('import sys; sys.exit("no torch " + "here")'), "exit code 1: .* no torch here$"),
        (program("import os; os._exit(3)"), r"exit code 3: .*\(nothing\)$"),
        ("no-such-program --fast", "no-such-program --fast cannot be started"),
        ("'unfinished", "cannot be read .*quotes"),
        (" ", "must be a command"),
    ],
)
def test_an_outside_program_that_fails_is_a_sentence(our_process, command, message):
    with pytest.raises(UserError, match=message):
        processes.outside(command, SPEC, steps=1, pairs=1)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_is_the_programs_own(tmp_path):
    """Whatever this process, its parent, holds; and memory that was given back counts."""
    ballast = np.ones(150 << 20, np.uint8)
    figures = []
    # The second ends its process itself, as main.py does.
    ends = ("", "; from dcgan.terminal import console; console.exit_quickly(0)")
    for megabytes, end in zip((1, 60), ends, strict=True):
        code = f"import sys; x = b'1' * ({megabytes} << 20); del x; print(sys.argv[1:]){end}"
        (tmp_path / "program.py").write_text(code)
        words = [
            "-m",
            "dcgan.benchmarks.peak",
            str(tmp_path / "peak"),
            str(tmp_path / "program.py"),
        ]
        assert processes._python([*words, "--flag"]) == "['--flag']\n"
        figures.append(float((tmp_path / "peak").read_text()))
    assert figures[0] < 100 < ballast.nbytes >> 20
    assert figures[1] - figures[0] == pytest.approx(59, abs=5)
    (tmp_path / "program.py").write_text("raise SystemExit(5)")
    with pytest.raises(UserError, match="exit code 5"):
        processes._python(words)


# --- how long a training would take, by three steps of it


@pytest.mark.usefixtures("eager")
def test_three_steps_are_timed_behind_one_that_compiles(monkeypatch):
    asked, seconds = [], BareStep.seconds
    monkeypatch.setattr(BareStep, "seconds", lambda *a: asked.append(a[1]) or seconds(*a))
    small = {"output_size": 8, "channels": 3, "g_width": 16, "d_width": 4, "precision": "float32"}
    found = estimate(steps.bare_spec(resolve(small)))
    assert asked == [1, 1, 1, 1] and len(found.seconds) == 3
    assert min(found.seconds) > 0 and found.megabytes > 100


@pytest.mark.usefixtures("eager")
def test_networks_by_class_are_timed_with_their_labels():
    small = {"output_size": 8, "channels": 3, "g_width": 16, "precision": "float32"}
    spec = steps.bare_spec(resolve({**small, "layout": "carpedm20"}), [3, 2])
    bare = BareStep(json.loads(json.dumps(spec)))
    assert bare.seconds(1) > 0
    assert bare.state.generator.layout == "carpedm20" and int(bare.state.step) == 1


def test_the_sentences_multiply_the_median():
    lines = CostEstimate((0.4, 9.0, 0.5), 1234.4).sentences(1200, None)  # 0.5 s * 1200 = 10 minutes
    assert lines[0].startswith("Estimated time: about 10 minutes for 1,200 steps, ")
    assert "Three steps took 0.4, 9, 0.5 s" in lines[0]
    assert lines[1:] == ["Memory: about 1,234 MB, plus the images."]
    assert len(CostEstimate((0.5,) * 3, None).sentences(1200, 660.0)) == 1
    lines = CostEstimate((0.5,) * 3, None).sentences(1200, 120.0)
    assert lines[1:] == ["--time_budget ends it after 2 minutes."]
    (line,) = CostEstimate((0.5,) * 3, None).sentences(None, 600.0)  # nothing but the time ends it
    assert line.startswith("Estimated length: 1,200 steps in 10 minutes, ")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.01, "about a second"),
        (55, "about a minute"),
        (90, "about 2 minutes"),
        (5399, "about 90 minutes"),
        (4e6, "about 1,111 hours"),
    ],
)
def test_an_estimate_in_words(seconds, words):
    assert format_estimate(seconds) == words


# --- the command


def test_what_is_measured():
    everything = ["startup", "memory", "input", "sampling", "step"]
    assert benchmark.parts(Benchmark()) == everything
    assert benchmark.parts(Benchmark(compare="x")) == ["compare"]
    assert benchmark.parts(Benchmark(compare="x", only="step")) == ["compare", "step"]
    assert benchmark.parts(Benchmark(only="step,memory")) == ["memory", "step"]
    with pytest.raises(UserError, match="--only must be one of step, input"):
        complete("benchmark", {"only": "step,speed"})
    for part in benchmark.PARTS:
        assert callable(getattr(benchmark.Bench, part))


def test_the_training_that_is_measured():
    config = benchmark.Bench(Benchmark(precision="float32")).config
    assert (config.dataset, config.preset, config.batch_size) == ("avatars", "silva", 64)
    assert (config.output_height, config.output_width, config.channels) == (64, 64, 3)
    assert (config.update, config.precision) == ("alternating", "float32")
    given = Benchmark(dataset="avatars", preset="torch", update="simultaneous", batch_size=32)
    config = benchmark.Bench(given).config
    assert (config.output_height, config.kernel_size, config.batch_size) == (48, 4, 32)
    assert config.update == "simultaneous"
    for wrong in ({"output_size": 7}, {"preset": "slow"}, {"precision": "int8"}):
        (name,) = wrong
        with pytest.raises(UserError, match=f"--{name} must be"):
            benchmark.Bench(Benchmark(**wrong))


def test_it_writes_what_it_measured(tmp_path, monkeypatch, capsys):
    compared = PairedFigures("decoding", "images/s", (3.0,), (2.0,), "bare")
    monkeypatch.setattr(benchmark.Bench, "input", lambda self: [compared])
    to = tmp_path / "new" / "speed.json"
    for _ in range(2):  # its own file may be written anew
        run_command(only="input", to=str(to), precision="float32", pairs=1)
    written = json.loads(to.read_text())
    assert written["figures"] == [compared.record()]
    assert written["training"]["output_height"] == 64 and written["machine"]["cores"] >= 1
    with pytest.raises(UserError, match="end in .json"):
        run_command(only="input", to=str(tmp_path / "speed.txt"))


def test_too_few_pictures_for_a_step_are_refused(tmp_path):
    write_pictures(tmp_path / "toys", 3)
    bench = benchmark.Bench(
        Benchmark(dataset=str(tmp_path / "toys"), output_size=8, cache_dir=str(tmp_path / "cache"))
    )
    with pytest.raises(UserError, match="3 images, fewer than the 16 of a step .* --batch_size 2"):
        bench._flags()


def run_command(**given):
    benchmark.run(complete("benchmark", given))


@pytest.mark.slow
def test_all_of_it_as_a_user_runs_it(tmp_path):
    """Every part and an outside program, on the smallest training; the baselines are processes."""
    write_pictures(tmp_path / "toys", 40)
    common = ("benchmark", "--dataset", tmp_path / "toys", "--output_size", 8, "--batch_size", 8)
    common += ("--preset", "fast", "--pairs", 1, "--steps", 2, "--cache_dir", tmp_path / "cache")
    common += ("--only", "step,input,sampling,startup,memory")
    outside = program('print("{\\"images_per_second\\": 2.5}")')
    start = time.time()
    common += ("--compare", outside, "--to", tmp_path / "found.json")
    ended = run(*common, timeout=1200, warm=False)
    assert ended.returncode == 0, ended.stderr
    figures = {f["name"]: f for f in json.loads((tmp_path / "found.json").read_text())["figures"]}
    names = ["startup", "memory", "compare", "decoding", "batches", "sampling", "to files", "step"]
    assert list(figures) == names
    assert all(f"\n{name} " in ended.stdout for name in names)
    assert 1 < figures["startup"]["baseline_median"] < figures["startup"]["ours_median"]
    assert figures["startup"]["ours_median"] < time.time() - start
    assert 1 < figures["memory"]["ratio"] < 3 and figures["memory"]["baseline_median"] > 100
    assert figures["compare"]["baseline_median"] == 2.5
