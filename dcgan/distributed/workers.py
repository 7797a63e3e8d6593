"""Communication of a run's workers: options, weights, and at each step whether to stop.

Only the chief, the worker of rank 0, reads and writes the run folder, and it broadcasts what must
be the same on all workers. In a run of one process, nothing is communicated.
"""

import contextlib
import io
import json
import logging
import re
import signal
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from dcgan import UserError
from dcgan.distributed.cluster import Cluster
from dcgan.distributed.rendezvous import meet

# Errors that TensorFlow raises when another process is lost, depending on its current operation.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnknownError,
)
logger = logging.getLogger("dcgan")

CHUNK = 1 << 23  # numbers of 8 bytes in one message
CONNECT_SECONDS = 120  # limit for TensorFlow to connect, after all workers have met


class Workers:
    """The processes that train together, by rank from 0. Without arguments: this process alone."""

    def __init__(
        self, cluster: Cluster | None = None, strategy: tf.distribute.Strategy | None = None
    ):
        self.cluster = cluster
        self.strategy = strategy
        self.rank = cluster.rank if cluster else 0
        self.count = len(cluster.addresses) if cluster else 1
        self._asked: tf.Tensor | None = None
        self._sum = tf.function(self._all_reduce, autograph=False)

    @classmethod
    def join(cls, cluster: Cluster, *, limit_seconds: float) -> "Workers":
        """Connects to the other workers. Call it before anything else of TensorFlow runs.

        Raises UserError if a worker is missing at the deadline; see `meet`.
        """
        gpus = len(tf.config.list_physical_devices("GPU"))
        meet(cluster, gpus=gpus, limit_seconds=limit_seconds)
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec(cluster.jobs),
            task_type=cluster.job,
            task_id=cluster.index,
            num_accelerators={"GPU": gpus},
            rpc_layer="grpc",
        )
        workers = cls(cluster)
        # TensorFlow replaces the SIGTERM handler, and while it connects no Python runs, not even in
        # other threads. It would wait forever for a machine that is lost in these seconds, so an
        # alarm of the system ends the process then. The message must come before.
        logger.info(
            "All %d workers are here and connecting; if one is lost meanwhile, worker %d ends "
            "within %d seconds (SIGALRM).",
            *(workers.count, workers.rank, CONNECT_SECONDS),
        )
        handler = signal.getsignal(signal.SIGTERM)
        alarm = getattr(signal, "alarm", lambda seconds: 0)  # absent on Windows
        alarm(CONNECT_SECONDS)
        try:
            with workers.translate_errors():
                workers.strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
        finally:
            alarm(0)
            signal.signal(signal.SIGTERM, handler or signal.SIG_DFL)
        return workers

    @property
    def is_chief(self) -> bool:
        return self.rank == 0

    @property
    def share(self) -> tuple[int, int]:
        return self.rank, self.count

    def distribute(self, batches: tf.data.Dataset, strategy: tf.distribute.Strategy):
        """Distributes this worker's share of each batch over its devices."""
        if self.count == 1:
            return strategy.experimental_distribute_dataset(batches)
        devices = strategy.num_replicas_in_sync // self.count
        if devices > 1:
            size = tf.nest.flatten(batches.element_spec)[0].shape[0] // devices
            batches = batches.rebatch(size, drop_remainder=True)
        return strategy.distribute_datasets_from_function(lambda _: batches)

    def broadcast(self, data: bytes = b"") -> bytes:
        """Returns the chief's bytes on all workers; those of the others are ignored."""
        if self.count == 1:
            return data
        size = int(self._broadcast(np.array(len(data), np.int64)))
        buffer = np.zeros(-(-size // 8), np.int64)
        if self.is_chief:
            buffer.view(np.uint8)[:size] = np.frombuffer(data, np.uint8)
        chunks = [buffer[i : i + CHUNK] for i in range(0, len(buffer), CHUNK)]
        return b"".join(self._broadcast(chunk).tobytes() for chunk in chunks)[:size]

    def broadcast_json(self, value=None):
        """Returns the chief's value, which JSON can hold, on all workers."""
        return json.loads(self.broadcast(json.dumps(value).encode()))

    def broadcast_arrays(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the chief's arrays on all workers."""
        file = io.BytesIO()
        np.savez(file, **arrays)
        with np.load(io.BytesIO(self.broadcast(file.getvalue()))) as found:
            return dict(found)

    def agree_on(self, ask: Callable[[], str | None], reasons: tuple[str, ...]):
        """Makes a function that tells all workers to stop at the same step, for the same reason.

        All workers must call it equally often. A worker's reason, which `ask` returns, reaches all
        one call later, so that no process waits for its devices. Of several, the last of `reasons`
        is returned.
        """
        if self.count == 1:
            return ask

        def answer() -> str | None:
            wish = ask()
            before = self._asked
            self._asked = self._sum(tf.constant([float(reason == wish) for reason in reasons]))
            heard = [] if before is None else np.flatnonzero(before.numpy())
            return reasons[heard[-1]] if len(heard) else None

        return answer

    def leave(self) -> None:
        """Waits until all workers have called it, so that this one can end without harm."""
        if self.count == 1:
            return
        together = tf.constant([0.0])
        self._sum(together).numpy()
        # A worker that ends after the sum may cut off another that is still receiving it. So all
        # wait for a second sum; if a worker is lost during it, all have received the first.
        with contextlib.suppress(*LOST):
            self._sum(together).numpy()

    @contextlib.contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Context manager that raises the loss of another worker as a `UserError`."""
        try:
            yield
        except LOST as error:
            if self.count == 1:
                raise
            raise UserError(self._sentence(error)) from error

    def _sentence(self, error: tf.errors.OpError) -> str:
        first_line = error.message.splitlines()[0]
        places = re.findall(r"/job:(chief|worker)/(?:replica:\d+/)?task:(\d+)", error.message)
        numbers = {Cluster(self.cluster.jobs, job, int(i)).rank for job, i in places}
        others = sorted(numbers - {self.rank})
        again = "the same command on all workers continues from the last checkpoint."
        if not others:  # this worker's own faults raise these errors too
            return f"Worker {self.rank} cannot go on with the others ({first_line}); {again}"
        return (
            f"Worker {self.rank} has lost worker {others[0]} "
            f"({self.cluster.addresses[others[0]]}), whose own output may say why; {again}"
        )

    def _broadcast(self, array: np.ndarray) -> np.ndarray:
        """Creates a variable of the strategy, which has the chief's value on all workers."""
        with self.strategy.scope():
            return tf.Variable(array, trainable=False).numpy()

    def _all_reduce(self, numbers: tf.Tensor) -> tf.Tensor:
        """Sums over all replicas. On GPUs the sum may still be computing when this returns."""

        def add():
            context = tf.distribute.get_replica_context()
            here = tf.identity(numbers)  # puts the sum on this replica's device
            return context.all_reduce(tf.distribute.ReduceOp.SUM, here)

        return self.strategy.experimental_local_results(self.strategy.run(add))[0]
