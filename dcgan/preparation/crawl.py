"""Crawls a site for pictures with gallery-dl, which pages, downloads, retries and backs off.

gallery-dl runs in its own process, `gallery_process`, configured by `.crawl/gallery-dl.json` alone,
not by the user's settings, and reports downloads in messages. Here each file is checked, then
recorded and kept (`crawl_folder`), or deleted, to be fetched again by the next start.
"""

import errno
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
STARTS = 3  # how often gallery-dl is started if the list of posts breaks off
# Files with these suffixes are not requested, since `datasets` could not read them.
NO_PICTURES = (
    *("mp4", "m4v", "mov", "webm", "mkv", "ogv", "flv", "avi", "wmv", "swf", "mp3"),
    *("zip", "rar", "7z", "pdf", "psd", "svg", "html"),
)
UNKNOWN_ADDRESS = "gallery-dl does not know this address"
FINAL = (UNKNOWN_ADDRESS, "HttpError: '4")  # beginnings of errors that another try would repeat
# In gallery-dl's message of its own failure to write a picture.
DISK_FULL = f"OSError: [Errno {errno.ENOSPC}]"
UNSUPPORTED = 64  # bit of gallery-dl's exit code for an unknown address
SOME_FAILED = 4  # gallery-dl's exit code if only single pictures failed
LAST_WORDS = 2000  # bytes of its standard error that are kept


class NothingFound(UserError):
    """Raised if the site's list of posts broke off or has no such pictures."""


@dataclass
class CrawlResult:
    new: int = 0  # pictures added to the folder
    duplicates: int = 0  # pictures deleted because the folder has the same one
    # (name, reason) of files that are damaged or no pictures, or could not be downloaded
    broken: list[tuple[str, str]] = field(default_factory=list)


def check_requirements(search: SiteSearch, contact: str | None) -> None:
    """Raises UserError if gallery-dl or a required contact is missing or the contact not ASCII."""
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

    Pictures of earlier crawls count. Raises NothingFound if the list of posts breaks off, or the
    site has no such pictures; UserError if the disk is full.

    Args:
        folder: an open folder.
        original: whether to fetch the original files; else smaller samples, which only sites of a
            known family have.
        contact: a mail or web address, sent in the user agent.
        delay: the least number of seconds between two requests.
    """
    result = CrawlResult()
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
            run = _Listener(folder, limit, result, bar)
            reason = run.broken_off(*_follow(command, run.handle_message))
            if not reason:
                break
            if DISK_FULL in reason:
                raise UserError(
                    f"The disk of {folder.root} is full, with {folder.count} of {limit} pictures: "
                    "free space, then run the same command: it continues from what is saved."
                )
            if start == STARTS or reason.startswith(FINAL):
                raise NothingFound(
                    f"The list of {search.address} broke off ({reason}); {folder.count} pictures "
                    f"are in {folder.root}: check site and tags, and run the same command again "
                    "later."
                )
            logger.warning("The list of posts broke off (%s): trying again.", reason)
            time.sleep(2.0**start * delay)
    if folder.count:
        return result
    if result.broken:
        name, reason = result.broken[0]
        raise NothingFound(
            f"None of the pictures of {search.address} could be kept (of {name}: {reason}): look "
            "at the site in a browser, and run the same command again later."
        )
    hint = " (a page without ratings needs --rating any)" if search.initials else ""
    raise NothingFound(
        f"{search.address} lists no pictures of that rating{hint}: expected at least one; look for "
        "the tags' spelling on the site itself."
    )


class _Listener:
    def __init__(self, folder: CrawledFolder, limit: int, result: CrawlResult, bar: Bar):
        self.folder, self.limit, self.result, self.bar = folder, limit, result, bar
        self.error = ""  # the error that ended the list of posts
        self.last = ""  # the last message of gallery-dl that is not an error

    def handle_message(self, line: bytes) -> bool:
        """Returns whether to go on listening."""
        if self.folder.count >= self.limit:
            return False
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return True  # cut by the end of the process: the next start fetches the picture again
        if message["kind"] == "picture":
            self._picture(message["post"])
        elif message["kind"] == "failed":
            self._discard(message["name"], self.last)
        else:
            self._log(message["name"], message["level"], message["text"])
        return self.folder.count < self.limit

    def broken_off(self, exit_code: int, last_words: str) -> str:
        """Returns why the list of posts broke off; empty if it was read as far as needed."""
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
            self.result.new += 1
            self.bar.note("")  # the site answers again
            self.bar.update()
        elif verdict == "duplicate":
            self.result.duplicates += 1
        elif verdict != "known":
            self._discard(os.path.basename(post["_path"]), verdict)

    def _log(self, name: str, level: str, text: str) -> None:
        if level != "error":
            self.last = text
            self.bar.note(text[:60])
        elif name != "download":  # errors of "download" concern a single picture
            self.error = text.partition(". Please run gallery-dl")[0]

    def _discard(self, name: str, reason: str) -> None:
        self.result.broken.append((name, reason))
        logger.warning("%s was not kept: %s", name, reason)


def _follow(command: tuple[str, ...], handle: Callable[[bytes], bool]) -> tuple[int, str]:
    """Runs gallery-dl and passes its messages to `handle` until it ends or `handle` returns False.

    gallery-dl ends whenever this process ends, however that happens. Returns its exit code and the
    last line of its standard error.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],  # the folder from which `dcgan` can be imported
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8:replace"},
        start_new_session=True,  # Ctrl-C reaches only this process
    )
    last = bytearray()
    reader = threading.Thread(target=_keep_last, args=(process.stderr, last), daemon=True)
    reader.start()
    lines = iter(process.stdout.readline, b"")  # can be continued after an interruption
    try:
        for line in lines:
            if not handle(line):
                break
    finally:
        process.stdin.close()  # ends gallery-dl
        for line in lines:  # pictures that it had finished are not lost
            handle(line)
        process.stdout.close()
        process.wait()
        reader.join()
        process.stderr.close()
    words = last.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return process.returncode, words


def _keep_last(pipe: BinaryIO, last: bytearray) -> None:
    """Reads a pipe to its end, so that its writer never blocks, and keeps the last bytes."""
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
    wanted = [f"str(extension).lower() not in {NO_PICTURES}"]
    if search.initials:
        wanted.append(f"str(rating)[:1].lower() in {[*search.initials]}")
    booru = {
        "directory": [],
        "filename": "{category}_{id}.{extension}",
        # The end of `key` in posts.jsonl: in another format, all pictures would be fetched again.
        "archive-format": "_{md5|id}",
        "fallback": False,  # never replaces a sample that failed by an original
    }
    unit = max(delay, 0.01)
    return {
        "extractor": {
            **({"modules": [search.family]} if search.family else {}),  # saves loading the others
            "base-directory": folder.incoming.name,
            "archive": folder.archive.name,
            "path-restrict": "windows",
            "image-filter": wanted,
            # `headers`, since some extractors override the option `user-agent`.
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
            # A site may give addresses for these downloaders, but they never lead to pictures.
            "text": {"enabled": False},
            "ytdl": {"enabled": False},
        },
        "cache": {"file": ":memory:"},  # the user's own cache may hold logins
        "output": {"mode": "null", "colors": {}},
    }
