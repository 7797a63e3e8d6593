"""The options of the commands that read or import a run, and of benchmark."""

import functools
from dataclasses import dataclass

from dcgan.cli.option import option

# Names in dcgan/evaluation/, which this file must not import; a test compares both.
METRICS = ("fid", "kid", "precision", "recall", "density", "coverage", "swd", "is")
FACES = "faces"  # measured only when named
EXTRACTORS = ("inception", "classifier", "self_supervised", "pixels")
RANGES = ("-1,1", "0,1", "0,255", "imagenet", "clip")
LAYOUTS = ("nhwc", "nchw")
CLASS_HELP = (
    "Class to generate, for runs trained with --conditional: cat, or hair=blue where there are "
    "several columns of labels (--hair blue for short); "
)
run_option = functools.partial(option, group="which run")


@dataclass(frozen=True)
class RunOptions:
    """Which run a command reads."""

    run_dir: str | None = run_option(
        None, "Folder of the run (default: the newest under runs/).", path=True
    )
    dataset: str | None = run_option(None, "The newest run on this data set instead.", path=True)


@dataclass(frozen=True)
class CheckpointOptions(RunOptions):
    """Which checkpoint of a run a command reads."""

    checkpoint: str = run_option("newest", "newest, best, a step, or a checkpoint file.", path=True)


@dataclass(frozen=True)
class RealImageOptions(CheckpointOptions):
    """Which checkpoint, and where the run's training images are."""

    data_dir: str | None = run_option(
        None, "Folder that holds the data sets (default: the run's own).", path=True
    )


@dataclass(frozen=True)
class Export(CheckpointOptions):
    format: str = option(
        "saved_model",
        "What to write, separated by commas, as in saved_model,onnx. Only keras needs this "
        "project to be loaded again.",
        choices=("saved_model", "keras", "litert", "onnx", "web"),
        several=True,
    )
    weights: str = option(
        "float32",
        "float16 halves litert, onnx and web; images may then differ by one of 256 levels.",
        choices=("float32", "float16"),
    )
    to: str | None = option(None, "Folder to write into (default: export/ in the run).", path=True)
    onnxruntime: str | None = option(
        None,
        "For web, where onnxruntime-web comes from: a version for npm to fetch, a folder or .tgz "
        "of the package, cdn to let the page fetch it, or none to draw without it, in a page that "
        "is smaller by megabytes and slower (default: the tested version).",
        path=True,
    )


@dataclass(frozen=True)
class ExportTorch(CheckpointOptions):
    to: str | None = option(
        None, "Folder for the files (default: export/torch/<step>/ in the run).", path=True
    )


@dataclass(frozen=True)
class ImportTorch:
    from_: str | None = option(
        None,
        "File with its generator's state_dict, or a dictionary of several. No code in it is run.",
        required=True,
        example="netG.pth",
        path=True,
    )
    discriminator: str | None = option(
        None,
        "File with its discriminator's state_dict (default: the one in --from, else an untrained "
        "one).",
        path=True,
    )
    to: str | None = option(
        None, "New folder for the run.", required=True, example="runs/imported", path=True
    )
    dataset: str = option(
        "celeba",
        "Data set that it has learnt from, as in train: evaluate compares with it, and training "
        "continues on it.",
        path=True,
    )


@dataclass(frozen=True)
class Serve(RunOptions):
    model_dir: str | None = option(
        None,
        "Folder of the exported versions (default: export/saved_model/ in the run, exported first "
        "where there is none).",
        path=True,
    )
    name: str = option("dcgan", "Name of the model in addresses such as /v1/models/dcgan.")
    host: str = option("127.0.0.1", "Address to listen on; 0.0.0.0 lets other machines in.")
    port: int = option(
        8501, "Port to listen on; 0 picks a free one and says which.", within=(0, 65535)
    )
    open: bool = option(False, "Open the explorer in the browser.")
    follow: bool = option(
        False,
        "While the run trains in another process, export each checkpoint that it writes and show "
        "it; of these exports the newest --keep_versions and one more stay.",
    )
    batch_limit: int = option(
        64, "Largest number of images in one request or batch.", within=(1, 1024)
    )
    max_delay: float = option(
        20.0,
        "Longest time in milliseconds that a request waits for others to share its batch, and "
        "never more than a quarter of the time a batch takes; it does not wait when the model is "
        "idle.",
        within=(0.0, 1000.0),
    )
    body_limit: int = option(8, "Largest request body, in megabytes.", within=(1, 1024))
    keep_versions: int = option(2, "Number of newest versions to keep in memory.", within=(1, 100))
    allowed_hosts: str = option(
        "",
        "More host names to accept, such as faces.example.org; separate several with commas, * "
        "accepts all. Always accepted: localhost, 127.0.0.1, [::1] and --host; where other "
        "machines are let in, also every IP address and the name of this machine.",
    )
    root_path: str = option(
        "",
        "Path under which a reverse proxy serves this server, such as /faces, if the proxy "
        "forwards it; not needed if the proxy strips it.",
    )
    forwarded_allow_ips: str = option(
        "127.0.0.1,::1",
        "IP addresses or networks of proxies whose X-Forwarded-Prefix, -Host, -Proto and -For "
        "headers are trusted; separate several with commas, * trusts all.",
    )
    cors: str = option(
        "", "Origins of other sites whose pages may use the server, separated by commas."
    )


