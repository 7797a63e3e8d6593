"""The folder of a crawl: whole pictures, `posts.jsonl` with a line for each, and `.crawl/` inside.

gallery-dl writes to `.crawl/incoming`. From there a picture that is whole and new goes to
`.crawl/ready`, then its line is written, then it goes to the folder: wherever a kill falls between
these, the next start completes or forgets the step, and nothing is fetched twice or recorded
twice. gallery-dl's archive of what it need not fetch is made anew from the lines at every start.
Pictures that a user has removed by hand stay removed. No file is overwritten.

What is told of a download, and what the lines say, is data that a site has chosen. Refused are
paths that are no plain file in `.crawl/incoming`, and a folder where links stand in for the files
of a crawl, since writing to those would change files elsewhere.
"""

import contextlib
import os
import shutil
import sqlite3
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dcgan import UserError
from dcgan.datasets.picture import open_picture, pixels
from dcgan.datasets.picture_files import MAX_FILE_BYTES
from dcgan.datasets.picture_formats import UnusableFile
from dcgan.datasets.source import ImageSpec
from dcgan.files import append_json_line, hold_target, read_json_lines, remove_temporaries, sha256
from dcgan.preparation import archive, links

LONGEST_NAME_BYTES = 180  # without suffix; file systems end at 255
# Of the files, by Pillow's names of what they hold: a site's own suffix may be that of a program.
SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2"}
NO_NAME = '\\/:*?"<>|'  # not in the names of files, on one system or another
# Small, since the pixels are only looked at to see whether all are there.
_GLANCE = ImageSpec(8, 8, 3)


