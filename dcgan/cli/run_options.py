"""The options of the commands that read a run, and of benchmark."""

from dataclasses import dataclass
from typing import ClassVar

from dcgan.cli.option import option

# What evaluates, as in dcgan/evaluation/, which a test compares: this file imports nothing of it.
METRICS = ("fid", "kid", "precision", "recall", "density", "coverage", "swd", "is")
FACES = "faces"  # measured only when named
EXTRACTORS = ("inception", "classifier", "self_supervised", "pixels")
RANGES = ("-1,1", "0,1", "0,255", "imagenet", "clip")
LAYOUTS = ("nhwc", "nchw")


@dataclass(frozen=True)
class OfRun:
    """Which run a command reads."""

    run_dir: str | None = option(
        None,
        "Folder of the run; the one under runs/ that was written to last when not given.",
        path=True,
    )
    dataset: str | None = option(None, "Take the last run on this data set.", path=True)


@dataclass(frozen=True)
class OfCheckpoint(OfRun):
    """Which of its checkpoints."""

    checkpoint: str = option("newest", "newest, best, a step, or a checkpoint file.", path=True)


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
    to: str | None = option(
        None, "Folder to write into; export/ in the run when not given.", path=True
    )
    onnxruntime: str | None = option(
        None,
        "For web, where onnxruntime-web comes from: a version for npm to fetch, a folder or .tgz "
        "of the package, or cdn to let the page fetch it; the tested version when not given.",
        path=True,
    )


