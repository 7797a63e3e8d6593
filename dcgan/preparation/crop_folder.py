"""The folder of a crop: faces, `faces.jsonl` with lines for every picture looked at, and `.crop/`.

The faces of a picture are written first, each whole or absent, then its lines at once. Wherever a
kill falls, the next start cuts off what is not a whole set of lines and looks at that picture
again, which gives the same files. Pictures that stand in `faces.jsonl` are done: faces that a user
has removed by hand stay removed. Two pictures to look at lie beside the folder, not in it, where
they would be trained on. Refused is a folder that holds something else, or faces that were cropped
with other options, lines that crop has not written, and links in the place of its files; no file is
overwritten but those two, and nothing else is written outside.
"""

import contextlib
import itertools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePath

from dcgan import UserError
from dcgan.files import hold_target, read_json, remove_temporaries, write_bytes, write_json
from dcgan.preparation import links

LONGEST_NAME_BYTES = 200  # of a picture without suffix; file systems end at 255
NAMES_SHOWN = 3
FARTHEST_EDGE = 1 << 30  # of a box, in pixels; pictures are far smaller


class CroppedFolder:
    """What a crop has made; its content is known while it is open."""

    def __init__(self, root: Path):
        self.root = root
        # A line for each face, kept or not, and for each picture without a face.
        self.records = root / "faces.jsonl"
        self.state = root / ".crop"
        self._options = self.state / "options.json"
        named = root if root.name not in ("", "..") else root.resolve()
        self.sheet = named.with_name(f"{named.name}-contact_sheet.png")  # some of the faces
        self.drawing = named.with_name(f"{named.name}-boxes.jpg")  # a picture with the boxes in it
        self.sources: set[str] = set()  # names of the pictures that were looked at
        self.kept: list[tuple[int, str]] = []  # (fingerprint, file) of the faces, as found
        self.busiest: list[dict] = []  # the lines of the picture with the most faces
        self._prefixes: set[str] = set()

    @contextlib.contextmanager
    def open(self, options: dict) -> Iterator[None]:
        """Holds the folder for this process, makes it when absent, and reads what is there.

        Options are all that faces depend on, by flag. A UserError, see the module; or it cannot be
        written, or another process crops into it.
        """
        self.refuse_foreign()
        links.refuse(self.state, [self.records], "crop")
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(hold_target(self.state, self.root, "cropping"))
            except OSError as error:
                raise UserError(
                    f"The folder {self.root} cannot be written ({error.strerror or error}): "
                    "choose another with --to."
                ) from error
            self._claim(options)
            self._tidy()
            self._read()
            yield

    def refuse_foreign(self) -> None:
        """Refuses to write among or over files that are not a crop's."""
        if self._options.exists():
            return
        if self.root.exists() and not self.root.is_dir():
            raise UserError(f"--to {self.root} is a file: expected a folder, or a new name for it.")
        names = sorted(os.listdir(self.root)) if self.root.exists() else []
        names = [name for name in names if not name.startswith(".")]
        names += [str(path) for path in (self.sheet, self.drawing) if path.exists()]
        if names:
            shown = ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")
            raise UserError(
                f"{self.root} holds files that crop did not write ({shown}): choose another --to, "
                "or move them away."
            )

    def _claim(self, options: dict) -> None:
        """Refuses other options than those that the folder was begun with."""
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

    def _tidy(self) -> None:
        """Removes what killed writers left."""
        remove_temporaries(self.state)
        for path in (self.sheet, self.drawing):
            remove_temporaries(path.parent, path.name)
        for path in self.root.rglob(".*.png.*.tmp"):
            path.unlink(missing_ok=True)

    def prefix(self, source: str) -> str:
        """What the names of a picture's faces begin with: its own name, as short as is free.

        b/a.jpg gives b/a; where another picture has that already, b/a.jpg; then b/a.jpg_2. It
        depends on nothing but the pictures added before, and in their order.
        """
        folder, slash, name = source.rpartition("/")
        stem, suffix = PurePath(name).stem, PurePath(name).suffix
        while len(os.fsencode(stem)) > LONGEST_NAME_BYTES:
            stem = stem[:-1]
        whole = stem + suffix[:16]
        more = (f"{whole}_{number}" for number in itertools.count(2))
        names = (f"{folder}{slash}{one}" for one in itertools.chain((stem, whole), more))
        # Some file systems do not tell capitals from small letters.
        return next(one for one in names if one.casefold() not in self._prefixes)

    def add(self, lines: list[dict], files: dict[str, bytes]) -> None:
        """Writes the face pictures of one picture, content by name, and its lines.

        A UserError where a file of another content is in the way, or a link that leads elsewhere.
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
        self._know(lines)

    def _know(self, lines: list[dict]) -> None:
        source = lines[0]["source"]
        self._prefixes.add(self.prefix(source).casefold())
        self.sources.add(source)
        for line in lines:
            if line["file"]:
                self.kept.append((int(line["fingerprint"], 16), line["file"]))
        if lines[0]["faces"] > len(self.busiest):
            self.busiest = lines

    def _read(self) -> None:
        """Reads faces.jsonl and cuts off the lines of a picture that a kill has left unfinished."""
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
                    self._know(lines)
                    whole, lines = position, []
        if whole < self.records.stat().st_size:
            os.truncate(self.records, whole)

    def _parse_line(self, text: bytes, number: int, before: list[dict]) -> dict:
        """A line of faces.jsonl, which must be of the next face of the picture of those before."""
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
            pass  # said below
        raise UserError(
            f"Line {number} of {self.records} is not as crop wrote it: restore the file, or choose "
            "another --to."
        )


def _is_ours(line: dict) -> bool:
    """Whether a line has all that is used of it, of the kinds that `crop` writes.

    Raises ValueError, LookupError, TypeError or AttributeError where it has not.
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
    """Whether a name below a folder cannot mean a file elsewhere."""
    path = PurePath(name)
    os.fsencode(name)  # ValueError where no file can have that name
    return bool(path.name) and not path.anchor and ".." not in path.parts and "\0" not in name


def _is_box(value: list) -> bool:
    left, top, right, bottom = value
    edges = all(type(edge) is int and abs(edge) < FARTHEST_EDGE for edge in value)
    return edges and left <= right and top <= bottom
