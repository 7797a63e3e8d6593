"""The options of the commands that make and look at data sets."""

from dataclasses import dataclass
from typing import ClassVar

from dcgan.cli.option import option


@dataclass(frozen=True)
class Crawl:
    """The choices of a crawl."""

    does: ClassVar[str] = "download illustrations by tag, politely, with gallery-dl"

    to: str | None = option(
        None, "Folder for the pictures.", required=True, example="data/raw", path=True
    )
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

    from_: str | None = option(
        None, "Folder of pictures.", required=True, example="data/raw", path=True
    )
    to: str | None = option(
        None, "Folder for the faces.", required=True, example="data/anime", path=True
    )
    size: int = option(96, "Side of the faces, in pixels.", minimum=8, maximum=1024)
    cascade: str = option(
        "animeface",
        "animeface, the name of one of OpenCV's own cascades for photographs, or a file.",
        path=True,
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
    input_fname_pattern: str = option(
        "*", "Which files of the folder to use, for example '*.jpg' or '*.png,*.webp'."
    )


@dataclass(frozen=True)
class Pack:
    """The choices of a packing."""

    does: ClassVar[str] = "put a folder of pictures into one zip, or into TFRecord shards"

    from_: str | None = option(
        None,
        "Folder or zip of pictures, or any other data set.",
        required=True,
        example="data/anime",
        path=True,
    )
    to: str | None = option(
        None,
        "A .zip file, or a folder or tf.io.gfile address for TFRecord shards.",
        required=True,
        example="anime.zip",
        path=True,
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
    data_dir: str = option("data", "Folder that holds the data sets.", path=True)
    splits: str = option(
        "train", "Parts of a data set that lies or comes in parts, such as train,test,val."
    )
    input_fname_pattern: str = option(
        "*", "Which files of the folder or zip to use, for example '*.jpg' or '*.png,*.webp'."
    )


@dataclass(frozen=True)
class Inspect:
    """The choices of an inspection."""

    does: ClassVar[str] = "say what a data set holds, and what may be wrong with it"

    dataset: str = option(
        "avatars",
        "Name of a data set, a folder or zip under --data_dir, or the path of one.",
        path=True,
    )
    data_dir: str = option("data", "Folder that holds the data sets.", path=True)
    splits: str = option(
        "train",
        "Parts of a data set that lies or comes in parts, such as train,test,val.",
    )
    input_fname_pattern: str = option(
        "*", "Which files of a folder or zip to use, for example '*.jpg' or '*.png,*.webp'."
    )
    to: str | None = option(
        None, "PNG file for the contact sheet; runs/inspect-<name>.png when not given.", path=True
    )
