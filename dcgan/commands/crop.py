"""`python main.py crop`: cuts the faces out of a folder of illustrations."""

import logging
from pathlib import Path

from dcgan import UserError, program
from dcgan.cli.data_options import Crop
from dcgan.datasets import folder as folders
from dcgan.datasets.cache_folder import cache_folder
from dcgan.datasets.picture_files import PictureFiles
from dcgan.datasets.report import DataReport
from dcgan.files import write_bytes
from dcgan.preparation import cascades, duplicates
from dcgan.preparation.crop import CropOptions, CropResult, contact_sheet, crop, drawing
from dcgan.preparation.crop_folder import CroppedFolder

logger = logging.getLogger("dcgan")

# The options of `CropOptions` that have the names of their flags.
SHARED = ("size", "scale_factor", "min_size", "tilt", "margin", "min_sharpness", "similarity")


def run(options: Crop) -> None:
    """Crops new pictures, then reports what was written, what was left out and why."""
    cascades.require()
    duplicates.require()
    _refuse_nested(options)
    source = folders.find(options.from_, options.input_fname_pattern)
    folder = CroppedFolder(Path(options.to))
    folder.refuse_foreign()
    cascade = cascades.find(options.cascade, cache_folder())
    shared = {name: getattr(options, name) for name in SHARED}
    # What faces and their names depend on, by flag.
    told = {
        "from": str(Path(options.from_).resolve()),
        "cascade": f"{cascade.name} ({cascades.checksum(cascade)[:8]})",
        "min_neighbors": options.min_neighbours,  # the old name, as in existing folders
        **shared,
    }
    how = CropOptions(str(cascade), min_neighbors=options.min_neighbours, **shared)
    with folder.open(told):
        result = crop(source, folder, how)
        both = {folder.sheet: contact_sheet(folder), folder.drawing: drawing(source, folder)}
        for path, content in both.items():
            if content is not None:
                write_bytes(path, content)
        _report(source, folder, result)


def _refuse_nested(options: Crop) -> None:
    pictures, faces = Path(options.from_).resolve(), Path(options.to).resolve()
    if pictures == faces or pictures in faces.parents:
        raise UserError(
            f"--to {options.to} lies in --from {options.from_}: the next start would look for "
            "faces in the faces; choose a folder outside."
        )


def _report(source: PictureFiles, folder: CroppedFolder, result: CropResult) -> None:
    skipped = tuple(result.skipped)
    names = set(source.names)
    found, used = len(names), len(names & folder.sources)
    for line in DataReport(source.name, found, used, skipped, (), 3).sentences():
        logger.info("%s", line)
    dropped = ", ".join(f"{count:,} {why}" for why, count in sorted(result.dropped.items()))
    logger.info(
        "Looked at %s new pictures, %s of them without a face; wrote %s faces%s.",
        f"{result.pictures:,}",
        f"{result.faceless:,}",
        f"{result.kept:,}",
        f", left out {dropped}" if dropped else "",
    )
    if not folder.kept:
        logger.warning(
            "No face was found or kept: try a smaller --min_size or --min_sharpness, a lower "
            "--min_neighbours or another --cascade, with another --to."
        )
        return
    logger.info(
        "%s holds %s faces; boxes, sources, hashes and what was left out are in %s.",
        folder.root,
        f"{len(folder.kept):,}",
        folder.records,
    )
    logger.info("Look at %s and %s.", folder.sheet, folder.drawing)
    logger.info("Train on it with: %s", program.command_line("--dataset", folder.root))
