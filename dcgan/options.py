"""The options of every command but train.

They are a frozen dataclass of `option` fields: flags, `--help` and flags.md are made from it. To
add a command: a dataclass here, a row in `COMMANDS`, and dcgan/commands/<name>.py. Train's
dataclass is `config.Config`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from dcgan import UserError
from dcgan.option import check_value, fields, flag_name, option


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


@dataclass(frozen=True)
class OfRun:
    """Which run a command reads."""

    run_dir: str | None = option(
        None, "Folder of the run; the one under runs/ that was written to last when not given."
    )
    dataset: str | None = option(None, "Take the last run on this data set.")


@dataclass(frozen=True)
class OfCheckpoint(OfRun):
    """Which of its checkpoints."""

    checkpoint: str = option("newest", "newest, best, a step, or a checkpoint file.")


@dataclass(frozen=True)
class Export(OfCheckpoint):
    """The choices of an export."""

    does: ClassVar[str] = "turn a trained run into files that need nothing of this project"

    format: str = option(
        "saved_model",
        "What to write; commas join several, as in saved_model,onnx. Only keras needs this "
        "project's classes to be loaded again.",
        choices=("saved_model", "keras", "litert", "onnx", "web"),
        several=True,
    )
    weights: str = option(
        "float32",
        "float16 halves litert, onnx and web: images may then differ by one of 256 levels.",
        choices=("float32", "float16"),
    )
    to: str | None = option(None, "Folder to write into; export/ in the run when not given.")
    onnxruntime: str | None = option(
        None,
        "For web, where onnxruntime-web comes from: a version for npm to fetch, a folder or .tgz "
        "of the package, or cdn to let the page fetch it; the tested version when not given.",
    )


@dataclass(frozen=True)
class Serve(OfRun):
    """The choices of a server."""

    does: ClassVar[str] = "answer HTTP requests with an exported model, and show its faces"

    model_dir: str | None = option(
        None, "Folder of the exported versions; export/saved_model/ in the run when not given."
    )
    name: str = option("dcgan", "Name of the model in addresses such as /v1/models/dcgan.")
    host: str = option("127.0.0.1", "Address to listen on; 0.0.0.0 lets other machines in.")
    port: int = option(
        8501, "Port to listen on; 0 takes a free one and says which.", minimum=0, maximum=65535
    )
    batch_limit: int = option(
        64, "Most images of one request, and of one batch of several.", minimum=1, maximum=1024
    )
    max_delay: float = option(
        20.0,
        "Milliseconds that a request may wait at most for others to share its batch, and never "
        "longer than a quarter of a batch takes; one that finds the model idle does not wait.",
        minimum=0.0,
        maximum=1000.0,
    )
    body_limit: int = option(8, "Largest body of a request, in megabytes.", minimum=1, maximum=1024)
    keep_versions: int = option(
        2, "How many of the newest versions to hold in memory.", minimum=1, maximum=100
    )
    cors: str = option(
        "", "Origins of other sites whose pages may use the server; commas join several."
    )


@dataclass(frozen=True)
class Sample(OfCheckpoint):
    """The choices of a sampling."""

    does: ClassVar[str] = "make images with a trained run, one PNG file each"

    num_images: int | None = option(
        None, "How many images; 64 when not given.", minimum=1, maximum=1_000_000
    )
    seed: int | None = option(None, "Of the first image; 0 when not given.", minimum=0)
    seeds: str | None = option(None, "Which seeds instead, such as 1,5,9-20.")
    to: str | None = option(
        None, "Folder for the images; generated/<step>/ in the run when not given."
    )


@dataclass(frozen=True)
class Interpolate(OfCheckpoint):
    """The choices of a walk."""

    does: ClassVar[str] = "walk from seed to seed in latent space, as a GIF, MP4 or strip"

    seeds: str = option("0-4", "The seeds on the way, such as 7,9,12.")
    frames: int = option(30, "Images from one seed to the next.", minimum=1, maximum=1000)
    method: str | None = option(
        None,
        "slerp goes along the sphere, linear goes straight; when not given, slerp where z is "
        "normal.",
        choices=("slerp", "linear"),
    )
    loop: bool = option(False, "Go back to the first seed at the end.")
    fps: int = option(20, "Images a second.", minimum=1, maximum=50)
    scale: int | None = option(
        None, "Enlarge each pixel so many times; to about 96 when not given.", minimum=1, maximum=16
    )
    to: str | None = option(
        None,
        "A .gif, .mp4 or .png (strip) file; generated/interpolation.gif in the run when not given.",
    )


@dataclass(frozen=True)
class Arithmetic(OfCheckpoint):
    """The choices of a sum."""

    does: ClassVar[str] = "add and subtract averages of seeds, drawn as in the DCGAN paper"

    terms: str | None = option(
        None,
        "Signs and seeds; or --plus 3,8,12 --minus 4,9,11 --plus 5,6,7, in any order.",
        required=True,
        example="'+3,8,12 -4,9,11 +5,6,7'",
        pieces={"plus": "+", "minus": "-"},
    )
    noise: float = option(
        0.25, "Scale of the uniform noise around the result.", minimum=0.0, maximum=10.0
    )
    to: str | None = option(
        None, "A .png file; generated/arithmetic.png in the run when not given."
    )


@dataclass(frozen=True)
class Neighbours(OfCheckpoint):
    """The choices of a search for nearest training images."""

    does: ClassVar[str] = "show the training images nearest to generated ones: is it memorising?"

    seeds: str = option("0-7", "Seeds of the generated images, such as 1,5,9-20.")
    k: int = option(5, "Nearest training images of each.", minimum=1, maximum=20)
    data_dir: str | None = option(
        None, "Folder that holds the data sets; the run's own when not given."
    )
    to: str | None = option(
        None,
        "A .png file, with a .json of its name beside it; generated/neighbours.png in the run "
        "when not given.",
    )


# What each command takes; `flags.COMMANDS` adds train.
COMMANDS: dict[str, type] = {
    "crawl": Crawl,
    "crop": Crop,
    "pack": Pack,
    "inspect": Inspect,
    "sample": Sample,
    "interpolate": Interpolate,
    "arithmetic": Arithmetic,
    "neighbours": Neighbours,
    "export": Export,
    "serve": Serve,
}


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
