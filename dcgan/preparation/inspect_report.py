"""Presents what `survey` has found to the user: sentences and a contact sheet."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from dcgan import extras, images, program
from dcgan.cli.option import list_some
from dcgan.datasets.report import FEW, DataReport, warn_of_few
from dcgan.datasets.source import Source
from dcgan.preparation import reading
from dcgan.preparation.survey import EXTREME_ASPECT, NEAR, Survey

SIDE = 96  # side of a picture on the contact sheet, in pixels
COLUMNS = 10
MARGIN = 4
CAPTION = 20  # height of a line of text, in pixels
EXAMPLES = 60  # evenly chosen pictures on the sheet
CASES = 20  # pictures shown for each possible fault
NAMES_SHOWN = 5
LABELS_SHOWN = 12


def sentences(source: Source, result: Survey) -> list[str]:
    """Returns lines about everything that was found and, at the end, what to do about it."""
    sizes = tuple(result.sizes.most_common())
    channels = 1 if result.grey == result.usable else 3
    skipped = tuple(result.skipped)
    report = DataReport(
        result.name, result.found, result.usable, skipped, sizes, channels, result.notes
    )
    lines = report.sentences()
    if 0 < result.grey < result.usable:
        lines.append(f"Without colour: {result.grey:,} of {result.usable:,}.")
    lines.append(f"Exact duplicates: {_count_and_name(source, result.same)}.")
    if result.near is None:
        lines.append(f"Near duplicates: not looked for; {extras.install_command('data')} first.")
    else:
        limit = f" (perceptual hashes that differ in at most {NEAR} of 64 bits)"
        lines.append(f"Near duplicates{limit}: {_count_and_name(source, result.near)}.")
    lines.append(f"Nearly blank: {_count_and_name(source, [*zip(result.blank)])}.")
    shape = f"longer than {EXTREME_ASPECT:g} times the other side"
    lines.append(f"Extreme shape ({shape}): {_count_and_name(source, [*zip(result.extreme)])}.")
    for key, counts in result.labels.items():
        without = result.usable - counts.total()
        none = f"; {without:,} without one" if without else ""
        shown = [f"{name} {count:,}" for name, count in counts.most_common(LABELS_SHOWN)]
        more = len(counts) - LABELS_SHOWN
        others = f" and {more:,} more" if more > 0 else ""
        lines.append(f"Labels, {key}: {', '.join(shown)}{others}{none}.")
    if result.same or result.near or result.skipped:
        lines.append(
            f"To leave out duplicates and broken files: {program.name()} pack --similarity "
            f"{NEAR} (0 for exact duplicates only)."
        )
    if result.distinct < FEW:
        lines.append(
            f"WARNING: {warn_of_few(result.distinct)} Get more (crawl with more --tags or a larger "
            "--limit, crop with a smaller --min_size), and stop training when the samples begin "
            "to look alike."
        )
    return lines


def _count_and_name(source: Source, found: Sequence[tuple[int, ...]]) -> str:
    """Counts pictures, or pairs of them, and names some."""
    names = [" of ".join(reading.name_of(source, index) for index in one) for one in found]
    return f"{len(names):,} ({list_some(names, NAMES_SHOWN)})" if names else "none"


def contact_sheet(source: Source, result: Survey) -> Image.Image:
    """Draws evenly chosen pictures, then those with possible faults, under captions."""
    count = min(EXAMPLES, result.found)
    examples = images.even_indices(result.found, count).tolist()
    sections = [(f"{result.name}: {count} of {result.found:,}, evenly chosen", examples)]
    for caption, pairs in (("Exact duplicates", result.same), ("Near duplicates", result.near)):
        if pairs:
            indices = [index for pair in pairs[: CASES // 2] for index in pair[::-1]]
            sections.append((f"{caption}: {len(pairs):,}; the first pairs", indices))
    for caption, indices in (("Nearly blank", result.blank), ("Extreme shape", result.extreme)):
        if indices:
            sections.append((f"{caption}: {len(indices):,}; the first ones", indices[:CASES]))
    spec = reading.own_size(source.summary(), 3)
    blocks = []
    for caption, indices in sections:
        tiles = [_tile(image) for _, image, _ in reading.read(source, indices, spec)]
        blocks.append((caption, images.grid(np.stack(tiles), columns=COLUMNS, margin=MARGIN)))
    return _stack(blocks)


def _tile(image: np.ndarray | None) -> np.ndarray:
    """Draws a picture inside a light grey square; None, an unusable one, becomes a red cross."""
    tile = Image.new("RGB", (SIDE, SIDE), (232, 232, 232))
    if image is None:
        pen = ImageDraw.Draw(tile)
        pen.line((0, 0, SIDE, SIDE), "red", 3)
        pen.line((0, SIDE, SIDE, 0), "red", 3)
        return np.asarray(tile)
    picture = Image.fromarray(image)
    scale = SIDE / max(picture.size)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    # Small pictures are enlarged without blur, to show their pixels.
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.HAMMING
    picture = picture.resize(size, method)
    tile.paste(picture, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return np.asarray(tile)


def _stack(blocks: Sequence[tuple[str, np.ndarray]]) -> Image.Image:
    width = COLUMNS * (SIDE + MARGIN) + MARGIN
    height = sum(CAPTION + block.shape[0] + 2 * MARGIN for _, block in blocks)
    sheet = Image.new("RGB", (width, height), "white")
    pen, top = ImageDraw.Draw(sheet), 0
    for caption, block in blocks:
        plain = caption.encode("latin-1", "replace").decode("latin-1")  # as Pillow's font has it
        pen.text((MARGIN, top + MARGIN), plain, "black", font_size=13)
        sheet.paste(Image.fromarray(block), (MARGIN, top + CAPTION + MARGIN))
        top += CAPTION + block.shape[0] + 2 * MARGIN
    return sheet
