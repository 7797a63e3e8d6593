"""Every choice of a training run: the dataclass that flags, flags.md and config.json come from.

Nothing below `trainer.py` knows this class: parts take plain values. Values that are out of range
or contradict one another are refused before anything expensive starts.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from dcgan import UserError
from dcgan.cli.option import ENDLESS, check_value, fields, option, parse_seconds
from dcgan.cli.presets import CHOSEN, DATASETS, ON_DATASET, OTHER_DATASET, PRESETS
from dcgan.cli.run_options import EXTRACTORS, METRICS

MIN_SIDE, MAX_SIDE = 8, 256


@dataclass(frozen=True)
class Config:
    """The choices of a run. None means: taken from elsewhere, see `resolve`."""

    does: ClassVar[str] = "train, or go on with the run folder (the default)"

    # ---- data
    dataset: str = option(
        "avatars",
        "avatars, mnist, fashion_mnist, svhn, cifar10, celeba, anime; a folder, zip, tar, .npy, "
        ".npz or .parquet under --data_dir, or the path of one; or an address of TFRecord shards "
        "such as gs://bucket/anime.",
        "data",
        path=True,
    )
    data_dir: str = option(
        "data", "Folder that holds the data sets.", "data", harmless=True, path=True
    )
    cache_dir: str | None = option(
        None,
        "Folder for decoded images; ~/.cache/dcgan when not given.",
        "data",
        harmless=True,
        path=True,
    )
    input_fname_pattern: str = option(
        "*", "Which files of a folder or zip to use, for example '*.jpg' or '*.png,*.webp'.", "data"
    )
    splits: str = option(
        "train",
        "Parts of the data set to learn from, such as train,test,val: of folders with such names "
        "and of what pack has split, of mnist, fashion_mnist, svhn and cifar10.",
        "data",
    )
    train_size: int | None = option(
        None, "Use only so many images, the first ones; all when not given.", "data", minimum=1
    )
    channels: int | None = option(
        None,
        "1 for grey, 3 for colour; the data's own when not given.",
        "data",
        choices=(1, 3),
        aliases=("c_dim",),
    )
    flip: bool = option(True, "Mirror every second image at random.", "data")

    # ---- sizes
    output_size: int | None = option(
        None,
        "Side of the images to train on: sets --output_height and --output_width.",
        "sizes",
        minimum=MIN_SIDE,
        maximum=MAX_SIDE,
    )
    output_height: int | None = option(
        None, "Height of the images to train on.", "sizes", minimum=MIN_SIDE, maximum=MAX_SIDE
    )
    output_width: int | None = option(
        None, "Width of the images to train on.", "sizes", minimum=MIN_SIDE, maximum=MAX_SIDE
    )
    image_size: int | None = option(
        None, "Side of the centre crop: sets --input_height and --input_width.", "sizes", minimum=1
    )
    input_height: int | None = option(
        None, "Height of the centre crop, in pixels of the pictures.", "sizes", minimum=1
    )
    input_width: int | None = option(
        None, "Width of the centre crop, in pixels of the pictures.", "sizes", minimum=1
    )
    crop: bool = option(
        True,
        "Cut out the centre (--image_size, else the largest box) before resizing; "
        "false squeezes the whole picture.",
        "sizes",
        aliases=("is_crop",),
    )

    # ---- networks
    preset: str = option(
        "silva", "Bundle of the options of a known DCGAN.", "networks", choices=tuple(PRESETS)
    )
    layout: str = option(
        "radford",
        "How the networks are put together: radford = as in the paper; tf_tutorial = as in "
        "TensorFlow's tutorial, with larger first maps, LeakyReLU in the generator too and dropout "
        "in place of the discriminator's batch normalization; torch_tutorial = as in PyTorch's, "
        "radford without a bias outside normalization, whose running variance is unbiased.",
        "networks",
        choices=("radford", "tf_tutorial", "torch_tutorial"),
    )
    z_dim: int = option(100, "Length of the latent vector z.", "networks", minimum=1, maximum=4096)
    z_dist: str = option(
        "normal01",
        "Distribution of z: normal01 = N(0, 1), uniform_signed = U(-1, 1), "
        "uniform_unsigned = U(0, 1).",
        "networks",
        choices=("normal01", "uniform_signed", "uniform_unsigned"),
    )
    g_width: int = option(
        512,
        "Channels of the generator's first tensor; each further layer has half as many.",
        "networks",
        minimum=8,
        maximum=4096,
    )
    d_width: int = option(
        64,
        "Channels of the discriminator's first layer; each further layer has twice as many, up to "
        "eight times the first's.",
        "networks",
        minimum=1,
        maximum=1024,
        aliases=("df_dim",),
    )
    kernel_size: int = option(
        5, "Side of the convolution kernels.", "networks", minimum=3, maximum=9
    )
    gamma_stddev: float = option(
        0.0,
        "Standard deviation of batch normalization's initial gamma around 1.",
        "networks",
        minimum=0.0,
        maximum=1.0,
    )

    # ---- training
    epoch: int = option(
        25,
        "Passes over the data, earlier starts included; no limit with --time_budget alone.",
        "training",
        minimum=1,
        harmless=True,
    )
    steps: int | None = option(
        None, "Steps in total; takes the place of --epoch.", "training", minimum=1, harmless=True
    )
    time_budget: str | None = option(
        None,
        "Train for so long, at most to --epoch or --steps where given: 90s, 10m, 2h, 1h30m. Each "
        "start has its own.",
        "training",
        harmless=True,
    )
    batch_size: int = option(
        64, "Images a step, over all devices.", "training", minimum=2, maximum=65536
    )
    learning_rate: float = option(
        0.0002, "Adam's learning rate.", "training", above=0.0, maximum=1.0
    )
    beta1: float = option(0.5, "Adam's beta 1.", "training", minimum=0.0, maximum=0.9999)
    adam_epsilon: float = option(1e-7, "Adam's epsilon.", "training", above=0.0, maximum=1.0)
    adam_epsilon_on: str = option(
        "raw",
        "What it is added to: raw = the root of the second moment, as in TensorFlow; corrected = "
        "the root of its bias-corrected value, as in PyTorch.",
        "training",
        choices=("raw", "corrected"),
    )
    real_label: float = option(
        0.9,
        "The discriminator's target for real images (one-sided label smoothing).",
        "training",
        above=0.5,
        maximum=1.0,
    )
    d_steps: int = option(
        1,
        "Discriminator updates a step, each on images of its own.",
        "training",
        minimum=1,
        maximum=100,
    )
    g_steps: int = option(
        1,
        "Generator updates a step: the first on the discriminator's fakes, further ones by "
        "--g_noise.",
        "training",
        minimum=1,
        maximum=100,
    )
    g_noise: str = option(
        "new",
        "Noise of the generator's further updates: new = drawn for each; same = that of the "
        "discriminator's fakes once more.",
        "training",
        choices=("new", "same"),
    )
    update: str = option(
        "alternating",
        "alternating: the generator learns from the updated discriminator; "
        "simultaneous: both from one forward pass (a tenth cheaper, less stable).",
        "training",
        choices=("alternating", "simultaneous"),
    )
    ema_decay: float = option(
        0.99,
        "Samples come from a running average of the generator's weights with this decay a step; "
        "0 takes the weights themselves.",
        "training",
        minimum=0.0,
        maximum=0.99999,
    )
    augment: str = option(
        "none",
        "What is changed at random in all that the discriminator sees, real and generated alike "
        "(Zhao et al. 2020): translation = moved by up to an eighth of the side; color = "
        "brightness, saturation and contrast. Commas join both; none changes nothing.",
        "training",
        choices=("none", "color", "translation"),
        several=True,
    )
    seed: int = option(
        0, "Seed of weights, order, flips and noise.", "training", minimum=0, maximum=2**31 - 1
    )
    strategy: str = option(
        "auto",
        "tf.distribute: none, mirrored (all GPUs of this machine), multi_worker (all machines that "
        "TF_CONFIG or Slurm names, see docs/scaling.md); auto = multi_worker when TF_CONFIG names "
        "several, else mirrored when there are several GPUs.",
        "training",
        choices=("auto", "none", "mirrored", "multi_worker"),
        harmless=True,
    )
    worker_wait: float = option(
        300.0,
        "Seconds that the workers of multi_worker wait for one another at the start.",
        "training",
        above=0.0,
        harmless=True,
    )
    sync_batch_norm: bool = option(
        True,
        "Normalize over the batch of all devices; false: each device over its own share, faster.",
        "training",
    )
    precision: str = option(
        "auto",
        "Arithmetic of the networks: float32, bfloat16 or float16 with a loss scale (weights, "
        "losses and output layers stay float32); auto = bfloat16 where the hardware multiplies it "
        "natively, else float32.",
        "training",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    steps_per_call: int | None = option(
        None,
        "Steps that the device does without waiting for Python; when not given, 8 on GPUs, else 1.",
        "training",
        minimum=1,
        maximum=1000,
        harmless=True,
    )
    train: bool = option(
        True, "carpedm20's switch, true to train.", "training", aliases=("is_train",), harmless=True
    )

    # ---- run folder
    run_dir: str | None = option(
        None,
        "Folder of the run; runs/<dataset>-<height>x<width>x<channels> when not given.",
        "run folder",
        harmless=True,
        path=True,
    )
    log_freq: int = option(
        20, "Steps between two lines of metrics.jsonl.", "run folder", minimum=1, harmless=True
    )
    sample_freq: int = option(
        200, "Steps between two sample grids.", "run folder", minimum=1, harmless=True
    )
    num_samples: int = option(64, "Images in a sample grid.", "run folder", minimum=1, maximum=1024)
    ckpt_freq: int = option(
        500, "Steps between two checkpoints.", "run folder", minimum=1, harmless=True
    )
    max_to_keep: int = option(
        3, "Checkpoints to keep, the newest ones.", "run folder", minimum=1, harmless=True
    )
    evaluate_freq: int = option(
        0,
        "Steps between two evaluations of the samples, which keep the best checkpoint; 0 = never.",
        "run folder",
        minimum=0,
        harmless=True,
    )
    evaluate_metric: str = option(
        "kid", "What to evaluate by.", "run folder", choices=METRICS, harmless=True
    )
    evaluate_extractor: str | None = option(
        None,
        "What looks at the images; when not given, classifier where the data set has labels, else "
        "self_supervised, or pixels where there are too few images to learn from.",
        "run folder",
        choices=EXTRACTORS,
        harmless=True,
    )
    dry_run: bool = option(
        False,
        "Print the resolved options, the data and both networks, and leave.",
        "run folder",
        harmless=True,
    )

    undecided: tuple[str, ...] = ()  # no option: those that the preset will choose, see `best`


FIELDS = fields(Config)


def resolve(given: dict[str, Any]) -> Config:
    """A complete, checked `Config` from the options that a user gave.

    Args:
        given: values by field name; the others are the preset's, the data set's or the default.

    Raises:
        UserError: a value is out of range or contradicts another.
    """
    dataset = given.get("dataset", FIELDS["dataset"].default)
    if dataset.lower() in DATASETS:
        given = {**given, "dataset": dataset.lower()}
    for name, value in given.items():
        check_value(FIELDS[name], value)
    bundle = DATASETS.get(dataset.lower(), OTHER_DATASET)
    preset = given.get("preset", bundle.get("preset", FIELDS["preset"].default))
    on_this = ON_DATASET.get((preset, dataset.lower()), {})
    open_ = () if on_this else [name for name in CHOSEN.get(preset, ()) if name not in given]
    # A size that the user gives in one form replaces the data set's in the other.
    values = {**bundle, **PRESETS[preset], **on_this, **given}
    if "time_budget" in given and not given.keys() & {"epoch", "steps"}:
        values["epoch"] = ENDLESS  # the time alone ends it
    if {"output_height", "output_width"} & given.keys() and "output_size" not in given:
        values.pop("output_size", None)
    _spread(values, "output_size", "output_height", "output_width")
    _spread(values, "image_size", "input_height", "input_width")
    for name, value in values.items():
        check_value(FIELDS[name], value)
    config = Config(**values, undecided=tuple(open_))
    _check_together(config, given)
    return config


def _spread(values: dict, both: str, height: str, width: str) -> None:
    """Fills height and width from the shorthand for both, or one from the other."""
    side = values.get(both)
    for name in (height, width):
        if side is not None and values.get(name, side) not in (side, None):
            raise UserError(
                f"--{both} {side} and --{name} {values[name]} contradict each other; "
                f"give --{both} for a square or --{height} and --{width}."
            )
    values[height], values[width] = (
        values.get(height) or side or values.get(width),
        values.get(width) or side or values.get(height),
    )
    values[both] = values[height] if values[height] == values[width] else None


def _check_together(config: Config, given: dict[str, Any]) -> None:
    """What one value alone does not show."""
    if config.time_budget is not None:
        parse_seconds(config.time_budget)
    if not config.crop and config.input_height is not None:
        raise UserError(
            f"--crop false squeezes the whole picture, so the crop box {config.input_height}x"
            f"{config.input_width} would not be used; leave out --image_size / --input_height / "
            "--input_width, or give --crop true."
        )
    if "none" in config.augment and config.augment != "none":
        raise UserError(
            f"--augment none goes with nothing else; received {config.augment!r}; leave out none, "
            "or give it alone."
        )
    if config.update == "simultaneous" and (config.d_steps, config.g_steps) != (1, 1):
        raise UserError(
            f"--update simultaneous takes one step of each network; received --d_steps "
            f"{config.d_steps} --g_steps {config.g_steps}; give --update alternating."
        )
    if "steps" in given and "epoch" in given:
        raise UserError(
            f"--steps {config.steps} and --epoch {config.epoch} both set how long to train; "
            "give one of them."
        )
