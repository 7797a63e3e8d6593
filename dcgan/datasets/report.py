"""What was found in a data set, used and left out, in sentences for a person."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dcgan import UserError
from dcgan.cli.option import some_of
from dcgan.datasets.picture_formats import READ
from dcgan.datasets.source import Skipped, Summary
from dcgan.images import DEEP_WHITE

NAMES_SHOWN = 5  # of the files left out for one reason
SIZES_SHOWN = 3
FEW = 2_000  # different pictures


@dataclass(frozen=True)
class DataReport:
    """What became of the files of a source."""

    source: str
    found: int  # files looked for pictures in
    used: int  # pictures that training sees
    skipped: tuple[Skipped, ...]  # files left out, with reasons
    # ((height, width), count) of the pictures, the most common first
    sizes: tuple[tuple[tuple[int, int], int], ...]
    channels: int  # 1 when every picture is grey, else 3
    notes: tuple[str, ...] = ()  # see `Source`
    # pictures used that differ from all before them in some pixel, as they are trained on; None
    # where they were not compared
    different: int | None = None

    def sentences(self) -> list[str]:
        """For a person: found and used, what was left out and why, sizes."""
        rest = self.found - self.used - len(self.skipped)
        wanted = f", {rest:,} not asked for" if rest > 0 else ""
        lines = [
            f"{self.source}: {self.found:,} found, {self.used:,} used, "
            f"{len(self.skipped):,} skipped{wanted}."
        ]
        lines += [
            f"Skipped {len(names):,}: {reason} ({some_of(names, NAMES_SHOWN)})."
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
        """What to do where there are too few different pictures; None where there are enough."""
        if self.different is None or self.different >= FEW:
            return None
        return (
            f"{few(self.different)} What helps: more pictures, --augment translation,color, and "
            "stopping when the samples begin to look alike."
        )


def few(different: int) -> str:
    """What becomes of so few pictures."""
    return (
        f"{different:,} different pictures are few: with fewer than about {FEW:,} the networks "
        "learn them by heart and repeat a few."
    )


def remarks_on(counts: Mapping[str, int]) -> tuple[str, ...]:
    """What was done with pictures, in sentences; by the words of `Decoded.remarks`."""
    return tuple(
        f"{count:,} picture{' is' if count == 1 else 's are'} {words}."
        for words, count in counts.items()
    )


def depth(summary: Summary) -> tuple[str, ...]:
    """What is taken for white in 16-bit pictures, where that is not the usual."""
    if summary.white_level == DEEP_WHITE:
        return ()
    bits = summary.white_level.bit_length()
    return (
        f"{summary.deep:,} pictures have 16-bit levels, none of them above "
        f"{summary.white_level:,}: they are taken for {bits}-bit, and {summary.white_level:,} is "
        "white.",
    )


def by_reason(skipped: Iterable[Skipped]) -> list[tuple[str, list[str]]]:
    """(reason, names of the files), the most common reason first."""
    names: dict[str, list[str]] = {}
    for item in skipped:
        names.setdefault(item.reason, []).append(item.name)
    return sorted(names.items(), key=lambda reason: -len(reason[1]))


def nothing_usable(source: str, found: int, skipped: Iterable[Skipped]) -> UserError:
    """The error of a source without a single usable picture."""
    reasons = "; ".join(
        f"{len(names):,} {reason} ({some_of(names, NAMES_SHOWN)})"
        for reason, names in by_reason(skipped)
    )
    return UserError(
        f"{source} holds no usable picture: looked at {found:,} file{'s' if found != 1 else ''} "
        f"({reasons}); expected {READ}."
    )
