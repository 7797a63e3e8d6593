"""What the endpoints share: versions, limits, counters, and the refusal of unknown versions."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from dcgan.latent.class_words import OWN, by_class
from dcgan.serving import pictures
from dcgan.serving.batching import Arrays, Batcher, batch_sizes
from dcgan.serving.classes import columns_of
from dcgan.serving.errors import RequestError
from dcgan.serving.memory import MemoryBudget
from dcgan.serving.metrics import Metrics
from dcgan.serving.saved_model import SavedModel
from dcgan.serving.versions import VersionNotLoaded, Versions
from dcgan.serving.worker_pool import WorkerPool


class LoadedVersion(Batcher):
    """A version that runs its requests in batches; the constructor warms it up.

    A request has at most `row_limit` rows. For `max_delay`, in seconds, see `Batcher`.

    Attributes:
        first_grid: the first grid that the explorer asks for, a PNG drawn in advance; None if
            `row_limit` allows fewer rows.
    """

    def __init__(self, model: SavedModel, *, row_limit: int, max_delay: float, metrics: Metrics):
        model.warm_up(batch_sizes(row_limit))
        self.model = model
        self.version = model.version
        self.columns = columns_of(model.info)
        self.first_grid = (
            self._draw_first_grid() if row_limit >= pictures.FIRST_GRID_IMAGES else None
        )
        super().__init__(
            model.compute, row_limit=row_limit, max_delay=max_delay, observe=metrics.observe_batch
        )

    def _draw_first_grid(self) -> bytes:
        seeds = np.arange(batch_sizes(pictures.FIRST_GRID_IMAGES)[-1])  # a warm batch size
        own = dict.fromkeys((column.input for column in self.columns), OWN)
        (faces,) = self.model.compute(*_with_classes("generate", {"seed": seeds}, own)).values()
        return pictures.png(faces[: pictures.FIRST_GRID_IMAGES], pictures.FIRST_GRID_COLUMNS, 1)

    async def draw(self, signature: str, inputs: Arrays, labels: Mapping[str, int]):
        """Returns a signature's only output: pictures, of the given classes if the model knows any.

        `labels` are class numbers by input; `inputs` are all other inputs.
        """
        return next(iter((await self.run(*_with_classes(signature, inputs, labels))).values()))


def _with_classes(signature: str, inputs: Arrays, labels: Mapping[str, int]) -> tuple[str, Arrays]:
    """Returns the signature and the inputs for pictures of these classes."""
    rows = len(next(iter(inputs.values())))
    of_classes = {name: np.full(rows, number, np.int32) for name, number in labels.items()}
    return by_class(signature) if labels else signature, inputs | of_classes


@dataclass(frozen=True)
class Service:
    """A model that is served."""

    name: str  # in the addresses of TensorFlow Serving's API
    versions: Versions
    row_limit: int = 64  # the most rows of a request
    body_limit: int = 8 << 20  # the most bytes of a body
    metrics: Metrics = field(default_factory=Metrics)
    # read long bodies, at low priority, so that they do not slow down other answers
    readers: WorkerPool = field(default_factory=lambda: WorkerPool(nice=19))
    writers: WorkerPool = field(default_factory=WorkerPool)  # write long answers, draw pictures
    memory: MemoryBudget = field(default_factory=MemoryBudget)  # of all requests together
    follow: bool = False  # whether new versions are expected, so that pages look for them

    def close(self) -> None:
        """Lets every version finish, and ends the processes."""
        self.versions.close()
        self.readers.close()
        self.writers.close()

    @contextlib.contextmanager
    def lease(self, version: int | None = None, name: str | None = None) -> Iterator[LoadedVersion]:
        """Keeps the version of this number, or the newest, loaded while the block runs.

        `name` is the model that the client asked for. An unknown model or version gets a 404.
        """
        name = self.name if name is None else name
        try:
            if name != self.name:
                raise VersionNotLoaded
            with self.versions.lease(version) as served:
                yield served
        except VersionNotLoaded:
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            sentence = f"Servable not found for request: {wanted[:200]}"
            raise RequestError(sentence, 404) from None
