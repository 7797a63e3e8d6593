"""`python main.py inspect`: says what a data set holds, and what may be wrong with it."""

import logging
import re
from pathlib import Path

import numpy as np

from dcgan import data_names, images
from dcgan.datasets import catalog
from dcgan.options import Inspect
from dcgan.outputs import marked
from dcgan.preparation.findings import contact_sheet, sentences
from dcgan.preparation.survey import survey

logger = logging.getLogger("dcgan")


def run(options: Inspect) -> int:
    """Looks at all pictures, says what it found and writes the contact sheet.

    Returns:
        the exit code.

    Raises:
        UserError: for everything that the user can mend.
    """
    source = catalog.find(
        options.dataset,
        options.data_dir,
        pattern=options.input_fname_pattern,
        splits=options.splits.split(","),
    )
    stem = re.sub(r"[^\w.-]+", "-", data_names.stem(source.name)).strip("-") or "data"
    to = Path(options.to or Path("runs", f"inspect-{stem}.png"))
    marked.refuse_foreign(to, ".png")
    result = survey(source)
    for line in sentences(source, result):
        logger.info("%s", line)
    sheet = np.asarray(contact_sheet(source, result))
    marked.write(to, images.png_bytes(sheet, comment=marked.mark(f"inspect, {source.name}")))
    logger.info("Wrote the contact sheet %s: look at it.", to)
    return 0
