"""The record of a measurement: what was compared and how, and the file that it stands in.

Two numbers can be compared only where their protocols are equal; so the protocol is in the record,
and its main parts are in the file's name: kid-5k-classifier.jsonl has one JSON object a line, one
measurement each. Lines are added, never changed.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dcgan.files import append_json_line, read_json_lines


@dataclass(frozen=True)
class Protocol:
    """How something was measured.

    Real images are never mirrored, also where training mirrors: the data are what the samples are
    to be like, and published figures compare with the data as they are.

    Attributes:
        extractor: what looked at the images.
        extractor_fingerprint: of its weights and code; empty where nothing was learnt.
        resize: in words, how images reached the size at which they were looked at.
        real_count, generated_count: images on each side.
        split: the parts of the data set that the real images are from, such as train.
        data: fingerprint of the real images that were looked at, and of what each was for.
        seed: chose the images on both sides.
        unseen: whether real images that the extractor has learnt from were left out.
    """

    extractor: str
    extractor_fingerprint: str
    resize: str
    real_count: int
    generated_count: int
    split: str
    data: str
    seed: int
    unseen: bool = False

    def file_name(self, metric: str) -> str:
        """Where measurements of a metric stand, such as kid-5k-classifier.jsonl."""
        return f"{metric}-{short(self.generated_count)}-{self.extractor}.jsonl"

    def sentence(self, images: str | None = None) -> str:
        """For people, in one line.

        Args:
            images: where the images are from that were measured; None where a run made them.
        """
        fingerprint = f" {self.extractor_fingerprint[:8]}" if self.extractor_fingerprint else ""
        first = first_seed(self.seed)
        seeds = f"(seeds {first} to {first + self.generated_count - 1})"
        measured = f"images of {images}" if images else f"generated images {seeds}"
        unseen = " that the extractor has not learnt from" if self.unseen else ""
        return (
            f"extractor {self.extractor}{fingerprint} (resize: {self.resize}), "
            f"{self.generated_count:,} {measured}, {self.real_count:,} real ones of {self.split}"
            f"{unseen} (none mirrored), seed {self.seed}."
        )


def short(count: int) -> str:
    """5000 as 5k, 512 as 512."""
    return f"{count // 1000}k" if count and count % 1000 == 0 else str(count)


def first_seed(seed: int) -> int:
    """Of the generated images; ranges of different seeds have none in common."""
    return seed << 32


def newest(path: Path, what: dict, *, fits: Callable[[dict], bool]) -> dict | None:
    """The newest record of a file that says all of what was measured; None without one.

    Args:
        path: of the file.
        what: what was measured and how.
        fits: whether a record holds results as they are written; others are passed over.
    """
    found = None
    for line in read_json_lines(path):
        if what.items() <= line.items() and fits(line):
            found = line
    return found


def write(path: Path, what: dict, results: dict, seconds: float) -> dict:
    """Adds a record to a file, which is made when absent.

    Args:
        path: of the file.
        what: what was measured and how.
        results: what came out.
        seconds: that it took.

    Returns:
        the record.
    """
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    record = {**what, **results, "seconds": round(seconds, 2), "made": now}
    path.parent.mkdir(parents=True, exist_ok=True)
    append_json_line(path, record)
    return record
