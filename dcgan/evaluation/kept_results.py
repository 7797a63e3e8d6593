"""Checks whether results read from files are well-formed; files may be old or from others.

Malformed results are measured again.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dcgan.datasets.cached import is_text

Check = Callable[[object], bool]


def is_number(value: object) -> bool:
    """Tells whether a JSON value is a number, perhaps not finite."""
    return type(value) in (int, float)


def is_finite(value: object) -> bool:
    return is_number(value) and math.isfinite(value)


def is_share(value: object) -> bool:
    return is_number(value) and 0 <= value <= 1


def is_seconds(value: object) -> bool:
    return is_finite(value) and value >= 0


def holds(value: object, checks: dict[str, Check]) -> bool:
    """Tells whether a value is an object whose named fields all pass their checks."""
    return isinstance(value, dict) and all(
        name in value and check(value[name]) for name, check in checks.items()
    )


def are_weights(arrays: Mapping[str, np.ndarray], shapes: Sequence[tuple[int, ...]]) -> bool:
    """Tells whether arrays are finite float32 numbers of these shapes, in this order."""
    return [array.shape for array in arrays.values()] == list(shapes) and all(
        array.dtype == np.float32 and np.isfinite(array).all() for array in arrays.values()
    )


def allow_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


# The keys here are those of records in evaluation/*.jsonl: a renamed one makes old records unread.
ESTIMATE = {"value": is_number, "low": allow_none(is_number), "high": allow_none(is_number)}
FLOOR = {"of": is_text, "count": is_number, **ESTIMATE}
SCORE = {
    **ESTIMATE,
    "interval": is_text,
    "better": lambda value: value in ("higher", "lower"),
    "floor": allow_none(lambda value: holds(value, FLOOR)),
}
ASKED = ("value", "low", "high")
HISTOGRAM_NUMBERS = (
    *("entropy", "true_entropy", "sure", "total_variation", "by_chance", "p_value"),
    *("real_sure", "real_total_variation"),
)
SHARES = ("real", "generated", "real_classified")


def is_floors(arrays: dict, facts: dict) -> bool:
    """Tells whether this is a cached result of floors: one for each metric, and no arrays."""
    return not arrays and all(holds(floor, FLOOR) for floor in facts.values())


def is_accuracies(record: dict) -> bool:
    """Tells whether this is a record of the command `features`."""
    checks = dict.fromkeys(("value", "low", "high", "dimensions"), is_number)
    others = dict.fromkeys(("untrained", "pixels"), lambda value: holds(value, checks))
    return holds(record, checks | others)


def is_score(record: dict) -> bool:
    """Tells whether this is a record of a metric."""
    parts = record.get("parts", {})
    return holds(record, SCORE) and isinstance(parts, dict) and all(map(is_number, parts.values()))


def is_histogram(record: dict) -> bool:
    """Tells whether this is a record of a labelling's class histogram."""
    names = record.get("names")
    if not isinstance(names, list) or not all(map(is_text, names)):
        return False

    def is_shares(value: object) -> bool:
        return isinstance(value, list) and len(value) == len(names) and all(map(is_share, value))

    if "asked" in record and not holds(record["asked"], dict.fromkeys(ASKED, is_share)):
        return False
    numbers = dict.fromkeys(HISTOGRAM_NUMBERS, is_number)
    shares = dict.fromkeys(SHARES, is_shares)
    return holds(record, {**numbers, **shares, "accuracy": allow_none(is_share)})
