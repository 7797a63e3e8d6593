"""A folder of generated images: one PNG file per image, named by its seed.

A note in the folder says which generator made them. A folder of another generator is refused, and
so is one that holds anything but has no note.
"""

import json
import os
from pathlib import Path

import numpy as np

from dcgan import UserError, images
from dcgan.files import read_json, remove_stale, temporary_name, write_bytes

NOTE = "generated.json"  # existing folders have it, with the key "fingerprint"
PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"  # the last chunk of a whole PNG file


class GeneratedFolder:
    """The images of one generator.

    Args:
        root: the folder; made by `claim`.
        fingerprint: that of the generator.
        note: what else people should know about it, such as run and step.
    """

    def __init__(self, root: Path, *, fingerprint: str, note: dict):
        self.root = root
        self._note = {**note, "fingerprint": fingerprint}
        # One name for all, so a killed process leaves only one file, which `claim` removes.
        self._temporary = temporary_name(root / "image.png")

    def path(self, seed: int) -> Path:
        """Returns the path of a seed's image; one under another name counts as missing."""
        return self.root / f"seed{seed:08d}.png"

    def claim(self) -> None:
        """Makes the folder, or continues it; raises UserError if it holds anything else."""
        if self.root.exists() and not self.root.is_dir():
            raise UserError(f"--to {self.root} is a file: name a folder, or a new one.")
        self.root.mkdir(parents=True, exist_ok=True)
        remove_stale(self.root)
        note = self.root / NOTE
        if note.exists():
            self._refuse_other(note)
        elif any(not name.endswith(".tmp") for name in os.listdir(self.root)):
            raise UserError(
                f"{self.root} is not empty and was not made by sample: choose another --to, or "
                "move it away."
            )
        else:
            write_bytes(note, (json.dumps(self._note, indent=2) + "\n").encode(), shared=True)

    def _refuse_other(self, note: Path) -> None:
        try:
            there = read_json(note)
        except UserError as error:
            raise UserError(
                f"{note} is not as sample wrote it: restore it, or choose another --to."
            ) from error
        if there.get("fingerprint") != self._note["fingerprint"]:
            raise UserError(
                f"{self.root} holds images of another checkpoint (step {there.get('step')} of "
                f"{there.get('run')}; received step {self._note['step']} of {self._note['run']}): "
                "choose another --to, or name that --checkpoint."
            )

    def missing(self, seeds: list[int]) -> list[int]:
        """Returns the seeds whose images are missing or not whole."""
        there = {entry.name for entry in os.scandir(self.root)}
        return [s for s in seeds if self.path(s).name not in there or not is_whole(self.path(s))]

    def add(self, seeds: list[int], pictures: np.ndarray) -> None:
        """Writes images, uint8 [N, height, width, channels], each whole or not at all.

        They are not flushed one by one, which would take longer than making them: after a power cut
        `missing` finds those that have not reached the disk.
        """
        for seed, picture in zip(seeds, pictures, strict=True):
            try:
                self._temporary.write_bytes(images.png_bytes(picture))
                os.replace(self._temporary, self.path(seed))
            except OSError:
                self._temporary.unlink(missing_ok=True)
                raise

    def read(self, seeds: list[int]) -> np.ndarray:
        """Reads images of the folder as uint8 [N, height, width, channels]."""
        return np.stack([images.read_png(self.path(seed)) for seed in seeds])


def is_whole(path: Path) -> bool:
    """Tells whether a PNG file ends with its last chunk."""
    with open(path, "rb") as file:
        if file.seek(0, os.SEEK_END) < len(PNG_END):
            return False
        file.seek(-len(PNG_END), os.SEEK_END)
        return file.read() == PNG_END