@dataclass(frozen=True)
class Sample(CheckpointOptions):
    num_images: int | None = option(None, "Number of images (default: 64).", within=(1, 1_000_000))
    first_seed: int | None = option(
        None, "Seed of the first image (default: 0).", minimum=0, formerly=("seed",)
    )
    seeds: str | None = option(None, "Seeds of the images instead, such as 1,5,9-20.")
    label: str | None = option(
        None, f"{CLASS_HELP}separate several with commas (default: each seed's own).", list=True
    )
    to: str | None = option(
        None, "Folder for the images (default: generated/<step>/ in the run).", path=True
    )


@dataclass(frozen=True)
class Interpolate(CheckpointOptions):
    seeds: str = option("0-4", "Seeds to pass through, such as 7,9,12.")
    label: str | None = option(
        None,
        f"{CLASS_HELP}one for all seeds, or one for each, such as 3,8 (default: each seed's own).",
        list=True,
    )
    frames: int = option(30, "Images from one seed to the next.", within=(1, 1000))
    method: str | None = option(
        None,
        "slerp follows the sphere, linear goes straight (default: slerp where z is normal, else "
        "linear).",
        choices=("slerp", "linear"),
    )
    loop: bool = option(False, "Return to the first seed at the end.")
    fps: int = option(20, "Images per second.", within=(1, 50))
    scale: int | None = option(
        None, "Enlarge this many times (default: to about 96 pixels).", within=(1, 16)
    )
    to: str | None = option(
        None,
        "A .gif, .mp4 or .png (strip) file (default: generated/interpolation.gif in the run).",
        path=True,
    )


@dataclass(frozen=True)
class Arithmetic(CheckpointOptions):
    terms: str | None = option(
        None,
        "Groups of seeds with their signs; or --plus 3,8,12 --minus 4,9,11 --plus 5,6,7.",
        required=True,
        example="'+3,8,12 -4,9,11 +5,6,7'",
        pieces={"plus": "+", "minus": "-"},
    )
    noise: float = option(0.25, "Scale of the uniform noise around the result.", within=(0.0, 10.0))
    to: str | None = option(
        None, "A .png file (default: generated/arithmetic.png in the run).", path=True
    )


@dataclass(frozen=True)
class Neighbours(RealImageOptions):
    seeds: str = option("0-7", "Seeds of the generated images, such as 1,5,9-20.")
    k: int = option(5, "Number of nearest training images of each.", within=(1, 20))
    to: str | None = option(
        None,
        "A .png file; the distances go to a .json file of the same name (default: "
        "generated/neighbours.png in the run).",
        path=True,
    )


