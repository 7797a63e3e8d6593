"""Numbers, progress and signals."""

import signal
import sys
import weakref

import pytest
import tensorflow as tf

from dcgan.training import hooks
from dcgan.training.hooks import MetricsLog, Progress, StopSignals, stop_reason


class Clock:
    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(hooks.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def metrics(lines, **kwargs):
    made = MetricsLog(steps_per_epoch=8, images_per_step=64, **kwargs)
    made.listeners.append(lines.append)
    return made


def scalars(d_loss, d_fake=0.5):
    return {"d_loss": tf.constant(d_loss), "d_fake": tf.constant(d_fake)}


# --- metrics


def test_a_line_is_the_mean_since_the_last(clock):
    lines = []
    collected = metrics(lines)
    collected.start()
    clock.now += 0.5
    for done, (d_loss, d_fake) in enumerate([(1.0, 0.2), (2.0, 0.3), (4.5, 0.7)], 1):
        collected.collect(done, scalars(d_loss, d_fake))
    clock.now += 1.0
    collected.flush(3)
    collected.collect(4, scalars(8.0))
    clock.now += 0.25
    collected.flush(4, scalars(8.0))
    # (1 + 2 + 4.5) / 3 = 2.5; 1.2 / 3 = 0.4; 3 * 64 images in 1.5 s; 3 of 8 steps an epoch.
    assert lines[0] == pytest.approx(
        {
            "step": 3,
            "epoch": 0.375,
            "images": 192,
            "seconds": 1.5,
            "images_per_second": 128.0,
            "d_loss": 2.5,
            "d_fake": 0.4,
        }
    )
    # The next line begins where that ended: 64 images in 0.25 s.
    assert lines[1] == pytest.approx(
        {
            "step": 4,
            "epoch": 0.5,
            "images": 256,
            "seconds": 1.75,
            "images_per_second": 256.0,
            "d_loss": 8.0,
            "d_fake": 0.5,
        }
    )
    assert all(type(v) in (int, float) for line in lines for v in line.values())  # JSON can


def test_without_steps_there_is_no_line(clock):
    lines = []
    collected = metrics(lines)
    collected.flush(0)
    collected.collect(1, scalars(1.0))
    clock.now += 1
    collected.flush(1)
    collected.flush(1)  # a checkpoint at the step of a line
    assert [line["step"] for line in lines] == [1]


def test_seconds_go_on_from_earlier_starts(clock):
    lines = []
    collected = metrics(lines, seconds=100.0)
    clock.now += 50  # compiling and drawing before the clock is started does not count
    collected.start()
    clock.now += 7
    assert collected.seconds == pytest.approx(107)
    assert collected.seconds_now == pytest.approx(7)
    collected.collect(21, scalars(1.0))
    collected.flush(21)
    # Steps done before count in epochs and images, not in the speed: 64 images in 7 s.
    assert lines[0]["epoch"] == 2.625 and lines[0]["images"] == 21 * 64
    assert lines[0]["seconds"] == 107 and lines[0]["images_per_second"] == 9.14


def test_what_is_left_out_does_not_count_as_slow_training(clock):
    lines = []
    collected = metrics(lines)
    collected.collect(1, scalars(1.0))
    clock.now += 30
    collected.leave_out(29.0)
    collected.flush(1)
    collected.collect(2, scalars(1.0))
    clock.now += 2
    collected.flush(2)
    assert [line["images_per_second"] for line in lines] == [64.0, 32.0]
    assert [line["seconds"] for line in lines] == [30, 32]


def test_an_extra_number_stands_in_one_line(clock):
    lines = []
    collected = metrics(lines)
    collected.note(diversity=0.75)
    for done in (1, 2):
        collected.collect(done, scalars(1.0))
        clock.now += 1
        collected.flush(done)
    assert lines[0]["diversity"] == 0.75 and "diversity" not in lines[1]


def test_a_loss_that_is_not_finite_is_told(clock):
    lines = []
    collected = metrics(lines)
    for done, loss in enumerate([1.0, float("nan"), 1.0], 1):
        collected.collect(done, scalars(loss))
    collected.flush(3)
    assert lines[0]["d_loss"] != lines[0]["d_loss"]
    collected.collect(4, scalars(1.0))
    collected.flush(4)
    assert lines[1]["d_loss"] == 1.0


def test_every_listener_hears_every_line(clock):
    heard = []
    collected = metrics(heard)
    collected.listeners.append(lambda line: heard.append({**line, "second": True}))
    collected.collect(1, scalars(1.0))
    collected.flush(1)
    assert heard[1] == {**heard[0], "second": True} and len(heard) == 2  # in their order


# --- progress


LINE = {
    "epoch": 1.3,
    "images_per_second": 529.6,
    "d_loss": 1.234,
    "g_loss": 0.756,
    "d_real": 0.8149,
    "d_fake": 0.091,
}


def shown(clock, until: int = 936) -> Progress:
    """After 400 steps, 260 of them in the 34 s since the first: 534 to do take 70."""
    progress = Progress(start=139, until=until, epochs=4)
    progress.step(140, {})  # the first step, with the compiler's time
    clock.now += 34.0
    progress.step(400, {})
    progress.line(LINE)
    return progress


def test_what_to_watch_stands_first(clock, capsys):
    text = shown(clock).text()
    assert text.startswith("step 400/936  1:10 left  D(x) .81  D(G(z)) .09  530 img/s")
    assert text.endswith("  epoch 1.3/4  loss D 1.23 G 0.76")
    # Where nobody watches a terminal, a line of the log each; standard output is for results.
    assert tuple(capsys.readouterr()) == ("", text + "\n")


@pytest.mark.parametrize("until", [936, 1_000_000])
def test_no_width_costs_what_to_watch(clock, until):
    progress = shown(clock, until)
    for width in range(36, 120):
        text = progress.text(width)
        assert len(text) <= width and text.startswith("step 400")
        assert "D(x) .81  D(G(z)) .09" in text


def test_before_the_first_line_the_steps_are_shown():
    progress = Progress(start=10, until=40, epochs=4)
    assert progress.text() == "step 10/40"
    progress.step(11, {})
    assert progress.text() == "step 11/40"  # nobody knows yet how long the others take


def test_the_time_left_is_that_of_the_budget_where_it_ends_the_run(clock):
    progress = Progress(start=0, until=1000, epochs=10, seconds=100.0)
    assert progress.text() == "step 0  1:40 left"
    progress.step(1, {})
    clock.now += 40.0
    progress.step(501, {})
    assert progress.text() == "step 501/1000  0:40 left"  # of the 60 seconds that it has
    clock.now += 40.0
    assert progress.text() == "step 501  0:20 left"  # at this pace the others would take 80
    clock.now += 40.0
    progress.step(502, {})
    assert progress.text() == "step 502  0:00 left"  # a step may end later


@pytest.mark.parametrize(("value", "text"), [(1.0, "1.00"), (0.999, "1.00"), (0.0, ".00")])
def test_scores_are_short(clock, value, text):
    progress = Progress(start=0, until=9, epochs=1)
    progress.line(LINE | {"d_real": value, "d_fake": float("nan"), "images_per_second": 0.25})
    assert f"D(x) {text}  D(G(z)) nan  0.2 img/s" in progress.text()


# --- signals


@pytest.fixture
def handlers():
    """Whatever a test does, the process has its handlers back."""
    before = {n: signal.getsignal(n) for n in hooks.SIGNALS.values()}
    yield before
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_and_is_told(handlers, number):
    with StopSignals() as signals:
        assert signals.received is None
        signal.raise_signal(number)
        assert signals.received == number
    for each, handler in handlers.items():
        assert signal.getsignal(each) is handler


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_later_ctrl_c_does_not_wait(handlers, clock, first):
    with pytest.raises(KeyboardInterrupt), StopSignals() as signals:
        signal.raise_signal(first)
        clock.now += hooks.REPEAT_SECONDS
        signal.raise_signal(signal.SIGINT)
    assert signals.received == first
    assert signal.getsignal(signal.SIGINT) is handlers[signal.SIGINT]


class Watched:
    """What a weak reference can be of."""


def test_a_later_ctrl_c_that_python_drops_ends_the_loop(handlers, clock, capsys):
    """Nobody can catch what a weak reference's callback raises; Python prints it and goes on."""
    watched = Watched()
    with StopSignals() as signals:
        ask = stop_reason(signals, metrics([]), None)
        signal.raise_signal(signal.SIGINT)
        assert ask() == "Ctrl-C"
        clock.now += hooks.REPEAT_SECONDS
        told = weakref.ref(watched, lambda _: signal.raise_signal(signal.SIGINT))
        capsys.readouterr()
        del watched
        assert told() is None
        assert capsys.readouterr().err == ""
        with pytest.raises(KeyboardInterrupt):
            ask()


def test_other_errors_that_python_drops_are_still_shown(handlers, monkeypatch):
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    watched = Watched()
    with StopSignals():
        told = weakref.ref(watched, lambda _: 1 / 0)
        del watched
    assert told() is None
    assert [each.exc_type for each in shown] == [ZeroDivisionError]
    assert sys.unraisablehook == shown.append


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_sigterm_waits_too(handlers, first):
    """Supervisors send it to the process and again to its group; the save must not be cut."""
    with StopSignals() as signals:
        signal.raise_signal(first)
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            pytest.fail("the second SIGTERM cut the training short")  # not the whole test run
        assert signals.received == first


def test_handlers_return_after_an_error(handlers):
    with pytest.raises(OSError, match="disk"), StopSignals():
        raise OSError("disk")
    for number, handler in handlers.items():
        assert signal.getsignal(number) is handler


# --- the reasons to stop


def test_no_reason(clock):
    ask = stop_reason(StopSignals(), metrics([]), None)
    clock.now += 1e9
    assert ask() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_a_reason(clock, number):
    signals = StopSignals()
    ask = stop_reason(signals, metrics([]), 10.0)
    signals.received = number
    clock.now += 100  # and comes before the budget
    assert ask() == {v: k for k, v in hooks.SIGNALS.items()}[number]


def test_a_budget_counts_this_start_only(clock):
    collected = metrics([], seconds=1e6)
    collected.start()
    ask = stop_reason(StopSignals(), collected, 10.0)
    clock.now += 9.5
    assert ask() is None
    clock.now += 0.5
    assert ask() == "time budget"