class CrawledFolder:
    """What a crawl has brought; `count` are its pictures in the folder."""

    def __init__(self, root: Path):
        self.root = root
        # One line a picture: file, site, id, tags, rating, source, md5, sha256, url, key.
        self.records = root / "posts.jsonl"
        self.state = root / ".crawl"
        # gallery-dl runs in a folder of its own, so what it reads and writes is absolute.
        self.incoming = (self.state / "incoming").absolute()
        self.archive = (self.state / "archive.sqlite3").absolute()  # of what it need not fetch
        self.config = (self.state / "gallery-dl.json").absolute()
        self._ready = self.state / "ready"
        self._duplicates = self.state / "duplicates.jsonl"
        self._agreed = self.state / "agreed.jsonl"
        self._forget()

    def _forget(self) -> None:
        self.count = 0
        self._keys: set[str] = set()  # what gallery-dl's archive calls the posts
        self._names: set[str] = set()
        self._hashes: set[str] = set()

    def has_agreed(self, rules: str) -> bool:
        """Whether the user has agreed to a site's rules."""
        return any(line.get("rules") == rules for line in read_json_lines(self._agreed))

    def remember_agreement(self, rules: str) -> None:
        """Makes `has_agreed` true from now on; the folder is opened."""
        if not self.has_agreed(rules):
            append_json_line(self._agreed, {"rules": rules})

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Holds the folder for this process, makes it when absent, and reads what is there.

        A UserError, see the module; or it cannot be written, or another process crawls into it.
        """
        links.refuse(self.state, [self.records], "crawl")
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(hold_target(self.state, self.root, "crawling"))
                remove_temporaries(self.state)
                self._read()
            except OSError as error:
                raise UserError(
                    f"The folder {self.root} cannot be written ({error.strerror or error}): "
                    "choose another with --to."
                ) from error
            try:
                yield
            finally:
                self._read()  # what is in memory may be half a step behind when a signal came
                self._clear()

    def prepare(self) -> None:
        """Makes all ready for gallery-dl to start; a UserError where that cannot be written."""
        self._clear()
        self.incoming.mkdir()
        for path in self.state.glob(f"{self.archive.name}*"):  # the journal of a killed process
            path.unlink()
        try:
            self._write_archive()
        except sqlite3.Error as error:  # which is no OSError, not even where the disk is full
            raise UserError(
                f"{self.archive} could not be written ({error}): free space or fix the folder, "
                "then run the same command: it continues from what is saved."
            ) from error

    def _write_archive(self) -> None:
        with contextlib.closing(archive.connect(self.archive)) as database, database:
            # The table that gallery-dl makes itself.
            database.execute("CREATE TABLE archive (entry TEXT PRIMARY KEY) WITHOUT ROWID")
            database.executemany(
                "INSERT INTO archive VALUES (?)", ((key,) for key in sorted(self._keys))
            )

    def take(self, post: dict) -> str:
        """Moves a downloaded picture into the folder, when it is whole and new.

        `post` is what gallery-dl says of it, its path as "_path". Returns "new", "known" (recorded
        before), "duplicate" (the same picture is there already), or the reason why it was not
        taken. A file in `incoming` is then thrown away; one elsewhere is left as it is.
        """
        path, key = Path(post["_path"]), post["_archive_key"]
        if not self._is_incoming(path):
            return "not a file that was downloaded"
        if key in self._keys or not path.exists():
            return "known"
        try:
            suffix, sha256 = _check(path)
        except UnusableFile as reason:
            path.unlink()
            return str(reason)
        if sha256 in self._hashes:
            append_json_line(self._duplicates, {"key": key, "sha256": sha256})
            self._keys.add(key)
            path.unlink()
            return "duplicate"
        ready = self._ready / self._free_name(path, suffix, sha256)
        ready.parent.mkdir(exist_ok=True)
        os.replace(path, ready)
        self._record(_line(post, ready.name, sha256))
        self._move_ready()
        return "new"

    def _is_incoming(self, path: Path) -> bool:
        """Whether a path leads to a plain file in `incoming`, over no link, or to none there."""
        try:
            parts = path.relative_to(self.incoming).parts
        except ValueError:
            return False
        if ".." in parts:
            return False
        here = self.incoming
        try:
            for part in parts[:-1]:
                here = here / part
                if not stat.S_ISDIR(here.lstat().st_mode):
                    return False
            status = path.lstat()
        except FileNotFoundError:
            return True
        except (OSError, ValueError):  # a name that no file can have
            return False
        return stat.S_ISREG(status.st_mode) and status.st_nlink <= 1

    def discard_if_unused(self) -> None:
        """Takes back what a crawl made that came to nothing; the folder is no longer opened."""
        if not self._keys:
            shutil.rmtree(self.state)
            with contextlib.suppress(OSError):  # the user's own files are in it
                self.root.rmdir()

    def _read(self) -> None:
        self._forget()
        _end_with_a_whole_line(self.records)
        present = set(os.listdir(self.root))
        for line in _lines_with(self.records, "file", "sha256", "key"):
            self._know(line)
            self.count += line["file"] in present
        for line in _lines_with(self._duplicates, "key"):
            self._keys.add(line["key"])
        self._move_ready()

    def _know(self, line: dict) -> None:
        self._keys.add(line["key"])
        self._names.add(line["file"].casefold())
        self._hashes.add(line["sha256"])

    def _record(self, line: dict) -> None:
        append_json_line(self.records, line)
        self._know(line)

    def _move_ready(self) -> None:
        """The last step of `take`, also for a process that was killed before it."""
        for path in self._ready.glob("*"):
            target = self.root / path.name
            if path.name.casefold() in self._names and not target.exists():
                os.replace(path, target)
                self.count += 1

    def _clear(self) -> None:
        """Throws away what was not recorded, and with it half downloads."""
        self._move_ready()
        for folder in (self.incoming, self._ready):
            if folder.exists():
                shutil.rmtree(folder)

    def _free_name(self, path: Path, suffix: str, sha256: str) -> str:
        """A name for a downloaded picture that no file of the folder has."""
        plain = "_".join(path.relative_to(self.incoming).with_suffix("").parts)
        plain = unicodedata.normalize("NFC", plain)
        plain = "".join(c if c.isprintable() and c not in NO_NAME else "_" for c in plain)
        stem = plain.lstrip(". ")  # hidden files are not read
        while len(os.fsencode(stem)) > LONGEST_NAME_BYTES:
            stem = stem[:-1]
        name = stem + suffix
        if not stem or name.casefold() in self._names or os.path.lexists(self.root / name):
            name = f"{stem}_{sha256[:8]}{suffix}"
        return name


def _check(path: Path) -> tuple[str, str]:
    """(suffix, SHA-256) of a downloaded file; raises UnusableFile where it is no whole picture."""
    if (size := path.stat().st_size) > MAX_FILE_BYTES:
        raise UnusableFile(f"{size:,} bytes, too large for a picture")
    with open(path, "rb") as file:
        form = open_picture(file).format
        file.seek(0)
        pixels(file, _GLANCE)
        file.seek(0)
        suffix = SUFFIXES.get(form, f".{form.lower()}")
        return suffix, sha256(file)


def _lines_with(path: Path, *names: str) -> Iterator[dict[str, Any]]:
    """The lines of a file in which all these are texts, as those that a crawl has written are."""
    for line in read_json_lines(path):
        if all(_is_text(line.get(name)) for name in names):
            yield line


def _is_text(value: object) -> bool:
    """Whether a value is a text without halves of characters, which nothing can store."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def _line(post: dict, name: str, sha256: str) -> dict:
    """What is recorded of a picture: a site's fields of other kinds than expected are left out."""
    tags = post.get("tags")
    tags = tags.split() if isinstance(tags, str) else tags
    number = post.get("id")
    texts = {name: post.get(name) for name in ("rating", "source", "md5", "_url")}
    texts = {name: value if isinstance(value, str) else None for name, value in texts.items()}
    return {
        "file": name,
        "site": post["category"],
        "id": number if isinstance(number, int | str) else None,
        "tags": [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
        "rating": texts["rating"],
        "source": texts["source"],
        "md5": texts["md5"],  # of the original, as the site says
        "sha256": sha256,  # of the file
        "url": texts["_url"],
        "key": post["_archive_key"],
    }


def _end_with_a_whole_line(path: Path) -> None:
    """Removes the half line that a full disk or a power cut has left."""
    if not path.exists():
        return
    with open(path, "rb+") as file:
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)
