"""Tells the user what was found in a data set, used and left out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dcgan import UserError
from dcgan.cli.option import list_some
from dcgan.datasets.picture_formats import READ
from dcgan.datasets.source import Skipped, Summary
from dcgan.images import DEEP_WHITE

NAMES_SHOWN = 5  # files named for each reason to leave them out
SIZES_SHOWN = 3
FEW = 2_000  # fewer different pictures than this are few


@dataclass(frozen=True)
class DataReport:
    """Which files of a source are used, and why others are not."""

    source: str
    found: int  # files that were examined
    used: int  # pictures that training sees
    skipped: tuple[Skipped, ...]  # files left out, with reasons
    # ((height, width), count) of the pictures, the most common first
    sizes: tuple[tuple[tuple[int, int], int], ...]
    channels: int  # 1 if every picture is grey, else 3
    notes: tuple[str, ...] = ()  # see `Source`
    # the number of different pictures among those used, by the pixels that training sees; None if
    # they were not compared
    different: int | None = None

    def sentences(self) -> list[str]:
        """Returns lines for the user: numbers found and used, what was left out and why, sizes."""
        rest = self.found - self.used - len(self.skipped)
        wanted = f", {rest:,} not asked for" if rest > 0 else ""
        lines = [
            f"{self.source}: {self.found:,} found, {self.used:,} used, "
            f"{len(self.skipped):,} skipped{wanted}."
        ]
        lines += [
            f"Skipped {len(names):,}: {reason} ({list_some(names, NAMES_SHOWN)})."
            for reason, names in by_reason(self.skipped)
        ]
        if self.sizes:
            sizes = ", ".join(f"{h}x{w} ({n:,})" for (h, w), n in self.sizes[:SIZES_SHOWN])
            more = len(self.sizes) - SIZES_SHOWN
            more = f" and {more:,} more" if more > 0 else ""
            colour = "grey" if self.channels == 1 else "colour"
            lines.append(f"Sizes (height x width): {sizes}{more}; {colour}.")
        if self.different is not None and self.different < self.used:
            count = self.used - self.different
            lines.append(f"Exact duplicates: {count:,} of the {self.used:,}; pack leaves them out.")
        return [*lines, *self.notes]

    def warning(self) -> str | None:
        """Returns what to do about too few different pictures; None if there are enough."""
        if self.different is None or self.different >= FEW:
            return None
        return (
            f"{warn_of_few(self.different)} What helps: more pictures, "
            "--augment translation,color, and stopping when the samples begin to look alike."
        )


def warn_of_few(different: int) -> str:
    """Returns a sentence on what happens with so few different pictures."""
    return (
        f"{different:,} different pictures are few: with fewer than about {FEW:,} the networks "
        "learn them by heart and repeat a few."
    )


def remarks_on(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Returns sentences on how pictures were changed, from `Decoded.remarks`."""
    return tuple(
        f"{count:,} picture{' is' if count == 1 else 's are'} {words}."
        for words, count in counts.items()
    )


def depth(summary: Summary) -> tuple[str, ...]:
    """Returns a sentence on the white level of 16-bit pictures, if it is not the usual one."""
    if summary.white_level == DEEP_WHITE:
        return ()
    bits = summary.white_level.bit_length()
    return (
        f"{summary.deep:,} pictures have 16-bit levels, none of them above "
        f"{summary.white_level:,}: they are taken for {bits}-bit, and {summary.white_level:,} is "
        "white.",
    )


def by_reason(skipped: Iterable[Skipped]) -> list[tuple[str, list[str]]]:
    """Groups skipped files: (reason, names of the files), the most common reason first."""
    names: dict[str, list[str]] = {}
    for item in skipped:
        names.setdefault(item.reason, []).append(item.name)
    return sorted(names.items(), key=lambda reason: -len(reason[1]))


def nothing_usable_error(source: str, found: int, skipped: Iterable[Skipped]) -> UserError:
    """Makes the error for a source without a usable picture."""
    reasons = "; ".join(
        f"{len(names):,} {reason} ({list_some(names, NAMES_SHOWN)})"
        for reason, names in by_reason(skipped)
    )
    return UserError(
        f"{source} holds no usable picture: looked at {found:,} file{'s' if found != 1 else ''} "
        f"({reasons}); expected {READ}."
    )
