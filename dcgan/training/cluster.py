"""Which machines train together, and their first meeting.

Every worker runs the same command. TF_CONFIG, else Slurm, says who they are; the first of them is
the chief. They meet over plain sockets before TensorFlow begins: it would wait for ever for a
worker that does not come, deaf to signals, while here each can say whom it misses. Parameter
servers and evaluators are refused: all workers do the same here.
"""

import contextlib
import hashlib
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from dcgan import UserError

JOBS = ("chief", "worker")
_EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:20000", "10.0.0.2:20000"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
_RETRY_SECONDS = 0.25
_HELLO_SECONDS = 5.0  # for a line to come from who has connected
_FIRST_PORT, _PORTS = 20000, 10000  # of Slurm jobs, which name none


@dataclass(frozen=True)
class Cluster:
    """The workers, and which of them this process is.

    Attributes:
        jobs: the addresses, host:port, by job.
        job, index: of this process.
    """

    jobs: dict[str, list[str]]
    job: str = "worker"
    index: int = 0

    @property
    def addresses(self) -> list[str]:
        """Of all workers, the chief's first."""
        return [address for job in JOBS for address in self.jobs.get(job, [])]

    @property
    def number(self) -> int:
        """Of this worker, from 0: the place of its address."""
        return self.index + (self.job == "worker") * len(self.jobs.get("chief", []))


def find_cluster(strategy: str, environment: Mapping[str, str]) -> Cluster | None:
    """The cluster that a run belongs to.

    Args:
        strategy: "multi_worker"; "auto" takes TF_CONFIG where it names several workers. Others have
            no cluster.
        environment: such as `os.environ`.

    Returns:
        None where one machine trains by itself.

    Raises:
        UserError: TF_CONFIG or what Slurm has set says nothing usable, or multi_worker has neither.
    """
    if strategy not in ("auto", "multi_worker"):
        return None
    if environment.get("TF_CONFIG", "").strip():
        cluster = _from_tf_config(environment["TF_CONFIG"])
        several = len(cluster.addresses) > 1
        return cluster if several or strategy == "multi_worker" else None
    if strategy == "auto":
        return None
    if "SLURM_STEP_NUM_TASKS" in environment:
        return _from_slurm(environment)
    raise UserError(
        "--strategy multi_worker needs to know the workers: set TF_CONFIG, as in "
        f"TF_CONFIG='{_EXAMPLE}', or start it with Slurm's srun."
    )


def _from_tf_config(text: str) -> Cluster:
    def refused(reason: str) -> UserError:
        return UserError(f"TF_CONFIG {reason}; expected something like {_EXAMPLE}.")

    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise refused(f"is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise refused("is no JSON object")
    jobs, task = value.get("cluster"), value.get("task")
    if not isinstance(jobs, dict) or not jobs or not isinstance(task, dict):
        raise refused("lacks the object cluster or task")
    if unknown := sorted(jobs.keys() - set(JOBS)):
        raise refused(f"names the jobs {', '.join(unknown)}, but all do the same here")
    if not all(isinstance(list_, list) and all(map(_is_address, list_)) for list_ in jobs.values()):
        raise refused("has addresses that are not host:port")
    job, index = task.get("type"), task.get("index")
    if job not in jobs or type(index) is not int or not 0 <= index < len(jobs[job]):
        raise refused(f"says that this is {job} {index!r}, which its cluster does not have")
    cluster = Cluster(jobs, job, index)
    if len(set(cluster.addresses)) < len(cluster.addresses) or len(jobs.get("chief", "1")) != 1:
        raise refused("names an address twice, or not exactly one chief")
    return cluster


def _is_address(value) -> bool:
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    return bool(host) and port.isdecimal() and 0 < int(port) < 65536


def _from_slurm(environment: Mapping[str, str]) -> Cluster:
    """By TensorFlow's own resolver, which reads the variables of a step from the process."""
    # Two jobs on one machine shall not meet.
    port = _FIRST_PORT + int(environment.get("SLURM_JOB_ID", "0")) % _PORTS
    try:
        # GPUs are Slurm's to deal out (--gpus-per-task); the numbers here only let the resolver go
        # on to the addresses.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=port,
            gpus_per_node=int(environment["SLURM_STEP_NUM_TASKS"]),
            gpus_per_task=1,
            auto_set_gpu=False,
        )
        jobs = resolver.cluster_spec().as_dict()
        cluster = Cluster(jobs, *resolver.get_task_info())
    except (RuntimeError, ValueError, KeyError) as error:
        raise UserError(
            f"What Slurm has set in the environment names no workers ({error}); start the command "
            "with srun, or set TF_CONFIG."
        ) from error
    here, address = environment.get("SLURMD_NODENAME"), cluster.addresses[cluster.number]
    if here and here != _host(address):
        # The resolver sorts the machines by name, n10 before n9, and Slurm may not.
        raise UserError(
            f"TensorFlow's resolver takes task {cluster.number} to be on {_host(address)}, but it "
            f"runs on {here}; set TF_CONFIG instead, with the machines in the order of the tasks."
        )
    return cluster


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


