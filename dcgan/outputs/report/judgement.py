"""What metrics say together, in words: for evaluate's table, the report and the end of a run.

No single one of precision, recall, density and coverage says that images look real. Grey noise, and
blurred pictures that are all alike, lie in the middle of the real images' features: they have
precision 1, density far above 1 and recall 0. Every sentence here is based on a measurement.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dcgan import program
from dcgan.outputs.report.formatting import join_words, number
from dcgan.outputs.report.measurements import Series

# Real images against other real ones have a density of about 1; the floor has their recall.
FAR_DENSITY = 2.0
NEAR_ZERO, HALF, AS_REALS = 0.1, 0.5, 0.9  # shares of the floor
BETTER = 0.05  # a smaller relative gain does not count as better
FIGURES = ("precision", "recall", "density", "coverage")


@dataclass(frozen=True)
class Judgement:
    """What the figures of one evaluation say."""

    text: str  # sentences
    is_bad: bool = False  # whether no figure of the evaluation may be read as good images


def judge(records: Iterable[Mapping]) -> Judgement | None:
    """Judges precision, recall, density and coverage together; None if they say nothing.

    The records are of one evaluation, each with metric, value and perhaps floor.
    """
    found = {record["metric"]: record for record in records if record["metric"] in FIGURES}
    shares = {name: record["value"] / _of_reals(record) for name, record in found.items()}
    precision, recall = shares.get("precision"), shares.get("recall")
    numbers = join_words([f"{name} {_figure(record)}" for name, record in found.items()])
    if shares.get("density", 0.0) > FAR_DENSITY or (
        recall is not None and recall < NEAR_ZERO and (precision or 0.0) >= HALF
    ):
        return Judgement(
            f"The generated images are clustered in the middle of the real ones: {numbers}. "
            "Images that are blurred or all alike have a high precision too, so it does not mean "
            "that they look real.",
            is_bad=True,
        )
    if precision is not None and recall is not None:
        return Judgement(*_of_both(precision, recall, numbers))
    if precision is not None:
        return Judgement(
            "Precision alone does not tell images that look real from ones clustered in the middle "
            "of the real ones: recall and density do."
        )
    if recall is not None and recall < NEAR_ZERO:
        return Judgement(f"Hardly any real image resembles a generated one: {numbers}.")
    return None


def _of_both(precision: float, recall: float, numbers: str) -> tuple[str, bool]:
    if precision < HALF and recall < HALF:
        return f"Most generated images lie apart from the real ones: {numbers}.", True
    if precision < HALF:
        return f"The generated images vary, and most are unlike real ones: {numbers}.", False
    if precision >= AS_REALS and recall >= AS_REALS:
        return f"By these figures they are like real images: {numbers}.", False
    like = "Most" if precision < AS_REALS else "As many as of real ones"
    kinds = "; they are of fewer kinds" if recall < AS_REALS else " and are of as many kinds"
    return f"{like} lie among real images{kinds}: {numbers}.", False


def _figure(record: Mapping) -> str:
    floor = _floor(record)
    return number(record["value"]) + (f" (real images {number(floor)})" if floor else "")


def _floor(record: Mapping) -> float | None:
    floor = record.get("floor")
    value = floor.get("value") if isinstance(floor, Mapping) else None
    return value if isinstance(value, (int, float)) and value > 0 else None


def _of_reals(record: Mapping) -> float:
    """Returns what real images score; for density at least 1, as it is larger for few images."""
    floor = _floor(record) or 1.0
    return max(floor, 1.0) if record["metric"] == "density" else floor


def newest(series: Sequence[Series]) -> list[dict]:
    """Returns the figures measured together last, by the present versions of their metrics."""
    found = [one.newest for one in series if one.metric in FIGURES and not one.outdated]
    if not found:
        return []
    last = max(found, key=lambda record: record.get("made") or "")
    keys = ("step", "extractor", "generated_count", "real_count")
    return [r for r in found if all(r.get(key) == last.get(key) for key in keys)]


def verdict(series: Sequence[Series], *, trouble: str, summary: str, run_dir: str) -> str:
    """Makes the last line of a run: how good it is and what to do next, by what was measured.

    Args:
        trouble: what the health monitor says is wrong now, with its advice; "" for nothing.
        summary: the monitor's numbers, to show if nothing is wrong.
        run_dir: the run folder, for the command that measures.
    """
    measured = [one for one in series if not one.outdated and one.metric not in FIGURES]
    measured.sort(key=lambda one: one.metric != "faces")  # faces first: everybody understands them
    judgement = judge(newest(series))
    lines = [trouble, *map(_format_newest, measured[:1]), judgement.text if judgement else ""]
    if not measured and not judgement:
        measure = program.command_line("evaluate", "--run_dir", run_dir)
        lines += ["" if trouble else summary, f"How good the images are: {measure}"]
    elif not trouble:
        lines.append(_next(measured))
    return " ".join(line for line in lines if line)


def _format_newest(series: Series) -> str:
    """Formats the newest figure, with that of real images and that of about half the steps."""
    last = series.newest
    if series.metric == "faces":
        words = f"faces in {100 * last['value']:.0f} of 100"
    else:
        words = f"{series.name} {number(last['value'])}"
    beside = [f"real images {number(series.floor.value)}"] if series.floor else []
    if half := _half(series):
        beside.append(f"{number(half['value'])} at step {half['step']:,}")
    within = f" ({', '.join(beside)})" if beside else ""
    return f"{words}{within} at step {last['step']:,}."


def _half(series: Series) -> dict | None:
    """Returns the record nearest to half of the newest one's steps; None if none is near."""
    last = series.newest["step"]
    near = [r for r in series.records if 0.4 * last <= r["step"] <= 0.6 * last]
    return min(near, key=lambda record: abs(record["step"] - last / 2), default=None)


def _next(measured: Sequence[Series]) -> str:
    """Says how much better twice the steps made the first metric, and what to do next."""
    half = _half(measured[0]) if measured else None
    if half is None:
        return "Next: continue with a larger --epoch or --steps, and evaluate again."
    before, now = half["value"], measured[0].newest["value"]
    gain = (now - before if measured[0].more_is_better else before - now) / (abs(before) or 1.0)
    if gain > BETTER:
        return (
            f"Twice the steps made it {gain:.0%} better. Next: continue with a larger --epoch or "
            "--steps."
        )
    return (
        "Twice the steps made it no better. Next: try --checkpoint best where there is one, more "
        "images, or another recipe."
    )
