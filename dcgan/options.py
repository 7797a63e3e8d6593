"""What a flag says of itself, the check of its value, and the options of every command but train.

A command's options are a frozen dataclass of `option` fields: flags, `--help` and flags.md are made
from it. To add a command: a dataclass here, a row in `COMMANDS`, and dcgan/commands/<name>.py.
Train's dataclass is `config.Config`. The module refuses values out of range; it never looks at
files.
"""

import dataclasses
import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from dcgan import UserError


def option(default, help: str, group: str | None = None, **metadata) -> Any:
    """A field of an options dataclass with what its flag needs.

    Args:
        default: the value when the flag is not given.
        help: a sentence for `--help` and flags.md.
        group: the heading it stands under; the command's name when None.

    Metadata:
        choices: the allowed values; minimum, maximum: the allowed range; above: the excluded lower
            end.
        aliases: older names of the flag.
        harmless: True when a run may go on with another value.
        required: True when the command refuses to start without it; example: a value to show then.
    """
    return dataclasses.field(default=default, metadata={"help": help, "group": group, **metadata})


@dataclass(frozen=True)
class Crawl:
    """The choices of a crawl."""

    does: ClassVar[str] = "download illustrations by tag, politely, with gallery-dl"

    to: str | None = option(None, "Folder for the pictures.", required=True, example="data/raw")
    site: str = option(
        "konachan",
        "konachan, yandere, danbooru or safebooru; another site of their kinds, such as "
        "moebooru:https://example.org; or the address of any page that gallery-dl can read.",
    )
    tags: str = option("", "Tags that every picture must have, such as '1girl solo'.")
    limit: int = option(
        1000, "Pictures that the folder shall hold, those of earlier crawls included.", minimum=1
    )
    rating: str = option(
        "safe",
        "The site's own rating of the pictures.",
        choices=("safe", "questionable", "explicit", "any"),
    )
    original: bool = option(
        False, "Fetch the originals; else the smaller pictures that sites show."
    )
    contact: str | None = option(
        None,
        "Mail or web address at which the site can reach you, sent along with every request; "
        "DCGAN_CONTACT in the environment does the same. danbooru wants one.",
    )
    delay: float = option(1.0, "Seconds between two requests.", minimum=0.0, maximum=3600.0)
    yes: bool = option(False, "Agree to the site's rules beforehand, for scripts.")


@dataclass(frozen=True)
class Crop:
    """The choices of a face crop."""

    does: ClassVar[str] = "cut the faces out of a folder of illustrations"

    from_: str | None = option(None, "Folder of pictures.", required=True, example="data/raw")
    to: str | None = option(None, "Folder for the faces.", required=True, example="data/anime")
    size: int = option(96, "Side of the faces, in pixels.", minimum=8, maximum=1024)
    cascade: str = option(
        "animeface",
        "animeface, the name of one of OpenCV's own cascades for photographs, or a file.",
    )
    scale_factor: float = option(
        1.1,
        "Step from one size of the search to the next; nearer to 1 finds more and takes longer.",
        above=1.0,
        maximum=2.0,
    )
    min_neighbors: int = option(
        5,
        "Overlapping finds that make a face; more of them miss more and err less.",
        minimum=0,
        maximum=100,
    )
    min_size: int = option(
        48, "Side of the smallest face to look for, in pixels of the picture.", minimum=8
    )
    margin: float = option(
        0.2,
        "Added on each side of the found box, as a share of its side.",
        minimum=0.0,
        maximum=2.0,
    )
    tilt: float = option(
        0.0,
        "Degrees; search turned so far to both sides as well, and count the finds of all three "
        "together. 20 with --min_neighbors 12 finds more, in three times the time.",
        minimum=0.0,
        maximum=45.0,
    )
    min_sharpness: float = option(
        40.0,
        "Leave out faces whose Laplacian has less variance than this: they are blurred, or blown "
        "up from very few pixels. 0 keeps all.",
        minimum=0.0,
    )
    similarity: int = option(
        4,
        "Leave out a face whose perceptual hash differs from another's in at most so many bits.",
        minimum=0,
        maximum=64,
    )
    input_fname_pattern: str = option("*", "Which files of the folder to use, for example '*.jpg'.")


