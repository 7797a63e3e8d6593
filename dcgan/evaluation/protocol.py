"""The record of a measurement: what was compared, how, and in which file the record is.

Two numbers can be compared only if their protocols are equal. So each record contains its protocol,
whose main parts are also in the name of the file: kid-5k-classifier.jsonl has one JSON object per
line, each of one measurement. Lines are added, never changed.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dcgan.files import append_json_line, read_json_lines


@dataclass(frozen=True)
class Protocol:
    """How a metric was measured. Its fields are in each record by these names.

    Real images are never mirrored, even where training mirrors them: samples should resemble the
    data, and published figures compare with the data as they are.
    """

    extractor: str  # name of the feature extractor
    extractor_fingerprint: str  # hash of its weights and code; empty without extractor
    resize: str  # in words, how images are resized to the extractor's input
    real_count: int  # number of images of each kind
    generated_count: int
    split: str  # the parts of the data set that the real images are from, such as train
    data: str  # fingerprint of the real images, and of the purpose of each
    seed: int  # seed that chooses real and generated images
    unseen: bool = False  # whether real images that the extractor has learnt from were left out

    def file_name(self, metric: str) -> str:
        """Returns the file name for records of a metric, such as kid-5k-classifier.jsonl.

        Records under another name are not found.
        """
        return f"{metric}-{short(self.generated_count)}-{self.extractor}.jsonl"

    def sentence(self, images: str | None = None) -> str:
        """Describes the protocol in a line; `images` is the path of images that no run has made."""
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
    """Writes 5000 as 5k, and 512 as 512."""
    return f"{count // 1000}k" if count and count % 1000 == 0 else str(count)


def first_seed(seed: int) -> int:
    """Returns the seed of the first generated image; the ranges of two `seed`s do not overlap.

    Records hold only `seed`, so what it stands for must not change.
    """
    return seed << 32


def newest(path: Path, what: dict, *, fits: Callable[[dict], bool]) -> dict | None:
    """Reads the newest record of one kind of measurement; None if there is none.

    Args:
        what: the fields and values that say what was measured and how.
        fits: whether a record is well-formed; others are skipped.
    """
    found = None
    for line in read_json_lines(path):
        if what.items() <= line.items() and fits(line):
            found = line
    return found


def write(path: Path, what: dict, results: dict, seconds: float) -> dict:
    """Adds a record to a file, which is created if it does not exist, and returns it."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    record = {**what, **results, "seconds": round(seconds, 2), "made": now}
    path.parent.mkdir(parents=True, exist_ok=True)
    append_json_line(path, record)
    return record
