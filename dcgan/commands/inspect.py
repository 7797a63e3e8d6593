"""`python main.py inspect`: says what a data set holds, and what may be wrong with it."""

import logging
import re
from pathlib import Path

import numpy as np

from dcgan import images
from dcgan.cli import data_names
from dcgan.cli.data_options import Inspect
from dcgan.datasets import catalog, label_sheet
from dcgan.outputs import provenance
from dcgan.preparation.inspect_report import contact_sheet, sentences
from dcgan.preparation.survey import survey

logger = logging.getLogger("dcgan")


def run(options: Inspect) -> None:
    source = catalog.find(
        options.dataset,
        options.data_dir,
        pattern=options.input_fname_pattern,
        splits=options.splits.split(","),
    )
    label_sheet.attach_usable(source)
    stem = re.sub(r"[^\w.-]+", "-", data_names.stem(source.name)).strip("-") or "data"
    to = Path(options.to or Path("runs", f"inspect-{stem}.png"))
    provenance.refuse_foreign(to, ".png")
    result = survey(source)
    for line in sentences(source, result):
        logger.info("%s", line)
    sheet = np.asarray(contact_sheet(source, result))
    provenance.write(
        to, images.png_bytes(sheet, comment=provenance.mark(f"inspect, {source.name}"))
    )
    logger.info("Wrote the contact sheet %s: look at it.", to)