@dataclass(frozen=True)
class Pack:
    """The choices of a packing."""

    does: ClassVar[str] = "put a folder of pictures into one zip, or into TFRecord shards"

    from_: str | None = option(
        None,
        "Folder or zip of pictures, or any other data set.",
        required=True,
        example="data/anime",
    )
    to: str | None = option(
        None,
        "A .zip file, or a folder or tf.io.gfile address for TFRecord shards.",
        required=True,
        example="anime.zip",
    )
    size: int | None = option(
        None,
        "Side to resize the pictures to; as they are when not given.",
        minimum=8,
        maximum=1024,
    )
    crop: bool = option(
        True, "Cut out the centre before resizing; false squeezes the whole picture."
    )
    split: float = option(
        0.0, "Share of the pictures to keep apart as test.", minimum=0.0, maximum=0.9
    )
    similarity: int = option(
        0,
        "Drop a picture whose perceptual hash differs from another's in at most so many bits; "
        "0 drops exact duplicates only.",
        minimum=0,
        maximum=64,
    )
    shard_size: int = option(
        128, "Size of a TFRecord shard, in megabytes.", minimum=1, maximum=65536
    )
    data_dir: str = option("data", "Folder that holds the data sets.")
    input_fname_pattern: str = option(
        "*", "Which files of the folder or zip to use, for example '*.jpg'."
    )


@dataclass(frozen=True)
class Inspect:
    """The choices of an inspection."""

    does: ClassVar[str] = "say what a data set holds, and what may be wrong with it"

    dataset: str = option(
        "avatars",
        "Name of a data set, a folder or zip under --data_dir, or the path of one.",
    )
    data_dir: str = option("data", "Folder that holds the data sets.")
    splits: str = option(
        "train",
        "Parts of a data set that comes in parts, or that pack has split, such as train,test.",
    )
    input_fname_pattern: str = option(
        "*", "Which files of a folder or zip to use, for example '*.jpg'."
    )
    to: str | None = option(
        None, "PNG file for the contact sheet; inspect-<name>.png when not given."
    )


# What each command takes; `flags.COMMANDS` adds train.
COMMANDS: dict[str, type] = {"crawl": Crawl, "crop": Crop, "pack": Pack, "inspect": Inspect}


def fields(options: type) -> dict[str, dataclasses.Field]:
    """The fields of an options dataclass by name."""
    return {field.name: field for field in dataclasses.fields(options)}


def flag_name(name: str) -> str:
    """The flag of a field: `from_`, which Python does not allow to be named so, is --from."""
    return name.removesuffix("_")


def complete(command: str, given: dict[str, Any]) -> Any:
    """The checked options of one of `COMMANDS`.

    Args:
        command: its name.
        given: values by field name; the others take their defaults.

    Raises:
        UserError: a value is out of range, or a required one is missing.
    """
    known = fields(COMMANDS[command])
    for name, value in given.items():
        check_value(known[name], value)
    required = [name for name, field in known.items() if field.metadata.get("required")]
    if missing := [f"--{flag_name(name)}" for name in required if not given.get(name)]:
        raise UserError(
            f"The command {command} needs {' and '.join(missing)}, as in: {usage(command)}."
        )
    return COMMANDS[command](**given)


def usage(command: str) -> str:
    """The shortest line that the command takes."""
    words = ["python main.py", command]
    for name, field in fields(COMMANDS[command]).items() if command in COMMANDS else ():
        if field.metadata.get("required"):
            words += [f"--{flag_name(name)}", field.metadata["example"]]
    return " ".join(words)


def check_value(field: dataclasses.Field, value: Any) -> None:
    """Refuses a value that the field's metadata does not allow; None is always allowed.

    Raises:
        UserError: names the flag, what was expected and what was received.
    """
    if value is None:
        return
    meta, flag = field.metadata, f"--{flag_name(field.name)}"
    if "choices" in meta and value not in meta["choices"]:
        expected = ", ".join(map(str, meta["choices"]))
        hint = did_you_mean(str(value), map(str, meta["choices"]))
        raise UserError(f"{flag} must be one of {expected}; received {value!r}{hint}.")
    low, above = meta.get("minimum", -math.inf), meta.get("above", -math.inf)
    high = meta.get("maximum", math.inf)
    if not isinstance(value, (bool, str)) and not (low <= value <= high and value > above):
        least = f"above {above}" if above > low else f"at least {low}"
        bounds = [least] * (max(low, above) > -math.inf) + [f"at most {high}"] * (high < math.inf)
        raise UserError(f"{flag} must be {' and '.join(bounds)}; received {value}.")


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """The known word that is meant, in brackets behind a blank; nothing when none is close."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean {prefix}{close[0]}?)" if close else ""
