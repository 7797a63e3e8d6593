"""Several machines: who they are, how they meet, and that they train as one would.

The machines are processes on this one, which know one another by TF_CONFIG.
"""

import contextlib
import json
import signal
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from running import (
    TIMEOUT,
    arrays_of,
    checkpoints,
    last_step,
    logged,
    small_flags,
    start,
    started,
    wait_until,
    write_pictures,
)

from dcgan import UserError
from dcgan.cli.resolve import resolve
from dcgan.commands import train
from dcgan.datasets.pipeline import make_dataset
from dcgan.distributed import rendezvous
from dcgan.distributed.cluster import Cluster, find_cluster, place
from dcgan.distributed.rendezvous import meet
from dcgan.distributed.workers import Workers

STEPS = 300
COMMON = ("--precision", "float32", "--sample_freq", 1000)


# ------------------------------------------------------------------------------------ who they are


def tf_config(addresses, index, job="worker", **more) -> str:
    cluster = {"cluster": {"worker": addresses}, "task": {"type": job, "index": index}}
    return json.dumps(cluster | more)


def test_tf_config_says_who_trains():
    environment = {"TF_CONFIG": tf_config(["a:1", "b:2"], 1)}
    assert find_cluster("multi_worker", environment) == Cluster({"worker": ["a:1", "b:2"]}, index=1)
    assert find_cluster("auto", environment).rank == 1
    assert find_cluster("none", environment) is None
    assert find_cluster("mirrored", environment) is None
    jobs = {"worker": ["b:2", "c:3"], "chief": ["a:1"]}
    environment = {"TF_CONFIG": tf_config([], 1, cluster=jobs)}
    cluster = find_cluster("multi_worker", environment)
    assert (cluster.addresses, cluster.rank) == (["a:1", "b:2", "c:3"], 2)


def test_auto_stays_on_one_machine_where_nothing_names_several():
    for environment in ({}, {"TF_CONFIG": tf_config(["a:1"], 0)}, {"SLURM_STEP_NUM_TASKS": "2"}):
        assert find_cluster("auto", environment) is None
    with pytest.raises(UserError, match="set TF_CONFIG, as in .* or start it with Slurm's srun"):
        find_cluster("multi_worker", {})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"cluster": {}}', "lacks the object"),
        ('{"cluster": {"worker": ["a:1"]}}', "lacks the object"),
        (tf_config(["a:1"], 0, cluster={"worker": ["a:1"], "ps": ["b:1"]}), "the jobs ps"),
        (tf_config(["a"], 0), "not host:port"),
        (tf_config(["a:b"], 0), "not host:port"),
        (tf_config([7], 0), "not host:port"),
        (tf_config("a:1", 0), "not host:port"),
        (tf_config(["a:1", "b:1"], 2), "worker 2, which its cluster does not have"),
        (tf_config(["a:1", "b:1"], -1), "worker -1"),
        (tf_config(["a:1", "b:1"], "0"), "worker '0'"),
        (tf_config(["a:1"], 0, job="chief"), "chief 0"),
        (tf_config(["a:1"], 0, job=["worker"]), r"\['worker'\] 0"),
        (tf_config(["a:1", "a:1"], 0), "an address twice"),
    ],
)
def test_a_wrong_tf_config_is_refused_with_a_sentence(text, reason):
    with pytest.raises(UserError, match=reason) as error:
        find_cluster("multi_worker", {"TF_CONFIG": text})
    assert "expected something like" in str(error.value) and str(error.value).endswith(".")


SLURM = {
    "SLURM_PROCID": "2",
    "SLURM_STEP_NUM_TASKS": "3",
    "SLURM_STEP_NODELIST": "node[07-09]",
    "SLURM_STEP_TASKS_PER_NODE": "1(x3)",
    "SLURM_JOB_ID": "1234567",
    "SLURMD_NODENAME": "node09",
}


def test_slurm_says_it_through_tensorflows_resolver(monkeypatch):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    cluster = find_cluster("multi_worker", SLURM)
    # 20000 + 16 * 1234567 % 10000
    assert cluster.addresses == ["node07:23072", "node08:23072", "node09:23072"]
    assert cluster.rank == 2
    with pytest.raises(UserError, match="set TF_CONFIG instead"):
        find_cluster("multi_worker", SLURM | {"SLURMD_NODENAME": "node08"})
    monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", "what?")
    with pytest.raises(UserError, match="names no workers"):
        find_cluster("multi_worker", SLURM)


# --------------------------------------------------------------------------------- how they meet


