"""Makes the address that gallery-dl reads from a site's name or address, tags and a rating.

Tags and a rating can be added to the addresses of two families of sites, moebooru and danbooru.
Any other address is passed on as it is, so its tags must be in it already.
"""

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from dcgan import UserError


@dataclass(frozen=True)
class SiteFamily:
    """Sites that run the same software."""

    prefix: str  # put before the address of a site that gallery-dl does not know itself
    search: str  # path of a search
    terms_path: str  # path of the rules
    ratings: dict[str, str]  # the word in the site's rating tag for each --rating
    wants_contact: bool  # whether its rules ask robots to say how to reach their owner


# The keys are also the names of gallery-dl's modules for these sites.
FAMILIES = {
    "moebooru": SiteFamily(
        prefix="moebooru:",
        search="/post?tags=",
        terms_path="/static/terms_of_service",
        ratings={"safe": "safe", "questionable": "questionable", "explicit": "explicit"},
        wants_contact=False,
    ),
    "danbooru": SiteFamily(
        prefix="Danbooru:",
        search="/posts?tags=",
        terms_path="/terms_of_service",
        # danbooru's own "s" means sensitive, which moebooru's "safe" may include.
        ratings={"safe": "general", "questionable": "questionable", "explicit": "explicit"},
        wants_contact=True,
    ),
}
KNOWN_SITES = {
    "konachan": ("moebooru", "https://konachan.com"),
    "yandere": ("moebooru", "https://yande.re"),
    "yande.re": ("moebooru", "https://yande.re"),
    "danbooru": ("danbooru", "https://danbooru.donmai.us"),
    "safebooru": ("danbooru", "https://safebooru.donmai.us"),
}
ROOTS = {root: family for family, root in KNOWN_SITES.values()}
# First letters of the words for each --rating, on sites of no known family.
OTHER_RATING_INITIALS = {"safe": "gs", "questionable": "q", "explicit": "e"}


@dataclass(frozen=True)
class SiteSearch:
    host: str  # the site's name in messages
    address: str  # the address that gallery-dl reads
    terms_url: str  # address of the site's rules
    # first letters of the ratings that a picture may have; None for any or none
    initials: str | None
    family: str | None = None  # a key of `FAMILIES`, or None
    wants_contact: bool = False  # see `SiteFamily`

    @property
    def rules(self) -> str:
        """The site's rules in one line.

        It is stored in the crawl folder and compared as text: if it changes, every user is asked to
        agree again.
        """
        return (
            f"{self.host}: the pictures belong to their artists, and the rules for people and "
            f"robots are at {self.terms_url}"
        )


def make_search(site: str, tags: str = "", rating: str = "safe") -> SiteSearch:
    """Makes a search. Raises UserError for an unknown site, or tags that cannot be used.

    Args:
        site: a name in `KNOWN_SITES`; the address of a site, with "moebooru:" or "danbooru:" before
            it if gallery-dl does not know it; or the address of any page that gallery-dl can read.
        tags: tags that every picture must have, separated by spaces.
        rating: "safe", "questionable", "explicit" or "any".
    """
    if any(tag.lstrip("-~").startswith("rating:") for tag in tags.lower().split()):
        raise UserError(
            f'The tags "{tags}" contain a rating: leave it out of them and use --rating '
            "safe, questionable, explicit or any."
        )
    name, address = _resolve_site(site)
    parts = urlsplit(address)
    root = f"{parts.scheme}://{parts.netloc}"
    family = FAMILIES.get(name)
    prefix = family.prefix if family and root not in ROOTS else ""
    word = (family.ratings if family else OTHER_RATING_INITIALS).get(rating)
    if family and not parts.path.strip("/") and not parts.query:
        query = " ".join([*tags.split(), *([f"rating:{word}"] if word else [])])
        address = f"{root}{family.search}{quote(query, safe='', errors='surrogateescape')}"
    elif tags:
        raise UserError(
            f'--tags "{tags}" cannot be added to {address}: write them into the address, as the '
            "site itself does when you search there, and leave out --tags."
        )
    return SiteSearch(
        host=parts.netloc,
        address=prefix + address,
        terms_url=root + (family.terms_path if family else ""),
        initials=word if word is None or not family else word[0],
        family=name,
        wants_contact=bool(family and family.wants_contact),
    )


def _resolve_site(site: str) -> tuple[str | None, str]:
    """Returns (family or None, address) of a --site."""
    if site.lower() in KNOWN_SITES:
        return KNOWN_SITES[site.lower()]
    family, _, address = site.partition(":")
    family = family.lower()
    if family not in FAMILIES:
        family, address = None, site
    try:
        parts = urlsplit(address)
        is_web = address.isprintable() and parts.scheme in ("http", "https") and parts.hostname
    except ValueError:  # brackets without an IPv6 address in them
        is_web = False
    if not is_web:
        names = ", ".join(sorted(KNOWN_SITES))
        raise UserError(
            f'--site "{site}" is not known: expected one of {names}, or an address such as '
            "https://konachan.com; gallery-dl --list-extractors prints all that it can read."
        )
    return family or ROOTS.get(f"{parts.scheme}://{parts.netloc}"), address
