"""What evaluations have measured, from the run's evaluation/*.jsonl: one record per line.

Records are only compared with those of the same protocol; incomplete ones are left out. Each record
says itself whether higher or lower values are better.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcgan.files import read_json_lines
from dcgan.outputs.report.formatting import number

# The fields of a record that make up its protocol: values of different ones cannot be compared.
PROTOCOL = (
    *("metric", "version", "extractor", "extractor_fingerprint", "resize", "real_count"),
    *("generated_count", "split", "data", "seed", "unseen", "labelling"),
    *("labels_per_class", "repeats"),
)
WORDS = ("metric", "extractor", "better", "made", "interval", "split", "resize", "labelling")
FIXED_EXTRACTOR = ("swd", "features")  # metrics without a choice of extractor
OUTDATED = "by an older version of the metric"
MAX_CLASSES = 24  # bars of a histogram; the rest are added up


@dataclass(frozen=True)
class Metric:
    """How to read a metric."""

    name: str  # for people
    says: str  # what it measures, a sentence


# In the order in which they are shown; the summary has the first one that was measured. The names
# are those in records.
METRICS = {
    "fid": Metric("FID", "How far the generated images' features are from the real ones'."),
    "kid": Metric("KID", "The same without FID's bias for few images; 0 is perfect."),
    "swd": Metric("SWD", "How far patches differ, from coarse shapes to fine texture."),
    "precision": Metric("Precision", "The share of generated images that lie among real ones."),
    "recall": Metric("Recall", "The share of real images that lie among generated ones."),
    "density": Metric(
        "Density", "How near real images the generated ones lie; 1 is even, far more is clustered."
    ),
    "coverage": Metric("Coverage", "The share of real images with a generated one near."),
    "is": Metric("Inception score", "Whether each image is clear and all together varied."),
    "features": Metric(
        "Few labels",
        "The share of images that a linear SVM names rightly, by what the discriminator sees.",
    ),
}


@dataclass(frozen=True)
class Floor:
    """What real images score."""

    value: float
    name: str  # "floor": two halves of them compared; "reals": for metrics of one side only
    count: int  # number of images on each side

    def __str__(self) -> str:
        return f"{self.name} {number(self.value)}"


@dataclass(frozen=True)
class Series:
    """The measurements by one protocol, one per step."""

    metric: str  # a name in `METRICS`, or another one
    records: Sequence[dict]  # in the order of their steps; for each step the newest
    newest: dict  # the record that was made last
    outdated: bool = False  # whether the folder has records of a newer version of the metric

    @property
    def how(self) -> Metric:
        return METRICS.get(self.metric, Metric(self.metric, ""))

    @property
    def name(self) -> str:
        """The metric's name for people, with its extractor unless that is the usual Inception."""
        extractor = self.newest.get("extractor")
        usual = (
            self.metric not in METRICS or self.metric in FIXED_EXTRACTOR or extractor == "inception"
        )
        return self.how.name if usual or not extractor else f"{self.how.name} ({extractor})"

    @property
    def more_is_better(self) -> bool:
        return self.newest.get("better") == "higher"

    @property
    def better(self) -> str:
        return f"{'more' if self.more_is_better else 'less'} is better"

    @property
    def best(self) -> dict:
        sign = -1 if self.more_is_better else 1
        return min(self.records, key=lambda record: sign * record["value"])

    @property
    def protocol(self) -> str:
        return protocol(self.newest) + (f", {OUTDATED}" if self.outdated else "")

    @property
    def floor(self) -> Floor | None:
        """What real images score; None if it was not measured."""
        found = self.newest.get("floor")
        of = found if isinstance(found, dict) else {}
        if not all(is_number(of.get(name)) for name in ("value", "count")):
            return None
        return Floor(of["value"], "reals" if of.get("of") == "reals" else "floor", of["count"])

    @property
    def steps(self) -> np.ndarray:
        return self.column("step")

    def column(self, key: str) -> np.ndarray:
        return column(self.records, key)


@dataclass(frozen=True)
class Histogram:
    """How often each class occurs among real and generated images."""

    labelling: str  # the label column, such as label or hair
    # (class, real share, generated share), the most common first if there are many
    rows: Sequence[tuple[str, float, float]]
    record: dict  # what else was measured, and how

    @property
    def longest(self) -> float:
        """The largest share, which has the longest bar; 1 if all are 0."""
        return max(max(real, generated) for _, real, generated in self.rows) or 1.0

    @property
    def difference(self) -> float:
        """Total variation: the share of images that would have to be of another class."""
        return sum(abs(real - generated) for _, real, generated in self.rows) / 2


