"""Numbers and durations as people read them."""

import math


def number(value: float) -> str:
    """Formats three digits, or all before the point: 0.0123, 45.6, 1,234; no powers of ten."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) < 1e-4:
        text = f"{value:.6f}".rstrip("0").rstrip(".")
        return "0" if text == "-0" else text
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def large(value: float) -> str:
    """Formats a count in two or three digits: 950, 38 thousand, 3.4 million."""
    for size, scale, name in ((1e9, 1e9, "billion"), (1e6, 1e6, "million"), (1e4, 1e3, "thousand")):
        if value >= size:
            digits = ".2g" if value < 10 * size else ",.0f"
            return f"{value / scale:{digits}} {name}"
    return f"{value:,.0f}"


def duration(seconds: float) -> str:
    """Formats a duration in a unit that fits: 42 seconds, 7.2 minutes, 3.5 hours, 2.1 days."""
    if seconds < 90:
        return count(round(seconds), "second")
    if seconds < 5400:
        return f"{seconds / 60:.1f} minutes"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 86400:.1f} days"


def count(how_many: int, thing: str) -> str:
    """Formats 1 image, 2 images."""
    return f"{how_many:,} {thing}{'' if how_many == 1 else 's'}"


def join_words(words) -> str:
    """Joins words: a, b and c."""
    words = list(words)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def percent(share: float) -> str:
    """Formats whole percents, with tenths below ten: 42 %, 3.5 %."""
    tenths = 0 if share >= 0.0995 or share == 0 else 1
    return f"{100 * share:.{tenths}f}\u00a0%"  # no line break before the sign
