"""`python main.py sample`: makes images with a trained run, one PNG file each."""

import collections
import hashlib
import logging
import re
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from dcgan import UserError, images
from dcgan.cli.run_options import Sample
from dcgan.commands.open_run import open_run
from dcgan.latent.sampling import BATCH_SIZE
from dcgan.latent.seeds import LARGEST, format_seeds, parse_seeds
from dcgan.outputs import provenance
from dcgan.outputs.generated import GeneratedFolder
from dcgan.run.trained_run import TrainedRun
from dcgan.terminal.progress import Bar

MAX_IMAGES = 1_000_000  # images in one folder
NUM_IMAGES = 64
GRID_IMAGES = 64
MAX_NAME_LENGTH = 60  # letters for seeds or classes in a file name
MAX_PENDING_BATCHES = 2  # batches that may wait to be written, while the next one is computed

logger = logging.getLogger("dcgan")


def run(options: Sample) -> None:
    seeds = _seeds(options)
    trained = open_run(options)
    root, asked = trained.run.root, trained.requested_classes(options.label)
    words = ",".join(f"{column}={name}" for column, names in asked.items() for name in names)
    folder = f"{trained.step:08d}{f'-{_safe(words)}' * bool(words)}"
    to = Path(options.to) if options.to else root / "generated" / folder
    if asked:
        trained.table.labels(seeds[:1], asked)  # refused before a folder is made
    shown = seeds[:GRID_IMAGES]
    usual = shown == list(range(GRID_IMAGES))
    more = "" if usual else f"-seeds-{_safe(format_seeds(shown))}"
    named = to if to.name not in ("", "..") else to.resolve()
    grid = named.parent / f"{named.name}{more}.png"
    provenance.refuse_foreign(grid, ".png")
    note = {"run": trained.name, "step": trained.step, "z_dist": trained.z_dist}
    note |= {"label": words} if words else {}
    # In the folder's note: with another text, the folder could not be continued.
    fingerprint = f"{trained.fingerprint}{f', {words}' * bool(words)}"
    folder = GeneratedFolder(to, fingerprint=fingerprint, note=note)
    folder.claim()
    missing = folder.missing(seeds)
    logger.info("Sampling from %s, step %d.", root, trained.step)
    _fill(folder, trained, missing, asked)
    of_class = f" of {words}" * bool(words)
    comment = provenance.mark(f"sample{of_class}, {trained.name}, step {trained.step}")
    provenance.write(grid, images.png_bytes(images.grid(folder.read(shown)), comment=comment))
    there = f" ({len(seeds) - len(missing):,} were there)" if len(missing) < len(seeds) else ""
    logger.info("Wrote %s images%s into %s.", f"{len(seeds):,}", there, to)
    logger.info("Wrote a grid of the first %d as %s.", len(shown), grid)


def _seeds(options: Sample) -> list[int]:
    if options.seeds is None:
        first, count = options.first_seed or 0, options.num_images or NUM_IMAGES
        if first + count - 1 > LARGEST:
            raise UserError(f"--first_seed {first} is too large; expected at most 2^63 - {count}.")
        return list(range(first, first + count))
    if options.first_seed is not None or options.num_images is not None:
        raise UserError(
            f"--seeds {options.seeds} says which images already: leave out --first_seed "
            "and --num_images, or --seeds."
        )
    return list(dict.fromkeys(parse_seeds(options.seeds, flag="--seeds", at_most=MAX_IMAGES)))


def _safe(words: str) -> str:
    name = re.sub(r"[^\w.=,-]+", "_", words)
    if name == words and len(name) <= MAX_NAME_LENGTH:
        return name
    return f"{name[: MAX_NAME_LENGTH - 9]}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"


def _fill(folder: GeneratedFolder, trained: TrainedRun, seeds: list[int], asked: dict) -> None:
    """Makes images batch by batch; while one is computed, those before it are written."""
    written: collections.deque[Future] = collections.deque()
    with ThreadPoolExecutor(1) as writer, Bar("sampling", len(seeds)) as bar:
        for start in range(0, len(seeds), BATCH_SIZE):
            batch = seeds[start : start + BATCH_SIZE]
            labels = [trained.table.labels(batch, asked)] if asked else []
            written.append(writer.submit(folder.add, batch, trained.sample(batch, *labels)))
            if len(written) > MAX_PENDING_BATCHES:
                written.popleft().result()
            bar.update(len(batch))
        for future in written:
            future.result()
