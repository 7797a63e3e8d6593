"""The folder of a crop: faces, `faces.jsonl` with lines for every examined picture, and `.crop/`.

The faces of a picture are written first, each as a complete file or not at all, then all its lines
at once. If the process is killed in between, the next start cuts off an incomplete set of lines and
examines that picture again, which gives the same files. Pictures in `faces.jsonl` are done, so
faces that a user has removed by hand stay removed. Two pictures for the user are beside the folder,
where training does not find them; they alone are overwritten. Refused are folders that hold
something else or faces cropped with other options, lines that crop has not written, and links in
place of its files.
"""

import contextlib
import itertools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePath

from dcgan import UserError
from dcgan.cli.option import list_some
from dcgan.files import lock_target, read_json, remove_temporaries, write_bytes, write_json
from dcgan.preparation import links

LONGEST_NAME_BYTES = 200  # of a picture's name without suffix; file systems allow 255
NAMES_SHOWN = 3
FARTHEST_EDGE = 1 << 30  # pixels; coordinates of boxes are smaller, as are pictures


class CroppedFolder:
    """The files that a crop has made; its lists are filled by `open`."""

    def __init__(self, root: Path):
        self.root = root
        # Existing folders have the names below: others would not be known as ours.
        # A line for each face, kept or not, and for each picture without a face.
        self.records = root / "faces.jsonl"
        self.state = root / ".crop"
        self._options = self.state / "options.json"
        named = root if root.name not in ("", "..") else root.resolve()
        self.sheet = named.with_name(f"{named.name}-contact_sheet.png")  # some of the faces
        self.drawing = named.with_name(f"{named.name}-boxes.jpg")  # a picture with its boxes
        self.sources: set[str] = set()  # names of the pictures that were examined
        self.kept: list[tuple[int, str]] = []  # (fingerprint, file) of the faces, in order
        self.busiest: list[dict] = []  # the lines of the picture with the most faces
        self._prefixes: set[str] = set()

    @contextlib.contextmanager
    def open(self, options: dict) -> Iterator[None]:
        """Locks the folder for this process, makes it if missing, and reads its content.

        `options` are all that faces depend on, by flag. Raises UserError for what the module
        refuses, if it cannot be written, or if another process crops into it.
        """
        self.refuse_foreign()
        links.refuse(self.state, [self.records], "crop")
        with lock_target(self.state, self.root, "cropping"):
            self._claim(options)
            remove_temporaries(self.state)
            for path in (self.sheet, self.drawing):
                remove_temporaries(path.parent, path.name)
            for path in self.root.rglob(".*.png.*.tmp"):
                path.unlink(missing_ok=True)
            self._read()
            yield

    def refuse_foreign(self) -> None:
        """Raises UserError if the folder or its two pictures hold files that crop did not write."""
        if self._options.exists():
            return
        if self.root.exists() and not self.root.is_dir():
            raise UserError(f"--to {self.root} is a file: expected a folder, or a new name for it.")
        names = sorted(os.listdir(self.root)) if self.root.exists() else []
        names = [name for name in names if not name.startswith(".")]
        names += [str(path) for path in (self.sheet, self.drawing) if path.exists()]
        if names:
            shown = list_some(names, NAMES_SHOWN)
            raise UserError(
                f"{self.root} holds files that crop did not write ({shown}): choose another --to, "
                "or move them away."
            )

    def _claim(self, options: dict) -> None:
        """Records the options of a new folder; raises UserError if an old one has others.

        Names count too: a renamed option would keep old folders from being continued.
        """
        if not self._options.exists():
            write_json(self._options, options)
            return
        try:
            there = read_json(self._options)
        except UserError as error:
            raise UserError(
                f"{self._options} is not as crop wrote it: restore it, or choose another --to."
            ) from error
        lines = [
            f"--{name} {there.get(name)} there, {options.get(name)} now"
            for name in sorted(there.keys() | options.keys())
            if there.get(name) != options.get(name)
        ]
        if lines:
            raise UserError(
                f"{self.root} holds faces that were cropped with other options "
                f"({'; '.join(lines)}): use the same options to continue, or another --to."
            )

    def prefix(self, source: str) -> str:
        """Returns the beginning of the names of a picture's faces: its own name, made unique.

        b/a.jpg gives b/a; if another picture has that already, b/a.jpg; then b/a.jpg_2. The result
        depends only on the pictures that were added before, in their order.
        """
        folder, slash, name = source.rpartition("/")
        stem, suffix = PurePath(name).stem, PurePath(name).suffix
        while len(os.fsencode(stem)) > LONGEST_NAME_BYTES:
            stem = stem[:-1]
        whole = stem + suffix[:16]
        more = (f"{whole}_{number}" for number in itertools.count(2))
        names = (f"{folder}{slash}{one}" for one in itertools.chain((stem, whole), more))
        # Some file systems ignore case.
        return next(one for one in names if one.casefold() not in self._prefixes)

    def add(self, lines: list[dict], files: dict[str, bytes]) -> None:
        """Writes the face files of one picture, content by name, and its lines.

        Raises UserError if another file, or a link to somewhere else, is in the way.
        """
        root = self.root.resolve()
        for name, content in files.items():
            path = self.root / name
            if not path.resolve().is_relative_to(root):
                raise UserError(
                    f"{path} lies outside {self.root}, where a link leads: remove the link, or "
                    "choose another --to."
                )
            if not path.exists():
                write_bytes(path, content)
            elif not path.is_file() or path.read_bytes() != content:
                raise UserError(
                    f"{path} was not written by crop and is not overwritten: move it away, or "
                    "choose another --to."
                )
        with open(self.records, "ab") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        self._remember(lines)

    def _remember(self, lines: list[dict]) -> None:
        source = lines[0]["source"]
        self._prefixes.add(self.prefix(source).casefold())
        self.sources.add(source)
        for line in lines:
            if line["file"]:
                self.kept.append((int(line["fingerprint"], 16), line["file"]))
        if lines[0]["faces"] > len(self.busiest):
            self.busiest = lines

    def _read(self) -> None:
        """Reads faces.jsonl and cuts off the lines of a picture that a kill left incomplete."""
        if not self.records.exists():
            return
        whole, position, lines = 0, 0, []
        with open(self.records, "rb") as file:
            for number, text in enumerate(file, 1):
                position += len(text)
                if not text.endswith(b"\n"):
                    break
                lines.append(self._parse_line(text, number, lines))
                if len(lines) >= lines[0]["faces"]:
                    self._remember(lines)
                    whole, lines = position, []
        if whole < self.records.stat().st_size:
            os.truncate(self.records, whole)

    def _parse_line(self, text: bytes, number: int, before: list[dict]) -> dict:
        """Parses the line after `before`, its picture's earlier lines; UserError if it is wrong."""
        try:
            line = json.loads(text)
            if _is_ours(line) and line["face"] == len(before) <= line["faces"]:
                if before:
                    fits = all(line[name] == before[0][name] for name in ("source", "faces"))
                else:
                    fits = line["source"] not in self.sources
                if fits:
                    return line
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            pass  # raised below
        raise UserError(
            f"Line {number} of {self.records} is not as crop wrote it: restore the file, or choose "
            "another --to."
        )


def _is_ours(line: dict) -> bool:
    """Tells if a line has all fields that are used, with values that `crop` can have written.

    May raise ValueError, LookupError, TypeError or AttributeError if it has not.
    """
    file, faces = line["file"], line["faces"]
    names = [line["source"]] if file is None else [line["source"], file]
    fingerprint = r"[0-9a-f]{16}" if file else r"([0-9a-f]{16})?"
    return (
        all(_stays_inside(name) for name in names)
        and re.fullmatch(fingerprint, line["fingerprint"]) is not None
        and type(line["face"]) is type(faces) is int
        and isinstance(line["dropped"], str | None)
        and (_is_box(line["box"]) and _is_box(line["crop"]) if faces else file is None)
    )


def _stays_inside(name: str) -> bool:
    """Tells whether a name relative to a folder can only mean a file inside it."""
    path = PurePath(name)
    os.fsencode(name)  # raises ValueError for a name that no file can have
    return bool(path.name) and not path.anchor and ".." not in path.parts and "\0" not in name


def _is_box(value: list) -> bool:
    left, top, right, bottom = value
    edges = all(type(edge) is int and abs(edge) < FARTHEST_EDGE for edge in value)
    return edges and left <= right and top <= bottom
