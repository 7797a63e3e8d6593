"""Parses seeds as users write them, such as 1,5,9-20."""

import re
from collections.abc import Sequence

from dcgan import UserError

# Seeds must fit int64.
SMALLEST, LARGEST = -(1 << 63), (1 << 63) - 1


class TooManySeeds(UserError):
    """The list is well written, but too long."""


def parse_seeds(
    text: str, *, flag: str, at_most: int, at_least: int = 1, negative: bool = False
) -> list[int]:
    """Parses a list of seeds such as 1,5,9-20; a range includes both ends.

    Order and repetitions are kept. Raises UserError, which names `flag`, if it is not such a list
    or has too few seeds, and its subclass TooManySeeds if it has too many.
    """
    ranges, lowest = [], SMALLEST if negative else 0
    for part in text.split(","):
        match = re.fullmatch(r"\s*(-?[0-9]{1,19})(?:-(-?[0-9]{1,19}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or first < lowest or last > LARGEST:
            raise UserError(
                f"{flag} must be seeds such as 1,5,9-20, whole numbers from "
                f"{'-2^63' if negative else '0'} to 2^63 - 1 and ranges that go up; received "
                f"{part[:40]!r} in {text[:60]!r}."
            )
        ranges.append(range(first, last + 1))
    count = sum(one.stop - one.start for one in ranges)  # len() fails above 63 bits
    if not at_least <= count <= at_most:
        error, give = (UserError, "more") if count < at_least else (TooManySeeds, "fewer")
        raise error(
            f"{flag} must be {at_least} to {at_most:,} seeds; received {count:,}: give {give}."
        )
    return [seed for one in ranges for seed in one]


def format_seeds(seeds: Sequence[int]) -> str:
    """Writes seeds as a short list that `parse_seeds` reads, such as 1,5,9-20."""
    ranges: list[list[int]] = []
    for seed in seeds:
        if ranges and ranges[-1][1] + 1 == seed:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


def parse_terms(text: str, *, flag: str, at_most: int) -> list[tuple[int, list[int]]]:
    """Parses a sum such as "+3,8,12 -4,9,11 +5,6,7" into terms, pairs of (1 or -1, seeds).

    The first sign may be left out. Raises UserError, which names `flag`, if it is not such a sum,
    or has more than `at_most` terms or seeds in one term.
    """
    words = text.split()
    if words and words[0][0] not in "+-":
        words[0] = "+" + words[0]
    if not words or any(word[0] not in "+-" for word in words):
        raise UserError(
            f"{flag} must be signs and seeds such as '+3,8,12 -4,9,11 +5,6,7'; received "
            f"{text[:60]!r}."
        )
    if len(words) > at_most:
        raise UserError(f"{flag} must be at most {at_most} terms; received {len(words)}.")
    return [
        (1 if word[0] == "+" else -1, parse_seeds(word[1:], flag=flag, at_most=at_most))
        for word in words
    ]
