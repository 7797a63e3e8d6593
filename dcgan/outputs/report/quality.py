"""The measurements as the page shows them: by protocol, over time, and class by class."""

from collections import Counter
from collections.abc import Sequence

from dcgan.outputs.report import chart
from dcgan.outputs.report.formatting import number, percent
from dcgan.outputs.report.judgement import judge
from dcgan.outputs.report.measurements import Histogram, Series, details


def by_protocol(series: Sequence[Series]) -> list[dict]:
    """Groups the newest measurements by step and protocol."""
    groups: dict[tuple, list[Series]] = {}
    for one in series:
        groups.setdefault((one.newest["step"], one.protocol), []).append(one)
    return [
        {
            "series": together,
            "floor": _explain_floors_compared(together),
            "judgement": judge(one.newest for one in together),
        }
        for together in groups.values()
    ]


def _explain_floors_compared(together: Sequence[Series]) -> str:
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


def describe_shares(histogram: Histogram) -> str:
    """Explains a histogram of classes."""
    record = histogram.record
    known = {
        key: percent(record[key])
        for key in ("by_chance", "real_total_variation", "sure", "real_sure", "accuracy")
        if isinstance(record.get(key), (int, float))
    }
    chance = f" ({known['by_chance']} by chance alone" if "by_chance" in known else ""
    if chance:
        reals = known.get("real_total_variation")
        chance += f"; of real ones {reals})" if reals else ")"
    lines = [
        f"{percent(histogram.difference)} of the generated images would have to be of another "
        f"class for all shares to be right{chance}."
    ]
    if "sure" in known:
        reals = f", and of {known['real_sure']} of real ones" if "real_sure" in known else ""
        lines.append(f"The classifier is sure of {known['sure']} of them{reals}.")
    if "accuracy" in known:
        lines.append(f"Of real images that are new to it, it is right about {known['accuracy']}.")
    asked = record.get("asked")
    if isinstance(asked, dict) and isinstance(asked.get("value"), (int, float)):
        lines.append(f"It sees the class that was asked for in {percent(asked['value'])}.")
    entropies = [record.get("entropy"), record.get("true_entropy")]
    if all(isinstance(one, (int, float)) for one in entropies):
        lines.append(f"The entropy is {number(entropies[0])} of {number(entropies[1])} bits.")
    return " ".join(lines)