def free_addresses(count: int) -> list[str]:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("", 0))) for _ in range(count)]
        return [f"127.0.0.1:{server.getsockname()[1]}" for server in servers]


@pytest.fixture
def hasty(monkeypatch):
    """Who is not there is asked for again at once."""
    monkeypatch.setattr(rendezvous, "_RETRY_SECONDS", 0.03)


def meet_all(clusters, limit: float = 20.0, gpus=(0,) * 3) -> list[str | None]:
    """What each of them, with so many GPUs, is told; None where all is well."""
    found: list[str | None] = [None] * len(clusters)

    def one(i: int) -> None:
        try:
            meet(clusters[i], gpus=gpus[i], limit_seconds=limit)
        except UserError as error:
            found[i] = str(error)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(clusters))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
        assert not thread.is_alive()
    return found


def members(addresses, numbers) -> list[Cluster]:
    return [Cluster({"worker": addresses}, index=number) for number in numbers]


def test_they_meet_in_any_order_though_strangers_call():
    addresses = free_addresses(3)
    assert meet_all(members(addresses, [2, 0, 1])) == [None] * 3
    meet(Cluster({"worker": addresses[:1]}), limit_seconds=0.1)  # one alone waits for nobody
    stranger = threading.Thread(target=call, args=(addresses[0],))
    stranger.start()
    assert meet_all(members(addresses, [0, 1, 2])) == [None] * 3
    stranger.join(TIMEOUT)


def call(address: str) -> None:
    host, port = address.split(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 20) as one:
        one.sendall(b"GET / HTTP/1.1\r\n\r\n")


@pytest.mark.usefixtures("hasty")
def test_who_is_missing_is_said_to_all_who_came():
    addresses = free_addresses(3)
    for sentence in meet_all(members(addresses, [0, 1]), limit=0.7):
        assert f"Of 3 workers, 2 ({addresses[2]}) did not come within 0.7 seconds" in sentence
    (sentence,) = meet_all(members(addresses, [2]), limit=0.1)
    assert f"Worker 2 could not reach worker 0 at {addresses[0]} within 0.1" in sentence


def test_workers_that_do_not_fit_together_are_told():
    addresses = free_addresses(2)
    others = Cluster({"worker": [addresses[0], *free_addresses(1)]}, index=1)
    for sentence in meet_all([*members(addresses, [0]), others]):
        assert "lists other addresses" in sentence
    with socket.create_server(("", int(addresses[1].split(":")[1]))):
        (sentence,) = meet_all(members(addresses, [1]), limit=0.5)
        assert "Worker 1 cannot listen on port" in sentence


def test_workers_with_other_numbers_of_gpus_are_told():
    for sentence in meet_all(members(free_addresses(2), [0, 1]), gpus=(4, 8)):
        assert "Worker 1 has 8 GPUs and worker 0 has 4; let all have as many" in sentence


@contextlib.contextmanager
def chief_waits(addresses, found: list):
    """A chief in a thread; what it is told goes to a list."""
    thread = threading.Thread(target=lambda: found.extend(meet_all(members(addresses, [0]))))
    thread.start()
    yield
    thread.join(TIMEOUT)
    assert not thread.is_alive()


@contextlib.contextmanager
def come(addresses, number: int, *, listens: bool = True):
    """The connection of a worker that says hello to the chief and nothing more; then it leaves."""
    with contextlib.ExitStack() as stack:
        if listens:
            stack.enter_context(socket.create_server(("", place(addresses[number])[1])))
        ended = time.monotonic() + TIMEOUT
        while True:
            try:
                connection = stack.enter_context(socket.create_connection(place(addresses[0])))
                break
            except ConnectionRefusedError:  # the chief is not there yet
                assert time.monotonic() < ended
                time.sleep(0.01)
        rendezvous._send(connection, rendezvous._hello(members(addresses, [number])[0], gpus=0))
        yield connection


def test_a_worker_may_come_again_while_others_are_awaited():
    addresses, found = free_addresses(3), []
    with chief_waits(addresses, found):
        with come(addresses, 1):
            pass  # stopped by its user
        assert meet_all(members(addresses, [1, 2])) == [None, None]
    assert found == [None]


def test_two_workers_of_one_number_are_told():
    addresses, found = free_addresses(3), []
    with chief_waits(addresses, found), come(addresses, 1) as one:
        with come(addresses, 1, listens=False) as two:
            for connection in (one, two):
                answer = rendezvous._read_line(connection, {"error"})
                assert "Two workers call themselves 1" in answer["error"]
    assert "Two workers call themselves 1" in found[0]


