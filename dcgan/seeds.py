"""Seeds as users write them: 1,5,9-20. What is no such list is refused in a sentence."""

import re

from dcgan import UserError

LARGEST = (1 << 63) - 1  # what fits the int64 that latents are drawn from


def parse_seeds(text: str, *, flag: str, at_most: int, at_least: int = 1) -> list[int]:
    """The seeds of a list such as 1,5,9-20, both ends of a range included.

    Args:
        text: what the user wrote; order and repetitions are kept.
        flag: where, for the refusal.
        at_most, at_least: how many seeds are allowed.

    Raises:
        UserError: it is no such list, or one of too many or too few seeds.
    """
    ranges = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,19})(?:-([0-9]{1,19}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last > LARGEST:
            raise UserError(
                f"{flag} must be seeds such as 1,5,9-20, whole numbers from 0 to 2^63 - 1 and "
                f"ranges that go up; received {part[:40]!r} in {text[:60]!r}."
            )
        ranges.append(range(first, last + 1))
    count = sum(one.stop - one.start for one in ranges)  # len() ends at 63 bits
    if not at_least <= count <= at_most:
        allowed = f"{at_least} to {at_most:,}"
        raise UserError(
            f"{flag} must be {allowed} seeds; received {count:,}: give "
            f"{'more' if count < at_least else 'fewer'}."
        )
    return [seed for one in ranges for seed in one]


def parse_terms(text: str, *, flag: str, at_most: int) -> list[tuple[int, list[int]]]:
    """The terms of a sum such as "+3,8,12 -4,9,11 +5,6,7".

    Args:
        text: terms with blanks between them, each a sign and seeds; the first may lack the sign.
        flag: where, for the refusal.
        at_most: how many terms, and how many seeds in each, are allowed.

    Returns:
        (1 or -1, seeds) of each term, in the order written.

    Raises:
        UserError: it is no such sum.
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
