"""The options of the commands that make and look at data sets."""

from dataclasses import dataclass

from dcgan.cli.option import option


@dataclass(frozen=True)
class PictureOptions:
    """Which pictures of a data set a command reads."""

    data_dir: str = option("data", "Folder that holds the data sets.", "which pictures", path=True)
    splits: str = option(
        "train",
        "Splits to read, such as train,test,val, if the data set has splits.",
        "which pictures",
    )
    input_fname_pattern: str = option(
        "*",
        "Files to use of a folder or zip, for example '*.jpg' or '*.png,*.webp'.",
        "which pictures",
    )


@dataclass(frozen=True)
class Crawl:
    to: str | None = option(
        None, "Folder for the pictures.", required=True, example="data/raw", path=True
    )
    site: str = option(
        "konachan",
        "konachan, yandere, danbooru or safebooru; another site of the same kind, such as "
        "moebooru:https://example.org; or the address of any page that gallery-dl can read.",
    )
    tags: str = option("", "Tags that each picture must have, such as '1girl solo'.")
    limit: int = option(1000, "Target number of pictures, including earlier crawls.", minimum=1)
    rating: str = option(
        "safe",
        "Rating that the site gives the pictures.",
        choices=("safe", "questionable", "explicit", "any"),
    )
    original: bool = option(
        False, "Download the originals instead of the smaller pictures that sites show."
    )
    contact: str | None = option(
        None,
        "Mail or web address at which the site can reach you, sent with each request; the "
        "environment variable DCGAN_CONTACT does the same. danbooru requires one.",
    )
    delay: float = option(1.0, "Seconds between requests.", within=(0.0, 3600.0))
    yes: bool = option(False, "Agree to the site's rules without being asked, for scripts.")


@dataclass(frozen=True)
class Crop:
    from_: str | None = option(
        None, "Folder of pictures.", required=True, example="data/raw", path=True
    )
    to: str | None = option(
        None, "Folder for the faces.", required=True, example="data/anime", path=True
    )
    size: int = option(96, "Size of the faces, in pixels.", within=(8, 1024))
    cascade: str = option(
        "animeface",
        "animeface, the name of one of OpenCV's own cascades for photographs, or a file.",
        path=True,
    )
    scale_factor: float = option(
        1.1,
        "Ratio of one search size to the next; closer to 1 finds more and takes longer.",
        above=1.0,
        maximum=2.0,
    )
    min_neighbours: int = option(
        5,
        "Overlapping detections that make a face: higher misses more faces and errs less.",
        within=(0, 100),
        formerly=("min_neighbors",),
    )
    min_size: int = option(48, "Smallest face to look for, in pixels of the picture.", minimum=8)
    margin: float = option(
        0.2, "Margin on each side of the detected box, as a share of its size.", within=(0.0, 2.0)
    )
    tilt: float = option(
        0.0,
        "Also search pictures rotated by this many degrees to both sides, and count the "
        "detections of all three together. 20 with --min_neighbours 12 finds more, in four times "
        "the time.",
        within=(0.0, 45.0),
    )
    min_sharpness: float = option(
        40.0,
        "Leave out faces whose Laplacian has a variance below this: they are blurred, or enlarged "
        "from very few pixels. 0 keeps all.",
        minimum=0.0,
    )
    similarity: int = option(
        4,
        "Leave out a face whose perceptual hash differs from another's in at most this many bits.",
        within=(0, 64),
    )
    input_fname_pattern: str = option(
        "*", "Files of the folder to use, for example '*.jpg' or '*.png,*.webp'."
    )


@dataclass(frozen=True)
class Pack(PictureOptions):
    dataset: str | None = option(
        None,
        "Folder or zip of pictures, or any other data set.",
        required=True,
        example="data/anime",
        path=True,
        aliases=("from",),
    )
    to: str | None = option(
        None,
        "A .zip file, or a folder or tf.io.gfile address for TFRecord shards.",
        required=True,
        example="anime.zip",
        path=True,
    )
    size: int | None = option(
        None, "Size in pixels to resize the pictures to (default: as they are).", within=(8, 1024)
    )
    crop: bool = option(
        True, "Cut out the centre square before resizing; false squeezes the whole picture."
    )
    test_share: float = option(
        0.0,
        "Share of the pictures to set aside as the test split.",
        within=(0.0, 0.9),
        formerly=("split",),
    )
    similarity: int = option(
        0,
        "Leave out a picture whose perceptual hash differs from another's in at most this many "
        "bits; 0 leaves out exact duplicates only.",
        within=(0, 64),
    )
    shard_size: int = option(128, "Size of a TFRecord shard, in megabytes.", within=(1, 65536))


@dataclass(frozen=True)
class Inspect(PictureOptions):
    dataset: str = option(
        "avatars",
        "Name of a data set, a folder or zip under --data_dir, or the path of one.",
        path=True,
    )
    to: str | None = option(
        None, "PNG file for the contact sheet (default: runs/inspect-<name>.png).", path=True
    )