@dataclass(frozen=True)
class Serve(OfRun):
    """The choices of a server."""

    does: ClassVar[str] = "answer HTTP requests with an exported model, and show its faces"

    model_dir: str | None = option(
        None,
        "Folder of the exported versions; export/saved_model/ in the run when not given.",
        path=True,
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
    allowed_hosts: str = option(
        "",
        "Further names under which browsers may ask, such as faces.example.org; commas join "
        "several, * allows all. Allowed anyway are localhost, 127.0.0.1, [::1] and --host; where "
        "other machines are let in, also every IP address and the name of this machine.",
    )
    root_path: str = option(
        "",
        "Path under which a reverse proxy shows the server, such as /faces, where the proxy keeps "
        "it in what it passes on; a proxy that strips it need not be named.",
    )
    forwarded_allow_ips: str = option(
        "127.0.0.1,::1",
        "IP addresses or networks of proxies whose X-Forwarded-Prefix, -Host, -Proto and -For "
        "count; commas join several, * trusts all.",
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
        None, "Folder for the images; generated/<step>/ in the run when not given.", path=True
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
        path=True,
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
        None, "A .png file; generated/arithmetic.png in the run when not given.", path=True
    )


@dataclass(frozen=True)
class Neighbours(OfCheckpoint):
    """The choices of a search for nearest training images."""

    does: ClassVar[str] = "show the training images nearest to generated ones: is it memorising?"

    seeds: str = option("0-7", "Seeds of the generated images, such as 1,5,9-20.")
    k: int = option(5, "Nearest training images of each.", minimum=1, maximum=20)
    data_dir: str | None = option(
        None, "Folder that holds the data sets; the run's own when not given.", path=True
    )
    to: str | None = option(
        None,
        "A .png file, with a .json of its name beside it; generated/neighbours.png in the run "
        "when not given.",
        path=True,
    )


@dataclass(frozen=True)
class Evaluate(OfCheckpoint):
    """The choices of an evaluation."""

    does: ClassVar[str] = "compare generated images with real ones, in numbers"

    images: str | None = option(
        None,
        "Measure these pictures in place of the run's samples, whatever made them, beside the data "
        "that the run learns from: a folder, zip or TFRecord shards, found as --dataset is; those "
        "of another size are resized. The numbers go to evaluation/images in the run.",
        path=True,
    )
    metrics: str | None = option(
        None,
        "What to measure; commas join several, as in fid,kid. All that the extractor can give when "
        "not given; faces, the share of images in which a cascade finds a face, only when named.",
        choices=(*METRICS, FACES),
        several=True,
    )
    cascade: str | None = option(
        None,
        "For faces, what finds them, as crop takes it: animeface for drawings (fetched once), "
        "frontalface_default for photographs, or the path of a cascade; that which finds more "
        "faces in the real images when not given.",
        path=True,
    )
    extractor: str | None = option(
        None,
        "What looks at the images: inception (as in published FIDs), classifier (a small network "
        "trained on the data set's labels), self_supervised (one trained on its images, without "
        "labels), pixels, or FILE[:OUTPUT]: any network in an .onnx or .keras file, or in a "
        "SavedModel's folder such as ./dino (a SavedModel may do what a program may: take it "
        "only from people you trust). When not given, classifier where there are labels, else "
        "self_supervised; pixels where there are too few images to learn from.",
        choices=EXTRACTORS,
        files=True,
        path=True,
    )
    extractor_size: int | None = option(
        None,
        "Side in pixels of the images that an extractor's file looks at; when not given, what the "
        "file says, else the images' own.",
        minimum=8,
        maximum=1024,
    )
    extractor_range: str | None = option(
        None,
        "What levels from 0 to 255 become for an extractor's file: a range, or less the mean and "
        "divided by the deviation of ImageNet's or CLIP's images. Needed where the file does not "
        "say it.",
        choices=RANGES,
    )
    extractor_layout: str | None = option(
        None,
        "nhwc or nchw, where an extractor's file does not say if channels come last or first.",
        choices=LAYOUTS,
    )
    num_images: int = option(
        10_000,
        "Generated images, and as many real ones or all there are. The classifier judges only "
        "those that it has not learnt from: a fifth of what the run learns from.",
        minimum=2,
        maximum=1_000_000,
    )
    split: str | None = option(
        None,
        "Part of the data set to compare with, such as train or test; when not given, the folder "
        "test or val where it lies beside what the run learns from, else that itself.",
    )
    seed: int = option(
        0,
        "Chooses the generated and the real images: another seed measures with others.",
        minimum=0,
        maximum=2**30,
    )
    data_dir: str | None = option(
        None, "Folder that holds the data sets; the run's own when not given.", path=True
    )
    again: bool = option(False, "Measure again what was measured before.")


@dataclass(frozen=True)
class Features(OfCheckpoint):
    """The choices of a test of the discriminator's features."""

    does: ClassVar[str] = "see how well a few labels and the discriminator's features classify"

    labels_per_class: int = option(
        100, "Labelled images of each class to learn from.", minimum=2, maximum=100_000
    )
    labels: str | None = option(
        None, "Which labels, where images have several, such as hair; the first when not given."
    )
    repeats: int = option(
        5, "How often, each time with other labelled images.", minimum=2, maximum=100
    )
    num_images: int = option(
        10_000, "Images to classify then, or all there are.", minimum=1, maximum=1_000_000
    )
    split: str | None = option(
        None,
        "Part of the data set to classify, such as test; of what the run learns from the rest when "
        "not given.",
    )
    seed: int = option(0, "Chooses the images.", minimum=0, maximum=2**30)
    data_dir: str | None = option(
        None, "Folder that holds the data sets; the run's own when not given.", path=True
    )
    again: bool = option(False, "Measure again what was measured before.")


@dataclass(frozen=True)
class Report(OfCheckpoint):
    """The choices of a report."""

    does: ClassVar[str] = "show what a run has learnt in one HTML file"

    seeds: str = option(
        "0-63",
        "Seeds of the generated images; walks go along the first six, and all are compared with "
        "the training images.",
    )
    data_dir: str | None = option(
        None,
        "Folder that holds the data sets; the run's own when not given. Where the data are not, "
        "the report goes without nearest neighbours.",
        path=True,
    )
    to: str | None = option(
        None, "An .html file; report.html in the run when not given.", path=True
    )


@dataclass(frozen=True)
class Compare:
    """The choices of a comparison."""

    does: ClassVar[str] = "show several runs side by side in one HTML file: which is better?"

    runs: str | None = option(
        None,
        "Folders of the runs, as in runs/a runs/b; commas may join them. Runs that differ only in "
        "--seed are shown as one, with their mean and spread.",
        required=True,
        example="runs/a runs/b",
        list=True,
        path=True,
    )
    seeds: str = option(
        "0-63", "Seeds of the generated images, the same ones of each run, such as 1,5,9-20."
    )
    to: str | None = option(None, "An .html file; runs/comparison.html when not given.", path=True)


@dataclass(frozen=True)
class Benchmark:
    """The choices of a benchmark. None of a training option: as train takes it."""

    does: ClassVar[str] = "measure speed and memory, each in turn with a bare baseline"

    only: str | None = option(
        None,
        "What to measure; commas join several, as in step,memory. When not given everything, or "
        "with --compare the comparison alone.",
        choices=("step", "input", "sampling", "startup", "memory"),
        several=True,
    )
    compare: str | None = option(
        None,
        "Command of another program, which runs in turn with our bare training step. Its figure is "
        'the last "images_per_second": N or N images/s that it prints; where there is none, the '
        "seconds of whole processes are compared.",
    )
    pairs: int = option(10, "Turns of ours and of the baseline.", minimum=1, maximum=1000)
    steps: int = option(30, "Training steps of a turn.", minimum=1, maximum=10_000)
    dataset: str | None = option(
        None,
        "Data set to train on, with its own size; the avatars at 64x64 with the preset silva when "
        "not given.",
        path=True,
    )
    data_dir: str = option("data", "Folder that holds the data sets.", path=True)
    cache_dir: str | None = option(
        None, "Folder for decoded images; ~/.cache/dcgan when not given.", path=True
    )
    output_size: int | None = option(None, "Side of the images to train on.")
    preset: str | None = option(None, "Bundle of the options of a known DCGAN.")
    batch_size: int | None = option(None, "Images a step.")
    update: str | None = option(None, "alternating or simultaneous, as train takes it.")
    precision: str = option("auto", "auto, float32, bfloat16 or float16, as train takes it.")
    to: str | None = option(
        None, "JSON file for the figures; runs/benchmark.json when not given.", path=True
    )