@dataclass(frozen=True)
class Evaluate(RealImageOptions):
    images: str | None = option(
        None,
        "Pictures to measure in place of the run's samples, whatever made them: a folder, zip or "
        "TFRecord shards, named as for --dataset and resized to the run's size. They are compared "
        "with the run's data, and the numbers go to evaluation/images in the run.",
        path=True,
    )
    metrics: str | None = option(
        None,
        "What to measure, separated by commas, as in fid,kid (default: all that the extractor can "
        "measure). faces, the share of images in which a cascade finds a face, must be named.",
        choices=(*METRICS, FACES),
        several=True,
    )
    cascade: str | None = option(
        None,
        "For faces, the cascade that finds them, as in crop: animeface for drawings (downloaded "
        "once), frontalface_default for photographs, or the path of a cascade (default: the one "
        "that finds more faces in the real images).",
        path=True,
    )
    extractor: str | None = option(
        None,
        "What extracts the features: inception (as in published FIDs), classifier (a small network "
        "trained on the data set's labels), self_supervised (one trained on its images, without "
        "labels), pixels, or FILE[:OUTPUT]: any network in an .onnx or .keras file, or in a "
        "SavedModel's folder such as ./dino (a SavedModel can run any code: use only those of "
        "people you trust). Default: classifier where there are labels, else self_supervised; "
        "pixels where there are too few images to learn from.",
        choices=EXTRACTORS,
        files=True,
        path=True,
    )
    extractor_size: int | None = option(
        None,
        "Image size in pixels for an extractor's file (default: what the file says, else the "
        "images' own).",
        within=(8, 1024),
    )
    extractor_range: str | None = option(
        None,
        "Pixel range that an extractor's file expects, or whose mean and standard deviation to "
        "normalize by. Required if the file does not say.",
        choices=RANGES,
    )
    extractor_layout: str | None = option(
        None,
        "Whether channels come last or first, if an extractor's file does not say.",
        choices=LAYOUTS,
    )
    num_images: int = option(
        10_000,
        "Number of generated images, and at most as many real ones. The classifier judges only "
        "images that it has not learnt from: a fifth of what the run learns from.",
        within=(2, 1_000_000),
    )
    splits: str | None = option(
        None,
        "Splits of the data set to compare with, such as train or test (default: the folder test "
        "or val beside the training data, else the training data).",
        formerly=("split",),
    )
    seed: int = option(0, "Seed of the choice of generated and real images.", within=(0, 2**30))
    again: bool = option(False, "Measure again what was measured before.")


@dataclass(frozen=True)
class Features(RealImageOptions):
    labels_per_class: int = option(
        100, "Labelled images of each class to learn from.", within=(2, 100_000)
    )
    labels: str | None = option(
        None, "Column of labels to classify by, such as hair (default: the first)."
    )
    repeats: int = option(5, "Repetitions, each with other labelled images.", within=(2, 100))
    num_images: int = option(10_000, "Largest number of images to classify.", within=(1, 1_000_000))
    splits: str | None = option(
        None,
        "Splits of the data set to classify, such as test (default: the rest of what the run "
        "learns from).",
        formerly=("split",),
    )
    seed: int = option(0, "Seed of the choice of images.", within=(0, 2**30))
    again: bool = option(False, "Measure again what was measured before.")


@dataclass(frozen=True)
class Report(RealImageOptions):
    seeds: str = option(
        "0-63",
        "Seeds of the generated images; walks go along the first six, and all are compared with "
        "the training images, where these are found.",
    )
    to: str | None = option(None, "An .html file (default: report.html in the run).", path=True)


@dataclass(frozen=True)
class Compare:
    runs: str | None = option(
        None,
        "Folders of the runs, as in runs/a runs/b or runs/a,runs/b. Runs that differ only in "
        "--seed are shown as one, with their mean and spread.",
        required=True,
        example="runs/a runs/b",
        list=True,
        path=True,
    )
    seeds: str = option(
        "0-63", "Seeds of the generated images, the same for each run, such as 1,5,9-20."
    )
    to: str | None = option(None, "An .html file (default: runs/comparison.html).", path=True)


@dataclass(frozen=True)
class Benchmark:
    # Training options that are None have the value that train would choose.
    only: str | None = option(
        None,
        "What to measure, separated by commas, as in step,memory (default: everything, or with "
        "--compare the comparison alone).",
        choices=("step", "input", "sampling", "startup", "memory"),
        several=True,
    )
    compare: str | None = option(
        None,
        "Command of another program to run in turn with our bare training step. Its figure is the "
        'last "images_per_second": N or N images/s that it prints; if it prints none, the seconds '
        "of whole processes are compared.",
    )
    pairs: int = option(10, "Turns of each, ours and the baseline.", within=(1, 1000))
    steps_per_turn: int = option(
        30, "Training steps in a turn.", within=(1, 10_000), formerly=("steps",)
    )
    dataset: str | None = option(
        None,
        "Data set to train on, at its own size (default: avatars at 64x64 with --preset silva).",
        path=True,
    )
    data_dir: str = option("data", "Folder that holds the data sets.", path=True)
    cache_dir: str | None = option(
        None, "Folder for decoded images (default: ~/.cache/dcgan).", path=True
    )
    output_size: int | None = option(None, "Image size in pixels.")
    preset: str | None = option(None, "Preset, as in train.")
    batch_size: int | None = option(None, "Images per step.", aliases=("bs",))
    update: str | None = option(None, "alternating or simultaneous, as in train.")
    precision: str = option("auto", "auto, float32, bfloat16 or float16, as in train.")
    to: str | None = option(
        None, "JSON file for the figures (default: runs/benchmark.json).", path=True
    )
