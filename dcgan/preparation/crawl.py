"""Crawls a site for pictures by gallery-dl, which pages, downloads, retries and backs off.

gallery-dl runs as a process of its own (`gallery_process`), configured by `.crawl/gallery-dl.json`
and by nothing of the user's. What it has downloaded it says in messages, on a pipe that carries
nothing else; here each file is looked at, recorded and kept (`crawl_folder`), or thrown away, to be
fetched again by the next start.
"""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from dcgan import UserError, extras
from dcgan.datasets.picture_files import MAX_FILE_BYTES
from dcgan.files import write_json
from dcgan.preparation.crawl_folder import CrawledFolder
from dcgan.preparation.sites import SiteSearch
from dcgan.terminal.progress import Bar

logger = logging.getLogger("dcgan")

CONTACT_VARIABLE = "DCGAN_CONTACT"
STARTS = 3  # of gallery-dl, where a list of posts broke off
# Suffixes that are not asked for, since `datasets` could not read the files.
NO_PICTURES = (
    *("mp4", "m4v", "mov", "webm", "mkv", "ogv", "flv", "avi", "wmv", "swf", "mp3"),
    *("zip", "rar", "7z", "pdf", "psd", "svg", "avif", "heic", "html"),
)
UNKNOWN_ADDRESS = "gallery-dl does not know this address"
FINAL = (UNKNOWN_ADDRESS, "HttpError: '4")  # asking again would not help
UNSUPPORTED = 64  # gallery-dl's exit code for an address that it does not know
SOME_FAILED = 4  # and for single pictures that it could not download
LAST_WORDS = 2000  # bytes that are kept of its standard error


class Fruitless(UserError):
    """The site gave no list, or one without such pictures."""


@dataclass
class CrawlResult:
    """What one crawl has done."""

    new: int = 0  # pictures brought
    duplicates: int = 0  # thrown away because the folder has the same picture
    # (name, reason) of files that were no whole picture, or could not be downloaded
    broken: list[tuple[str, str]] = field(default_factory=list)


def check_requirements(search: SiteSearch, contact: str | None) -> None:
    """Raises UserError when gallery-dl or a contact is missing, before anything is done."""
    extras.require("crawl", "data", "gallery_dl")
    if search.wants_contact and not contact:
        raise UserError(
            f"{search.host} requires a contact address: give your mail or web "
            f"address with --contact, or in the environment variable {CONTACT_VARIABLE}."
        )
    if contact and not (contact.isascii() and contact.isprintable()):
        raise UserError(
            f'The contact "{contact}" cannot be sent: expected a mail or web address in ASCII.'
        )


def crawl(
    search: SiteSearch,
    folder: CrawledFolder,
    *,
    limit: int,
    original: bool = False,
    contact: str | None = None,
    delay: float = 1.0,
) -> CrawlResult:
    """Fetches pictures until the folder has `limit` of them or the site has no more.

    Those of earlier crawls count. Raises Fruitless where the site cannot be read to the end, or has
    nothing of the kind.

    Args:
        folder: opened.
        original: whether to fetch the original files; else the smaller ones made for looking at,
            where the family of the site is known.
        contact: sent in the user agent.
        delay: seconds between two requests.
    """
    outcome = CrawlResult()
    config = _config(search, folder, original=original, contact=contact, delay=delay)
    command = (
        *(sys.executable, "-m", "dcgan.preparation.gallery_process"),
        *(str(folder.incoming), str(delay), str(MAX_FILE_BYTES)),
        *("original" if original else "sample", "--config-ignore", "-c", folder.config.name),
        *("--", search.address),
    )
    with Bar(f"crawling {search.host}", limit, "pictures", initial=folder.count) as bar:
        for start in range(1, STARTS + 1):
            if folder.count >= limit:
                break
            folder.prepare()
            write_json(folder.config, config)
            run = _Listener(folder, limit, outcome, bar)
            reason = run.broken_off(*_follow(command, run.hear))
            if not reason:
                break
            if start == STARTS or reason.startswith(FINAL):
                raise Fruitless(_broken_off(search, folder, reason))
            logger.warning("The list of posts broke off (%s): trying again.", reason)
            time.sleep(2.0**start * delay)
    if not folder.count:
        raise Fruitless(_nothing_found(search, outcome))
    return outcome


