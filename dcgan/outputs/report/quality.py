"""The measurements as the page shows them: by protocol, over time, and class by class."""

from collections import Counter
from collections.abc import Sequence

from dcgan.outputs.report import chart
from dcgan.outputs.report.formatting import number
from dcgan.outputs.report.measurements import Series, details


def by_protocol(series: Sequence[Series]) -> list[list[Series]]:
    """Groups series by the step and the protocol of their newest measurements."""
    groups: dict[tuple, list[Series]] = {}
    for one in series:
        groups.setdefault((one.newest["step"], one.protocol), []).append(one)
    return list(groups.values())


def describe_floors(together: Sequence[Series]) -> str:
    """Says what the floors compare; empty if there are none."""
    counts = [one.floor.count for one in together if one.floor and one.floor.name == "floor"]
    if not counts:
        return ""
    sides = [together[0].newest.get(side) for side in ("real_count", "generated_count")]
    more = any(isinstance(side, int) and side > counts[0] for side in sides)
    fewer = " FID and SWD are larger for so few." if more else ""
    return f"Floor: {counts[0]:,} real images against {counts[0]:,} others.{fewer}"


def notes_of(series: Series) -> str:
    """Says what was measured along with a metric's newest value, the best one, and the interval."""
    newest, best, notes = series.newest, series.best, []
    if found := details(newest):
        notes.append(f"{found[0].upper()}{found[1:]}.")
    if best["value"] != newest["value"]:
        notes.append(f"Best: {number(best['value'])} at step {best['step']:,}.")
    if newest.get("interval"):
        notes.append(f"Interval: {newest['interval']}.")
    return " ".join(notes)


def charts(series: Sequence[Series]) -> list[dict]:
    """Draws each metric over time, if it was measured more than once."""
    several = [one for one in series if len(one.records) > 1]
    names = Counter(one.name for one in several)
    found = []
    for one in several:
        low, high = one.column("low"), one.column("high")
        curve = chart.Curve(one.name, "d", one.column("value"), low=low, high=high)
        line = (one.floor.value, one.floor.name) if one.floor else None
        made = chart.draw(one.name, one.steps, [curve], unit=one.better, line=line)
        if made:
            told_apart = names[one.name] > 1
            found.append(made | {"note": f"{one.protocol}." if told_apart else ""})
    return found
