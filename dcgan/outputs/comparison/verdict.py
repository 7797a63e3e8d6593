"""Which settings are ahead, in words; each sentence says only what was measured."""

from collections.abc import Mapping, Sequence

from dcgan import UserError, program
from dcgan.cli.option import parse_seconds
from dcgan.outputs.comparison import scores
from dcgan.outputs.comparison.runs import Run, Setting, by_data
from dcgan.outputs.comparison.scores import Measurement, Score
from dcgan.outputs.report.formatting import join_words, number
from dcgan.outputs.report.measurements import rank


def verdict(settings: Sequence[Setting], protocols: Sequence[Sequence[Measurement]]) -> list[str]:
    runs = [run for setting in settings for run in setting.runs]
    lines = []
    data = by_data(runs)
    if len(data) > 1:
        groups = (
            f"{join_words(run.name for run in group)} from {group[0].dataset}" for group in data
        )
        lines.append(
            f"Figures compare only among runs that learn from the same images: {'; '.join(groups)}."
        )
    if len(settings) == 1:
        lines.append("The runs differ in their seed only, so none of them can be ahead.")
        return lines
    compared = [one for group in protocols for one in group if len(one.scores) > 1]
    if not compared:
        return [*lines, "No metric was measured in the same way of two settings."]
    how_many = len({setting for one in compared for setting in one.scores})
    if how_many < len(settings):
        lines.append(f"Only {how_many} of the {len(settings)} settings were measured alike.")
    lines += _as_they_stand(_choose_protocols(compared))
    for axis, of in (("minute", "minutes of training"), ("image", "images")):
        lines += _compare_after_equal(compared, axis, of)
    if len({run.machine for run in runs if run.machine}) > 1:
        lines.append("They were trained on different machines, so minutes do not compare.")
    return lines


def _choose_protocols(compared: Sequence[Measurement]) -> list[Measurement]:
    """Chooses for each metric the protocol by which most settings, then seeds, were measured."""
    found: dict[str, Measurement] = {}
    for one in compared:
        best = found.get(one.example.metric)
        if best is None or _count_scores(one) > _count_scores(best):
            found[one.example.metric] = one
    return sorted(found.values(), key=lambda one: rank(one.example.metric))


def _count_scores(one: Measurement) -> tuple[int, int]:
    return len(one.scores), sum(len(score.values) for score in one.scores.values())


def _as_they_stand(compared: Sequence[Measurement]) -> list[str]:
    """Says by the last scores which setting is ahead in which metric, and where none is."""
    winners: dict[Setting | None, list[str]] = {}
    for one in compared:
        winners.setdefault(one.winner, []).append(_describe(one, one.scores))
    undecided = winners.pop(None, [])
    lines = [
        f"{winner.name} is ahead by {join_words(metrics)}, intervals apart."
        for winner, metrics in winners.items()
    ]
    if lines:
        lines[0] = f"As they stand, {lines[0]}"
    if undecided:
        lines.append(f"No setting is clearly ahead by {join_words(undecided)}: intervals overlap.")
    return lines


def _compare_after_equal(compared: Sequence[Measurement], axis: str, of: str) -> list[str]:
    """Says which setting leads after equal minutes or images, by the first metric with curves."""
    found = [(one, at) for one in compared if (at := scores.interpolate_at_equal(one, axis))]
    if not found:
        return []
    one, (x, at) = min(found, key=lambda pair: (-len(pair[1][1]), rank(pair[0].example.metric)))
    more = one.example.more_is_better
    best = scores.find_best(at, more_is_better=more)
    is_apart = scores.find_winner(at, more_is_better=more) is not None
    return [
        f"After {f'{x:,.0f}' if x >= 100 else f'{x:.3g}'} {of} each, {best.name} "
        f"{'is ahead' if is_apart else 'leads'} by {_describe(one, at)}, intervals "
        f"{'apart' if is_apart else 'not apart'}."
    ]


def _describe(one: Measurement, found: Mapping[Setting, Score]) -> str:
    """Formats a comparison such as FID (pixels: 30 against 45)."""
    name, against = one.example.name, _against(found, one)
    return f"{name[:-1]}: {against})" if name.endswith(")") else f"{name} ({against})"


def _against(found: Mapping[Setting, Score], measured: Measurement) -> str:
    """Formats 30 against 45, or 30 against 45 to 60 if there are several others."""
    best = scores.find_best(found, more_is_better=measured.example.more_is_better)
    others = sorted(one.value for setting, one in found.items() if setting is not best)
    ends = dict.fromkeys(number(value) for value in (others[0], others[-1]))
    return f"{number(found[best].value)} against {' to '.join(ends)}"


def notes(runs: Sequence[Run]) -> list[str]:
    """Says what each run lacks, and at which step it is if it has not ended."""
    lines = []
    for run in runs:
        steps = run.history.steps
        if isinstance(run.model, str):
            lines.append(f"{run.name} is shown without images: {run.model}")
        elif steps.size and run.model.step != steps[-1]:
            lines.append(
                f"The images of {run.name} are of its checkpoint of step {run.model.step:,}; its "
                f"numbers go to step {steps[-1]:,.0f}."
            )
        if not steps.size:
            lines.append(f"{run.name} has no numbers: metrics.jsonl is missing or empty.")
        elif not _has_ended(run):
            lines.append(
                f"{run.name} stands at step {steps[-1]:,.0f}, before its end: it is still "
                "training, or was stopped."
            )
        if run.can_be_evaluated:
            lines.append(
                f"{run.name} was not evaluated: "
                f"{program.command_line('evaluate', '--run_dir', run.folder.root)} does it."
            )
    return lines


def _has_ended(run: Run) -> bool:
    """Tells if a run has done its steps or its passes over the data, or used up its time."""
    budget = run.option("time_budget")
    try:
        seconds = parse_seconds(budget) if isinstance(budget, str) else None
    except UserError:
        seconds = None
    last = run.history.last
    total = ("step", run.option("steps")) if run.option("steps") else ("epoch", run.option("epoch"))
    ends = [(last("seconds"), seconds), (last(total[0]), total[1])]
    known = [one for one in ends if all(isinstance(value, (int, float)) for value in one)]
    return not known or any(now >= end for now, end in known)
