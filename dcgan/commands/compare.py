"""`python main.py compare`: several runs side by side, in one HTML file and a few lines of text.

It only reads the run folders, and works while training goes on.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from dcgan import UserError
from dcgan.cli.run_options import Compare
from dcgan.commands.report import model_of, options_of
from dcgan.files import read_json
from dcgan.latent.seeds import parse_seeds
from dcgan.outputs import provenance
from dcgan.outputs.comparison import page
from dcgan.outputs.comparison.runs import MAX_RUNS, Run
from dcgan.run.run_dir import RunDir
from dcgan.run.trained_run import TrainedRun, choose_run
from dcgan.terminal.progress import Bar

MAX_SEEDS = 256
DEFAULT = Path("runs") / "comparison.html"

logger = logging.getLogger("dcgan")


def run(options: Compare) -> None:
    seeds = parse_seeds(options.seeds, flag="--seeds", at_most=MAX_SEEDS)
    to = Path(options.to) if options.to else DEFAULT
    provenance.refuse_foreign(to, ".html", ".htm")
    folders = _folders(options.runs)
    names = _names(folders)
    with Bar("sampling", len(folders), "runs", kept=False) as bar:
        runs = []
        for folder, name in zip(folders, names, strict=True):
            options_there = {one.name: one for one in options_of(read_json(folder.config))}
            try:
                model = model_of(TrainedRun(folder), seeds)
            except UserError as error:
                model = str(error)  # why there is none
            runs.append(Run(name, folder, options_there, model))
            bar.update()
    found = page.compare(runs)
    html = page.render(found, seeds)
    provenance.write(to, html)
    for line in page.text(found):
        logger.info("%s", line)
    logger.info("Wrote %s (%.1f MB): open it in a browser.", to, len(html) / 1e6)


def _folders(text: str) -> list[RunDir]:
    """Opens the run folders that are named, without repetitions."""
    named = [word.strip() for word in _split(text) if word.strip()]
    found = {Path(word).resolve(): choose_run(word, None, "newest") for word in named}
    if not 2 <= len(found) <= MAX_RUNS:
        raise UserError(
            f"--runs must be 2 to {MAX_RUNS} different run folders; received {len(found)} "
            f"({', '.join(named)})."
        )
    return list(found.values())


def _split(text: str) -> Iterator[str]:
    """Splits at commas, except those in the name of a folder."""
    parts = text.split(",")
    while parts:
        joined = (",".join(parts[:count]) for count in range(len(parts), 0, -1))
        word = next((word for word in joined if Path(word).is_dir()), parts[0])
        yield word
        del parts[: word.count(",") + 1]


def _names(folders: list[RunDir]) -> list[str]:
    """Returns the folders' names; if two are equal, their paths below the common folder."""
    paths = [folder.root.resolve() for folder in folders]
    if max(Counter(path.name for path in paths).values()) == 1:
        return [path.name for path in paths]
    common = os.path.commonpath(paths)
    return [path.relative_to(common).as_posix() for path in paths]