def read_series(folder: Path) -> list[Series]:
    """Reads the measurements by each protocol; for each metric the newest come first.

    Those by an older version of the metric than the newest in the folder come last.
    """
    found: dict[tuple, list[dict]] = {}
    for record in _records(folder):
        if record["metric"] and is_number(record.get("value")) and is_number(record.get("step")):
            key = tuple(str(record.get(part)) for part in PROTOCOL)
            found.setdefault(key, []).append(record)
    newest: dict[str, int] = {}
    for first, *_ in found.values():
        newest[first["metric"]] = max(newest.get(first["metric"], 0), _version(first))
    series = []
    for records in found.values():
        of_step = {record["step"]: record for record in records}  # later lines are newer
        in_order = [of_step[step] for step in sorted(of_step)]
        metric, version = records[0]["metric"], _version(records[0])
        series.append(Series(metric, in_order, records[-1], version < newest[metric]))
    series.sort(key=lambda one: one.newest["made"], reverse=True)
    return sorted(series, key=lambda one: (rank(one.metric), one.outdated))


def rank(metric: str) -> int:
    """Returns a metric's place among those of `METRICS`; others come last."""
    return [*METRICS, metric].index(metric)


def read_histograms(folder: Path) -> list[Histogram]:
    """Reads the newest histogram of each labelling and extractor."""
    newest: dict[tuple, dict] = {}
    for record in sorted(_records(folder), key=lambda record: record["made"]):
        parts = [record.get(name) for name in ("names", "real", "generated")]
        if all(isinstance(part, list) for part in parts) and len({len(p) for p in parts}) == 1:
            key = (str(record.get("labelling")), str(record.get("extractor")))
            if parts[0]:
                newest[key] = record
    return [Histogram(key[0], _rows(record), record) for key, record in sorted(newest.items())]


def protocol(record: dict) -> str:
    """Says how a record was measured."""
    sides = []
    if is_number(record.get("generated_count")):
        sides.append(f"{record['generated_count']:,} generated images")
    if is_number(record.get("real_count")):
        of = f" of {record['split']}" if record.get("split") else ""
        unseen = " that the extractor has not learnt from" if record.get("unseen") else ""
        sides.append(f"{record['real_count']:,} real ones{of}{unseen}")
    words = [" against ".join(sides)] if sides else []
    for key, phrase in (
        ("labelling", "labels: {}"),
        ("labels_per_class", "{} a class"),
        ("repeats", "{} times"),
        ("extractor", "extractor {}"),
        ("resize", "resize: {}"),
        ("seed", "seed {}"),
    ):
        if record.get(key) not in (None, ""):
            words.append(phrase.format(record[key]))
    return ", ".join(words)


def details(record: dict) -> str:
    """Lists what was measured along with a value: parts of a mean, the same on other features."""
    parts = record.get("parts") if isinstance(record.get("parts"), dict) else {}
    found = {name: value for name, value in parts.items() if is_number(value)}
    for name, words in (("untrained", "on an untrained one"), ("pixels", "on raw pixels")):
        if isinstance(record.get(name), dict) and is_number(record[name].get("value")):
            found[words] = record[name]["value"]
    return ", ".join(f"{name} {number(value)}" for name, value in found.items())


def interval(record: dict) -> str:
    """Formats the 95 % interval; empty if none was measured."""
    low, high = record.get("low"), record.get("high")
    return f"{number(low)} to {number(high)}" if is_number(low) and is_number(high) else ""


def _records(folder: Path) -> Iterable[dict]:
    """Yields the records whose fields have the right types, as a file may come from a stranger."""
    for path in sorted(folder.glob("*.jsonl")):
        for record in read_json_lines(path):
            if all(_is_of_its_kind(name, value) for name, value in record.items()):
                yield record | {name: record.get(name) or "" for name in ("metric", "made")}


def _is_of_its_kind(name: str, value) -> bool:
    if name in ("low", "high"):
        return value is None or is_number(value)
    if name in ("real", "generated", "names"):
        kind = str if name == "names" else (int, float)
        return not isinstance(value, list) or all(isinstance(one, kind) for one in value)
    return name not in WORDS or value is None or isinstance(value, str)


def _version(record: dict) -> int:
    version = record.get("version")
    return version if isinstance(version, int) else 0


def _rows(record: dict) -> list[tuple[str, float, float]]:
    rows = list(zip(record["names"], record["real"], record["generated"], strict=True))
    if len(rows) <= MAX_CLASSES:
        return rows
    rows.sort(key=lambda row: -row[1])
    kept, rest = rows[: MAX_CLASSES - 1], rows[MAX_CLASSES - 1 :]
    return [*kept, (f"{len(rest)} more", sum(r[1] for r in rest), sum(r[2] for r in rest))]


def column(rows: Sequence[Mapping], key: str) -> np.ndarray:
    """Returns one field of all rows, float64 [N]; NaN where it is not a finite number."""
    found = [row.get(key) for row in rows]
    return np.array([value if is_number(value) else np.nan for value in found], np.float64)


def finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def is_number(value) -> bool:
    """Tells if a value is a number that can be drawn: its sums and squares are finite too."""
    return isinstance(value, (int, float)) and abs(value) < 1e100
