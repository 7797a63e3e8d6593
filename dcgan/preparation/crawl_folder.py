"""The folder of a crawl: complete pictures, `posts.jsonl` with a line for each, and `.crawl/`.

gallery-dl writes to `.crawl/incoming`. A complete new picture moves from there to `.crawl/ready`,
then its line is written, then it moves to the folder. If the process is killed between these steps,
the next start completes or undoes them, so nothing is fetched or recorded twice. gallery-dl's
archive of posts that it need not fetch is made anew from the lines at every start. Pictures that a
user has removed by hand stay removed. No file is overwritten.

A site chooses what gallery-dl reports of a download and what the lines contain, so neither is
trusted. Refused are paths other than plain files in `.crawl/incoming`, and folders with links in
place of a crawl's files, since writing to links would change files elsewhere.
"""

import contextlib
import hashlib
import os
import re
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
from dcgan.files import append_json_line, lock_target, read_json_lines, remove_temporaries
from dcgan.preparation import archive, links

LONGEST_NAME_BYTES = 180  # without suffix; file systems allow 255
# Suffixes by Pillow's name of the format; the suffix from the site may be that of a program.
SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2"}
NO_NAME = '\\/:*?"<>|'  # characters that some system forbids in file names
# Small, since pictures are only decoded to check that all pixels are there.
_GLANCE = ImageSpec(8, 8, 3)


class CrawledFolder:
    """The pictures of a crawl; `count` is the number of them that are in the folder."""

    def __init__(self, root: Path):
        self.root = root
        # Existing crawls have the names below, and `_line`'s keys: others would not be found.
        # A line per picture: file, site, id, tags, rating, source, md5, sha256, url, key.
        self.records = root / "posts.jsonl"
        self.state = root / ".crawl"
        # Absolute paths, as gallery-dl runs in another working directory.
        self.incoming = (self.state / "incoming").absolute()
        self.archive = (self.state / "archive.sqlite3").absolute()  # posts not to fetch
        self.config = (self.state / "gallery-dl.json").absolute()
        self._ready = self.state / "ready"
        self._duplicates = self.state / "duplicates.jsonl"
        self._agreed = self.state / "agreed.jsonl"
        self._reset()

    def _reset(self) -> None:
        self.count = 0
        self._keys: set[str] = set()  # the posts' keys in gallery-dl's archive
        self._names: set[str] = set()
        self._hashes: set[str] = set()

    def has_agreed(self, rules: str) -> bool:
        """Tells whether the user has agreed to a site's rules, by their exact text."""
        return any(line.get("rules") == rules for line in read_json_lines(self._agreed))

    def remember_agreement(self, rules: str) -> None:
        """Makes `has_agreed` true from now on; the folder must be open."""
        if not self.has_agreed(rules):
            append_json_line(self._agreed, {"rules": rules})

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Locks the folder for this process, makes it if missing, and reads its content.

        Raises UserError if links replace its files, it cannot be written, or another crawl runs.
        """
        links.refuse(self.state, [self.records], "crawl")
        with lock_target(self.state, self.root, "crawling"):
            remove_temporaries(self.state)
            self._read()
            try:
                yield
            finally:
                self._read()  # a signal may have left the lists in memory behind the files
                self._clear()

    def prepare(self) -> None:
        """Makes `incoming` and the archive for gallery-dl; UserError if they cannot be written."""
        self._clear()
        self.incoming.mkdir()
        for path in self.state.glob(f"{self.archive.name}*"):  # the journal of a killed process
            path.unlink()
        try:
            with contextlib.closing(archive.connect(self.archive)) as database, database:
                # The table that gallery-dl makes itself.
                database.execute("CREATE TABLE archive (entry TEXT PRIMARY KEY) WITHOUT ROWID")
                rows = ((key,) for key in sorted(self._keys))
                database.executemany("INSERT INTO archive VALUES (?)", rows)
        except sqlite3.Error as error:  # not an OSError, even if the disk is full
            raise UserError(
                f"{self.archive} could not be written ({error}): free space or fix the folder, "
                "then run the same command: it continues from what is saved."
            ) from error

    def take(self, post: dict) -> str:
        """Moves a downloaded picture into the folder if it is complete and new.

        `post` is what gallery-dl reports of it, with its path as "_path". Returns "new", "known"
        (recorded before), "duplicate" (the folder has the same picture), or the reason why it is
        unusable. Unusable files and duplicates in `incoming` are deleted, others left as they are.
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
        line = _line(post, ready.name, sha256)
        append_json_line(self.records, line)
        self._remember(line)
        self._move_ready()
        return "new"

    def _is_incoming(self, path: Path) -> bool:
        """Tells if a path leads to a plain file in `incoming`, not through links, or to no file."""
        try:
            plain = Path(os.path.realpath(self.incoming), path.relative_to(self.incoming))
            if Path(os.path.realpath(path)) != plain:
                return False
            status = path.lstat()
        except FileNotFoundError:
            return True
        except (OSError, ValueError):  # not below `incoming`, or a name that no file can have
            return False
        return stat.S_ISREG(status.st_mode) and status.st_nlink <= 1

    def discard_if_unused(self) -> None:
        """Removes what a crawl without any picture has made; the folder must be closed again."""
        if not self._keys:
            shutil.rmtree(self.state)
            with contextlib.suppress(OSError):  # it is not empty: it holds the user's own files
                self.root.rmdir()

    def _read(self) -> None:
        self._reset()
        _end_with_a_whole_line(self.records)
        present = set(os.listdir(self.root))
        for line in _lines_with(self.records, "file", "sha256", "key"):
            self._remember(line)
            self.count += line["file"] in present
        for line in _lines_with(self._duplicates, "key"):
            self._keys.add(line["key"])
        self._move_ready()

    def _remember(self, line: dict) -> None:
        self._keys.add(line["key"])
        self._names.add(line["file"].casefold())
        self._hashes.add(line["sha256"])

    def _move_ready(self) -> None:
        """Does the last step of `take`, also for a process that was killed before it."""
        for path in self._ready.glob("*"):
            target = self.root / path.name
            if path.name.casefold() in self._names and not target.exists():
                os.replace(path, target)
                self.count += 1

    def _clear(self) -> None:
        """Deletes downloads that were not recorded, such as incomplete ones."""
        self._move_ready()
        for folder in (self.incoming, self._ready):
            if folder.exists():
                shutil.rmtree(folder)

    def _free_name(self, path: Path, suffix: str, sha256: str) -> str:
        """Returns a name for a downloaded picture that no file in the folder has."""
        plain = "_".join(path.relative_to(self.incoming).with_suffix("").parts)
        plain = unicodedata.normalize("NFC", plain)
        plain = "".join(c if c.isprintable() and c not in NO_NAME else "_" for c in plain)
        stem = plain.lstrip(". ")  # a leading dot would hide the file from `datasets`
        while len(os.fsencode(stem)) > LONGEST_NAME_BYTES:
            stem = stem[:-1]
        name = stem + suffix
        if not stem or name.casefold() in self._names or os.path.lexists(self.root / name):
            name = f"{stem}_{sha256[:8]}{suffix}"
        return name


