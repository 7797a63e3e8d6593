"""`python main.py inspect`: says what a data set holds, and what may be wrong with it."""

import io
import logging
import os
import re
from pathlib import Path

from PIL import Image, PngImagePlugin

from dcgan import UserError
from dcgan.datasets import catalog
from dcgan.options import Inspect
from dcgan.preparation.findings import contact_sheet, sentences
from dcgan.preparation.packages import remove_temporaries
from dcgan.preparation.survey import survey
from dcgan.run_dir import write_bytes

MARK = "made by inspect of the DCGAN project"  # in the contact sheet: it may be replaced

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
    stem = re.sub(r"[^\w.-]+", "-", source.name.removesuffix(".zip")).strip("-") or "data"
    to = Path(options.to or f"inspect-{stem}.png")
    _refuse_foreign(to)
    result = survey(source)
    for line in sentences(source, result):
        logger.info("%s", line)
    _write(to, contact_sheet(source, result))
    logger.info("Wrote the contact sheet %s: look at it.", to)
    return 0


def _refuse_foreign(path: Path) -> None:
    """Refuses to write over what is no contact sheet of ours."""
    if path.suffix.lower() != ".png":
        raise UserError(f"--to {path} must end in .png: the contact sheet is a PNG file.")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise _unwritable(path, f"{folder} is no folder that may be written")
    if not path.exists():
        return
    try:
        with Image.open(path) as picture:
            ours = picture.info.get("Comment") == MARK
    except OSError:
        ours = False
    if not ours:
        raise UserError(
            f"{path} exists and is no contact sheet of inspect: nothing is overwritten; choose "
            "another --to, or move it away."
        )


def _write(path: Path, sheet: Image.Image) -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", MARK)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", pnginfo=notes)
    try:
        remove_temporaries(path)
        write_bytes(path, buffer.getvalue())
    except OSError as error:
        raise _unwritable(path, error.strerror) from error


def _unwritable(path: Path, reason: str | None) -> UserError:
    return UserError(f"{path} could not be written ({reason}): choose another --to.")
