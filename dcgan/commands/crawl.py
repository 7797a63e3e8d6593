"""`crawl`: fetches pictures from a site, after the user has agreed to the site's rules."""

import logging
import os
import sys
from pathlib import Path

from dcgan import UserError
from dcgan.cli.data_options import Crawl
from dcgan.preparation import sites
from dcgan.preparation.crawl import (
    CONTACT_VARIABLE,
    CrawlResult,
    NothingFound,
    check_requirements,
    crawl,
)
from dcgan.preparation.crawl_folder import CrawledFolder

logger = logging.getLogger("dcgan")


def run(options: Crawl) -> None:
    search = sites.make_search(options.site, options.tags, options.rating)
    contact = options.contact or os.environ.get(CONTACT_VARIABLE)
    check_requirements(search, contact)
    folder = CrawledFolder(Path(options.to))
    _agree(search, folder, yes=options.yes)
    try:
        with folder.open():
            folder.remember_agreement(search.rules)
            result = crawl(
                search,
                folder,
                limit=options.limit,
                original=options.original,
                contact=contact,
                delay=options.delay,
            )
    except NothingFound:
        folder.discard_if_unused()
        raise
    except (KeyboardInterrupt, SystemExit):
        there = folder.count, folder.root
        logger.info("%d pictures are in %s; the same command continues.", *there)
        raise
    _report(folder, result)


def _agree(search: sites.SiteSearch, folder: CrawledFolder, *, yes: bool) -> None:
    """Prints the rules; asks once for each folder and site.

    Raises:
        UserError: the user did not agree, or there is nobody to ask.
    """
    logger.info("%s.", search.rules)
    if yes or folder.has_agreed(search.rules):
        return
    if not sys.stdin.isatty():
        raise UserError(
            f"crawl asks whether you agree to the rules of {search.host}, and there is no terminal "
            "to ask on: read them and add --yes."
        )
    print("Do you agree, and crawl? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError(f"Nothing was downloaded: you did not agree to the rules of {search.host}.")


def _report(folder: CrawledFolder, result: CrawlResult) -> None:
    logger.info(
        "%s holds %d pictures, %d of them new; tags, ratings, sources and hashes are in %s.",
        folder.root,
        folder.count,
        result.new,
        folder.records,
    )
    if result.duplicates:
        logger.info("Duplicates discarded: %d.", result.duplicates)
    if result.broken:
        logger.warning(
            "Not kept, for the reasons above: %d; the same command tries again.",
            len(result.broken),
        )