def _check(path: Path) -> tuple[str, str]:
    """Returns (suffix, SHA-256) of a file; raises UnusableFile unless it is a complete picture."""
    if (size := path.stat().st_size) > MAX_FILE_BYTES:
        raise UnusableFile(f"{size:,} bytes, too large for a picture")
    with open(path, "rb") as file:
        form = open_picture(file).format
        file.seek(0)
        pixels(file, _GLANCE)
        file.seek(0)
        suffix = SUFFIXES.get(form, f".{form.lower()}")
        return suffix, hashlib.file_digest(file, "sha256").hexdigest()


def _lines_with(path: Path, *names: str) -> Iterator[dict[str, Any]]:
    """Yields the lines of a file that have all these fields as texts; skips damaged others."""
    for line in read_json_lines(path):
        values = [line.get(name) for name in names]
        # Lone surrogates cannot be stored.
        if all(isinstance(one, str) and not re.search("[\ud800-\udfff]", one) for one in values):
            yield line


def _line(post: dict, name: str, sha256: str) -> dict:
    """Makes the line about a picture; leaves out fields of the site with unexpected types."""

    def read(name: str, *kinds: type):
        return value if isinstance(value := post.get(name), kinds) else None

    tags = read("tags", str, list) or []
    tags = tags.split() if isinstance(tags, str) else tags
    return {
        "file": name,
        "site": post["category"],
        "id": read("id", int, str),
        "tags": [tag for tag in tags if isinstance(tag, str)],
        "rating": read("rating", str),
        "source": read("source", str),
        "md5": read("md5", str),  # of the original, as stated by the site
        "sha256": sha256,  # of the file in the folder
        "url": read("_url", str),
        "key": post["_archive_key"],
    }


def _end_with_a_whole_line(path: Path) -> None:
    """Removes an incomplete last line, left by a full disk or a power cut."""
    if not path.exists():
        return
    with open(path, "rb+") as file:
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)