# ------------------------------------------------------------------------------------- the meeting


def meet(cluster: Cluster, *, limit_seconds: float) -> None:
    """Returns when all workers are there.

    The others come to the chief's address, say who they are, and wait for its word.

    Raises:
        UserError: somebody did not come in time, is of another cluster, or the port is taken.
    """
    if len(cluster.addresses) == 1:
        return
    deadline = time.monotonic() + limit_seconds
    mine = cluster.addresses[cluster.number]
    try:
        family = socket.AF_INET6 if ":" in _host(mine) else socket.AF_INET
        server = socket.create_server(("", _port(mine)), family=family)
    except OSError as error:
        raise UserError(
            f"Worker {cluster.number} cannot listen on port {_port(mine)} ({error.strerror}); end "
            "what uses it, or give every worker's TF_CONFIG another port."
        ) from error
    with server:
        if cluster.number == 0:
            _gather(cluster, server, deadline, limit_seconds)
        else:
            _report(cluster, deadline, limit_seconds)


def _digest(cluster: Cluster) -> str:
    return hashlib.sha256(json.dumps(cluster.addresses).encode()).hexdigest()


def _gather(cluster: Cluster, server: socket.socket, deadline: float, limit: float) -> None:
    """The chief's part."""
    present: dict[int, socket.socket] = {}
    server.settimeout(_RETRY_SECONDS)
    with contextlib.ExitStack() as stack:
        while missing := [n for n in range(1, len(cluster.addresses)) if n not in present]:
            sentence = None
            if time.monotonic() > deadline:
                who = " and ".join(f"{n} ({cluster.addresses[n]})" for n in missing)
                sentence = (
                    f"Of {len(cluster.addresses)} workers, {who} did not come within {limit:g} "
                    "seconds; start the same command on every machine, with its own index in "
                    "TF_CONFIG, or give a longer --worker_wait."
                )
            else:
                with contextlib.suppress(TimeoutError):
                    visitor = stack.enter_context(server.accept()[0])
                    sentence = _welcome(cluster, visitor, present)
            if sentence:
                _tell(present.values(), {"error": sentence})
                raise UserError(sentence)
        _tell(present.values(), {})


def _welcome(cluster: Cluster, visitor: socket.socket, present: dict) -> str | None:
    """Notes who has come; a sentence where the workers do not fit together."""
    try:
        hello = _read_line(visitor)
        number, same = int(hello["worker"]), hello["cluster"] == _digest(cluster)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # something else that tries all ports
    sentence = None
    if not same:
        sentence = f"The TF_CONFIG of worker {number} lists other addresses than that of worker 0"
    elif number in present:
        sentence = f"Two workers call themselves {number}"
    present[-1 if sentence else number] = visitor
    return sentence and f"{sentence}; give all the same cluster, and each its own index."


def _report(cluster: Cluster, deadline: float, limit: float) -> None:
    """The part of the others."""
    chief, reason = cluster.addresses[0], "no answer"
    hello = {"worker": cluster.number, "cluster": _digest(cluster)}
    while (left := deadline - time.monotonic()) > 0:
        try:
            with socket.create_connection((_host(chief), _port(chief)), timeout=left) as connection:
                _tell([connection], hello)
                # The chief waits for others as long as its own limit is.
                answer = _read_line(connection, left + _HELLO_SECONDS)
            if "error" in answer:
                raise UserError(answer["error"])
            return
        except (OSError, json.JSONDecodeError) as error:
            reason = str(getattr(error, "strerror", None) or error) or reason
            time.sleep(_RETRY_SECONDS)
    raise UserError(
        f"Worker {cluster.number} could not reach worker 0 at {chief} within {limit:g} seconds "
        f"({reason}); start the same command there, let the port through, or give a longer "
        "--worker_wait."
    )


def _tell(connections, message: dict) -> None:
    for connection in connections:
        with contextlib.suppress(OSError):  # who has left will be missed soon
            connection.sendall(json.dumps(message).encode() + b"\n")


def _read_line(connection: socket.socket, seconds: float = _HELLO_SECONDS) -> dict:
    connection.settimeout(seconds)
    with connection.makefile("rb") as file:
        line = file.readline(4096)
    if not line.endswith(b"\n"):
        raise ConnectionError("the connection was cut")
    return json.loads(line)