class _Listener:
    """Listens to one run of gallery-dl."""

    def __init__(self, folder: CrawledFolder, limit: int, outcome: CrawlResult, bar: Bar):
        self.folder, self.limit, self.outcome, self.bar = folder, limit, outcome, bar
        self.error = ""  # that ended the list of posts
        self.last = ""  # what gallery-dl said last

    def hear(self, line: bytes) -> bool:
        """Does what a message of gallery_process calls for; returns whether to listen on."""
        if self.folder.count >= self.limit:
            return False
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return True  # cut by the end of the process: the next start fetches the picture again
        if message["kind"] == "picture":
            self._picture(message["post"])
        elif message["kind"] == "failed":
            self._throw_away(message["name"], self.last)
        else:
            self._log(message["name"], message["level"], message["text"])
        return self.folder.count < self.limit

    def broken_off(self, exit_code: int, last_words: str) -> str:
        """Why the list of posts ended before its end; empty when it did not."""
        if self.folder.count >= self.limit:
            return ""
        if exit_code & UNSUPPORTED:
            return UNKNOWN_ADDRESS
        if self.error or exit_code in (0, SOME_FAILED):
            return self.error
        return self.last or last_words or f"gallery-dl ended with exit code {exit_code}"

    def _picture(self, post: dict) -> None:
        verdict = self.folder.take(post)
        if verdict == "new":
            self.outcome.new += 1
            self.bar.note("")  # the site answers again
            self.bar.update()
        elif verdict == "duplicate":
            self.outcome.duplicates += 1
        elif verdict != "known":
            self._throw_away(os.path.basename(post["_path"]), verdict)

    def _log(self, name: str, level: str, text: str) -> None:
        if level != "error":
            self.last = text
            self.bar.note(text[:60])
        elif name != "download":  # which is about one picture
            self.error = text.partition(". Please run gallery-dl")[0]

    def _throw_away(self, name: str, reason: str) -> None:
        self.outcome.broken.append((name, reason))
        logger.warning("%s was not kept: %s", name, reason)


def _follow(command: tuple[str, ...], hear: Callable[[bytes], bool]) -> tuple[int, str]:
    """Runs gallery-dl and hands on its messages until it ends or nobody listens.

    When this process ends in whatever way, so does gallery-dl. Returns the exit code, and the last
    line of the standard error.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],  # where `dcgan` is found
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8:replace"},
        start_new_session=True,  # Ctrl-C is for this process alone
    )
    last = bytearray()
    reader = threading.Thread(target=_keep_last, args=(process.stderr, last), daemon=True)
    reader.start()
    lines = iter(process.stdout.readline, b"")  # which goes on after an interruption
    try:
        for line in lines:
            if not hear(line):
                break
    finally:
        process.stdin.close()  # which ends it
        for line in lines:  # what it had finished before is not lost
            hear(line)
        process.stdout.close()
        process.wait()
        reader.join()
        process.stderr.close()
    words = last.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return process.returncode, words


def _keep_last(pipe: BinaryIO, last: bytearray) -> None:
    """Reads a pipe to its end, so that nobody waits to write to it, and keeps the last bytes."""
    while piece := pipe.read1():
        last += piece
        del last[:-LAST_WORDS]


def _config(
    search: SiteSearch,
    folder: CrawledFolder,
    *,
    original: bool,
    contact: str | None,
    delay: float,
) -> dict:
    """gallery-dl's configuration file."""
    wanted = [f"str(extension).lower() not in {NO_PICTURES}"]
    if search.initials:
        wanted.append(f"str(rating)[:1].lower() in {[*search.initials]}")
    booru = {
        "directory": [],
        "filename": "{category}_{id}.{extension}",
        "archive-format": "_{md5|id}",
        "fallback": False,  # a sample that fails is not replaced by an original
    }
    unit = max(delay, 0.01)
    return {
        "extractor": {
            **({"modules": [search.family]} if search.family else {}),  # others need not load
            "base-directory": folder.incoming.name,
            "archive": folder.archive.name,
            "path-restrict": "windows",
            "image-filter": wanted,
            # `headers`, since `user-agent` gives way to what some extractors say of themselves.
            "headers": {"User-Agent": f"dcgan-crawl/1.0 ({contact or 'no contact given'})"},
            "sleep-request": 0,  # gallery_process paces all requests
            "retries": 4,
            "retry-codes": [421, 429],  # 421 is moebooru's "throttled"; 5xx are always tried again
            "sleep-retries": f"exp:2:0:120={2 * unit}",
            "sleep-429": f"exp:2:0:600={15 * unit}",
            "metadata-url": "_url",
            "moebooru": {**booru, **({} if original else {"url": ["sample_url", "file_url"]})},
            "Danbooru": booru,
        },
        "downloader": {
            "mtime": False,
            "part": False,  # else pieces of failed downloads stay
            # A site may name such addresses, of which none leads to a picture.
            "text": {"enabled": False},
            "ytdl": {"enabled": False},
        },
        "cache": {"file": ":memory:"},  # the user's own may hold logins
        "output": {"mode": "null", "colors": {}},
    }


def _broken_off(search: SiteSearch, folder: CrawledFolder, reason: str) -> str:
    return (
        f"The list of {search.address} broke off ({reason}); {folder.count} pictures are in "
        f"{folder.root}: check site and tags, and run the same command again later."
    )


def _nothing_found(search: SiteSearch, outcome: CrawlResult) -> str:
    if outcome.broken:
        name, reason = outcome.broken[0]
        return (
            f"None of the pictures of {search.address} could be kept (of {name}: {reason}): look "
            "at the site in a browser, and run the same command again later."
        )
    hint = " (a page without ratings needs --rating any)" if search.initials else ""
    return (
        f"{search.address} lists no pictures of that rating{hint}: expected at least one; look for "
        "the tags' spelling on the site itself."
    )
