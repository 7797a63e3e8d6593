"""Finds the machines that train together.

Every worker runs the same command. TF_CONFIG, or else Slurm, names the workers; the first one is
the chief. Parameter servers and evaluators are refused, as here all workers do the same.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from dcgan import UserError

JOBS = ("chief", "worker")
_EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:20000", "10.0.0.2:20000"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
# Ports for Slurm jobs, which do not name any. Each job has its own range, one port per task.
_FIRST_PORT, _PORTS, _PORTS_A_JOB = 20000, 10000, 16


@dataclass(frozen=True)
class Cluster:
    """The workers, and the place of this process among them."""

    jobs: dict[str, list[str]]  # the addresses, host:port, by job
    job: str = "worker"  # job of this process, one of `JOBS`
    index: int = 0  # index of this process in its job

    @property
    def addresses(self) -> list[str]:
        """The addresses of all workers, the chief's first."""
        return [address for job in JOBS for address in self.jobs.get(job, [])]

    @property
    def rank(self) -> int:
        """The index of this worker in `addresses`; 0 is the chief."""
        return self.index + (self.job == "worker") * len(self.jobs.get("chief", []))


def find_cluster(strategy: str, environment: Mapping[str, str]) -> Cluster | None:
    """Finds the cluster that a run belongs to; returns None if one machine trains alone.

    The strategy "multi_worker" uses TF_CONFIG or Slurm's variables; "auto" uses TF_CONFIG if it
    names several workers; other strategies have no cluster. Raises UserError if the variables are
    not usable, or multi_worker finds none.
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
    def make_error(reason: str) -> UserError:
        return UserError(f"TF_CONFIG {reason}; expected something like {_EXAMPLE}.")

    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise make_error(f"is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise make_error("is not a JSON object")
    jobs, task = value.get("cluster"), value.get("task")
    if not isinstance(jobs, dict) or not jobs or not isinstance(task, dict):
        raise make_error("lacks the object cluster or task")
    if unknown := sorted(jobs.keys() - set(JOBS)):
        raise make_error(f"names the jobs {', '.join(unknown)}, but all do the same here")
    if not all(isinstance(list_, list) and all(map(_is_address, list_)) for list_ in jobs.values()):
        raise make_error("has addresses that are not host:port")
    job, index = task.get("type"), task.get("index")
    known = len(jobs.get(job, ())) if isinstance(job, str) else 0
    if type(index) is not int or not 0 <= index < known:
        raise make_error(f"says that this is {job} {index!r}, which its cluster does not have")
    cluster = Cluster(jobs, job, index)
    if len(set(cluster.addresses)) < len(cluster.addresses) or len(jobs.get("chief", "1")) != 1:
        raise make_error("names an address twice, or not exactly one chief")
    return cluster


def _is_address(value) -> bool:
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    return bool(host) and port.isdecimal() and 0 < int(port) < 65536


def _from_slurm(environment: Mapping[str, str]) -> Cluster:
    """Finds the cluster by TensorFlow's resolver, which reads the variables of Slurm's step."""
    # Different ports for different jobs, as two may run on one machine.
    port = _FIRST_PORT + int(environment.get("SLURM_JOB_ID", "0")) * _PORTS_A_JOB % _PORTS
    try:
        # Slurm assigns GPUs to tasks (--gpus-per-task); the numbers here only keep the resolver
        # from failing before it finds the addresses.
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
    here = environment.get("SLURMD_NODENAME")
    taken, _ = place(cluster.addresses[cluster.rank])
    if here and here != taken:
        # The resolver sorts the machines by name, n10 before n9, and Slurm may not.
        raise UserError(
            f"TensorFlow's resolver takes task {cluster.rank} to be on {taken}, but it runs "
            f"on {here}; set TF_CONFIG instead, with the machines in the order of the tasks."
        )
    return cluster


def place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
