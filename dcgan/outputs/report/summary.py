"""A summary of the run in a few sentences, which say only what was recorded or measured."""

from collections.abc import Sequence

from dcgan.cli.option import ENDLESS
from dcgan.outputs.report.contents import Contents, CopySearch, Health
from dcgan.outputs.report.formatting import count, duration, join_words, large, number, percent
from dcgan.outputs.report.history import RECENT_STEPS, History
from dcgan.outputs.report.judgement import judge, newest
from dcgan.outputs.report.measurements import Series, interval


def summary(
    contents: Contents, history: History, series: Sequence[Series]
) -> list[tuple[str, list[str]]]:
    """Returns (question, sentences that answer it), in the order in which people ask."""
    return [
        ("What", describe_model(contents)),
        ("How long", describe_length(contents, history)),
        ("Is it working", describe_health(contents.health, history, series)),
        ("How good", describe_quality(series, contents)),
        ("Memorising", describe_copies(contents.copy_search)),
    ]


def describe_model(contents: Contents) -> list[str]:
    model = contents.model
    height, width, channels = model.shape
    of = f"{contents.training_images:,} images of " if contents.training_images else ""
    return [
        f"A generator of {large(model.generator_weights)} numbers learns to draw "
        f"{'grey' if channels == 1 else 'colour'} images of {height} × {width} pixels like the "
        f"{of}{contents.dataset}, against a discriminator of "
        f"{large(model.discriminator_weights)}."
    ]


def describe_length(contents: Contents, history: History) -> list[str]:
    """Says how many steps, passes and minutes were trained, how fast, and which step is shown."""
    step, seconds = contents.model.step, history.last("seconds")
    if not history.rows:
        return [
            f"The checkpoint is of step {step:,}; how long that took is not known, since there is "
            "no metrics.jsonl in the run folder."
        ]
    trained = int(history.rows[-1]["step"])
    took = f", in {duration(seconds)}" if seconds else ""
    starts = f" and {count(history.starts, 'start')}" if history.starts > 1 else ""
    planned = _planned_length(contents, history)
    lines = [f"It has trained for {count(trained, 'step')}{planned}{took}{starts}."]
    speed = history.images_per_second
    if speed:
        lines.append(f"That is {number(speed)} images a second (the median).")
    if step != trained:
        lines.append(f"The pictures here are of the checkpoint of step {step:,}.")
    return lines


def _planned_length(contents: Contents, history: History) -> str:
    steps, epochs, epoch = contents.option("steps"), contents.option("epoch"), history.last("epoch")
    passes = f"{number(epoch)} passes over the data" if epoch is not None else ""
    if steps:
        return f" of {steps:,}" + (f", {passes}" if passes else "")
    if passes and epochs and epochs < ENDLESS:
        of = "1 pass" if epochs == 1 else f"{epochs:,} passes"
        return f", {number(epoch)} of {of} over the data"
    return f", {passes}" if passes else ""


def describe_health(health: Health, history: History, series: Sequence[Series]) -> list[str]:
    """Says what went wrong, or that nothing did, with the numbers that show it."""
    trained = history.steps[-1] if history.rows else 0
    lines, figures = [], newest(series)
    judgement = judge(figures)
    if health.messages:
        *earlier, (_, text, advice) = health.messages
        lines = [text, advice] if advice else [text]
        if earlier:
            lines.append(f"{count(len(earlier), 'earlier message')} below.")
    elif judgement is not None and judgement.is_bad:
        lines = [f"Not by the evaluation of step {figures[0]['step']:,}: see how good."]
    elif trained < health.judged_from:
        lines.append(
            "Nothing looks wrong so far, but it is too early to judge: trouble is only called so "
            f"when it lasts, from step {health.judged_from:,} on."
        )
    elif history.last("d_real") is not None:
        measured = history.last("diversity") is not None
        varied = ", and the generated images have not collapsed to a few" if measured else ""
        lines.append(f"Yes, as far as numbers can tell: the discriminator has not won{varied}.")
    return [*lines, *_describe_recent(history)]


def _describe_recent(history: History) -> list[str]:
    real, fake = history.recent_mean("d_real"), history.recent_mean("d_fake")
    diversity, lines = history.last("diversity"), []
    if real is not None and fake is not None:
        recent = count(min(RECENT_STEPS, int(history.rows[-1]["step"])), "step")
        lines.append(
            f"Over the last {recent} the discriminator took real images for real with "
            f"{percent(real)} confidence and generated ones with {percent(fake)}; at 50 % and 50 % "
            "it could not tell them apart."
        )
    if diversity is not None:
        lines.append(
            f"The generated images differ from one another {percent(diversity)} as much as real "
            "ones do."
        )
    return lines or ["No losses are recorded, so nothing can be said of the training."]


def describe_quality(series: Sequence[Series], contents: Contents) -> list[str]:
    """Gives the first of the measured metrics, what it compares, and the names of the others."""
    if not series:
        return ["Not measured yet."]
    first, last = series[0], series[0].newest
    beside = [f"95 % interval {interval(last)}"] if interval(last) else []
    beside += [str(first.floor)] if first.floor else []
    within = f" ({', '.join(beside)})" if beside else ""
    lines = [
        f"{first.name} is {number(last['value'])}{within} at step {last['step']:,}; "
        f"{first.better}.",
        f"It compares {first.protocol}.",
    ]
    if judgement := judge(newest(series)):
        lines.append(judgement.text)
    if last.get("extractor") != "inception" and first.metric == "fid":
        lines.append("Published FIDs look through Inception and cannot be compared with it.")
    best = first.best
    if best["value"] != last["value"]:
        lines.append(f"The best was {number(best['value'])}, at step {best['step']:,}.")
    if last["step"] != contents.model.step:
        lines.append(f"The pictures are of step {contents.model.step:,}.")
    others = list(dict.fromkeys(o.how.name for o in series if o.metric != first.metric))
    if others:
        lines.append(f"Below: {join_words(others)}.")
    return lines


def describe_copies(copies: CopySearch | str) -> list[str]:
    if isinstance(copies, str):
        return [f"Not looked into: {copies}"]
    of = "all" if copies.searched == copies.training_images else f"{copies.searched:,} of the"
    which = "that are there" if copies.remark else "that it learns from"
    among = (
        f"{copies.seeds:,} generated images, compared with {of} {copies.training_images:,} {which},"
    )
    remark = [copies.remark] if copies.remark else []
    if not copies.suspects:
        return [*remark, f"No sign of it: of {among} none is suspiciously near to one."]
    seeds = join_words(str(seed) for seed in copies.suspects)
    return [
        *remark,
        f"Perhaps: of {among} {len(copies.suspects)} may be copies of training images "
        f"(seed{'' if len(copies.suspects) == 1 else 's'} {seeds}).",
    ]