@pytest.mark.parametrize("listens", [True, False])
def test_who_has_left_or_cannot_be_reached_is_told_to_all(listens):
    """Else TensorFlow would wait for it without a word."""
    addresses, found = free_addresses(3), []
    with chief_waits(addresses, found), come(addresses, 1, listens=listens) as one:
        two = threading.Thread(target=lambda: found.extend(meet_all(members(addresses, [2]))))
        two.start()
        assert rendezvous._read_line(one, {"error"}, TIMEOUT) == {"error": None}  # all are there
        if listens:
            one.close()
        else:
            rendezvous._send(one, {"closed": None})
        two.join(TIMEOUT)
    expected = "Worker 1 left" if listens else f"cannot reach worker 1 at {addresses[1]} (Connect"
    assert len(found) == 2 and all(expected in sentence for sentence in found)


def test_each_device_of_a_worker_gets_its_rows():
    """Two workers of two devices: the batches of all four are those of one process, in order."""
    images = np.arange(24, dtype=np.uint8)[:, None, None, None] * np.ones((8, 8, 3), np.uint8)
    order = {"batch_size": 8, "seed": 3, "flip": True}
    cluster = {"worker": ["a:1", "b:1"]}
    strategy = SimpleNamespace(
        num_replicas_in_sync=4, distribute_datasets_from_function=lambda make: make(None)
    )
    found = []
    for index in (0, 1):
        workers = Workers(Cluster(cluster, index=index))
        batches = make_dataset(images, **order, share=workers.share)
        found.append([np.asarray(b) for b in workers.distribute(batches, strategy).take(6)])
    whole = [np.asarray(batch) for batch in make_dataset(images, **order).take(3)]
    for i, batch in enumerate(whole):
        of_all = [of_one[2 * i + device] for of_one in found for device in (0, 1)]
        assert [len(rows) for rows in of_all] == [2] * 4
        np.testing.assert_array_equal(np.concatenate(of_all), batch)


@pytest.mark.parametrize("lost_at, raises", [(1, True), (2, False), (None, False)])
def test_only_who_goes_too_early_is_missed_at_the_end(lost_at, raises):
    """The first sum says that all are done, the second holds them until all know it."""
    calls = []

    def add(numbers):
        calls.append(numbers)
        if len(calls) == lost_at:
            raise tf.errors.UnavailableError(None, None, "Socket closed")
        return numbers

    workers = Workers(Cluster({"worker": ["a:1", "b:1"]}, index=0))
    workers._sum = add
    with pytest.raises(tf.errors.UnavailableError) if raises else contextlib.nullcontext():
        workers.leave()
    assert len(calls) == (1 if raises else 2)


# ------------------------------------------------------------------------------- real processes


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"), 40)


class Machines:
    """Two workers, with folders of their own except that of the pictures."""

    def __init__(self, pictures: Path, base: Path, *flags):
        self.run = base / "run"
        self.other = base / "other" / "run"
        folders = (base, base / "other")
        self.flags = [(*small_flags(pictures, one), *COMMON, *flags) for one in folders]

    @contextlib.contextmanager
    def started(self, *more):
        """Both processes; `more` are flags of the second only."""
        addresses = free_addresses(2)
        with contextlib.ExitStack() as stack:
            processes = []
            for index, flags in enumerate(self.flags):
                env = {"TF_CONFIG": tf_config(addresses, index)}
                flags = (*flags, "--strategy", "multi_worker", "--worker_wait", TIMEOUT)
                process = started(*flags, *(more if index else ()), env=env)
                processes.append(stack.enter_context(process))
            yield processes

    def train(self) -> list[str]:
        """To the end; what each has printed."""
        with self.started() as processes:
            return [output for output, _ in ends(processes, 0)]


def ends(processes, code: int) -> list[tuple[str, str]]:
    """Waits for processes to end as they should."""
    texts = [process.communicate(timeout=TIMEOUT) for process in processes]
    assert [process.returncode for process in processes] == [code] * len(processes), texts
    assert not any("Traceback" in errors for _, errors in texts), texts
    return texts


def assert_near(one: dict, two: dict, most: float = 1e-4) -> None:
    assert one.keys() == two.keys()
    for name in one:
        assert np.abs(one[name].astype(float) - two[name]).max(initial=0) <= most, name


def test_two_workers_train_as_one(pictures, tmp_path):
    flags = ("--steps", 4, "--log_freq", 2)
    machines = Machines(pictures, tmp_path / "two", *flags)
    alone = start(*small_flags(pictures, tmp_path / "one"), *COMMON, *flags)
    _, output = machines.train()
    ends([alone], 0)
    assert "Worker 1 of 2 trains from step 0" in output
    assert not machines.other.exists()  # only the chief writes
    one, two = logged(tmp_path / "one" / "run"), logged(machines.run)
    assert [line["step"] for line in two] == [2, 4] and one[-1].keys() == two[-1].keys()
    for a, b in zip(one, two, strict=True):
        assert a == pytest.approx(b, abs=5e-3)  # the pictures' diversity comes in levels
    assert_near(arrays_of(tmp_path / "one" / "run", 4), arrays_of(machines.run, 4))


@pytest.mark.usefixtures("hasty")
def test_a_worker_alone_says_so_and_ends(pictures, tmp_path, monkeypatch):
    chief, here = free_addresses(2)
    monkeypatch.setenv("TF_CONFIG", tf_config([chief, here], 1))
    given = {"dataset": str(pictures), "run_dir": str(tmp_path / "run"), "worker_wait": 0.1}
    with pytest.raises(UserError, match=f"could not reach worker 0 at {chief} within 0.1 seconds"):
        train.run(resolve(given))
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory) -> Machines:
    """The uninterrupted run of two workers."""
    machines = Machines(pictures, tmp_path_factory.mktemp("whole"), *LONG)
    machines.train()
    return machines


LONG = ("--steps", STEPS, "--ckpt_freq", 50, "--log_freq", 5, "--max_to_keep", 10)


@pytest.mark.slow
def test_whichever_worker_dies_the_run_goes_on_to_the_same_weights(whole, pictures, tmp_path):
    machines = Machines(pictures, tmp_path, *LONG)
    for killed, step in ((1, 70), (0, 130)):
        with machines.started() as processes:
            wait_until(lambda step=step: last_step(machines.run) >= step, processes[0])
            processes[killed].kill()
            ((_, errors),) = ends([processes[1 - killed]], 2)
            assert processes[killed].wait(TIMEOUT) == -signal.SIGKILL
        assert f"Worker {1 - killed} has lost worker {killed} (127.0.0.1:" in errors
        assert "the same command on all workers continues from the last checkpoint" in errors
        assert step <= last_step(machines.run) < STEPS
    # A wish to stop that only one of them hears, and not the chief, ends both.
    with machines.started() as processes:
        wait_until(lambda: last_step(machines.run) >= 180, processes[0])
        processes[1].send_signal(signal.SIGTERM)
        (output, _), _ = ends(processes, 128 + signal.SIGTERM)
    stopped = checkpoints(machines.run)[-1]
    assert 180 <= stopped < STEPS and f"Stopped by SIGTERM after {stopped} steps" in output
    chief, other = machines.train()
    assert f"Resuming from step {stopped}" in chief
    assert f"Worker 1 of 2 trains from step {stopped}" in other
    assert_near(arrays_of(machines.run, STEPS), arrays_of(whole.run, STEPS), most=0.0)


@pytest.mark.slow
def test_a_run_of_two_workers_goes_on_alone_and_the_other_way_round(pictures, tmp_path):
    def flags(steps):
        return ("--steps", steps, "--ckpt_freq", 5)

    small = small_flags(pictures, tmp_path)
    Machines(pictures, tmp_path, *flags(5)).train()
    ends([start(*small, *COMMON, *flags(10))], 0)
    Machines(pictures, tmp_path, *flags(15), "--steps_per_call", 3).train()
    ends([start(*small_flags(pictures, tmp_path / "one"), *COMMON, *flags(15))], 0)
    assert_near(arrays_of(tmp_path / "run", 15), arrays_of(tmp_path / "one" / "run", 15))


@pytest.mark.slow
def test_workers_of_other_options_or_other_images_are_refused(pictures, tmp_path):
    fewer = write_pictures(tmp_path / "other" / pictures.name, 39).parent
    data = ("--dataset", pictures.name, "--data_dir", pictures.parent)
    machines = Machines(pictures, tmp_path, "--steps", 5, *data)
    for more, sentence in (
        (("--learning_rate", 0.001), "--learning_rate: 0.0002 on worker 0, 0.001 now"),
        (("--data_dir", fewer), "Worker 1 has other images than worker 0 (39 of them here)"),
    ):
        with machines.started(*more) as processes:
            (_, first), (_, second) = ends(processes, 2)
        assert sentence in second
        assert "Worker 0 has lost worker 1" in first
