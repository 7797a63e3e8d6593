"""Every choice of a training run: the dataclass that flags, flags.md and config.json come from.

Nothing below `trainer.py` knows this class: parts take plain values.
"""

from dataclasses import dataclass

from dcgan.cli.option import fields, option
from dcgan.cli.presets import PRESETS
from dcgan.cli.run_options import EXTRACTORS, METRICS

MIN_SIDE, MAX_SIDE = 8, 256


@dataclass(frozen=True)
class Config:
    """Train, or continue a run (the default command)."""

    # None means: taken from elsewhere, see `cli.resolve`.

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
        "Folder for decoded images (default: ~/.cache/dcgan).",
        "data",
        harmless=True,
        path=True,
    )
    input_fname_pattern: str = option(
        "*", "Files to use of a folder or zip, for example '*.jpg' or '*.png,*.webp'.", "data"
    )
    splits: str = option(
        "train",
        "Parts to learn from, such as train,test,val, of a data set that has parts: mnist, "
        "fashion_mnist, svhn, cifar10, folders with such names, and what pack has split.",
        "data",
    )
    train_size: int | None = option(
        None, "Use only the first images, this many (default: all).", "data", minimum=1
    )
    channels: int | None = option(
        None,
        "1 for grey, 3 for colour (default: as the data set is).",
        "data",
        choices=(1, 3),
        aliases=("c_dim",),
    )
    conditional: bool = option(
        False,
        "Learn to generate by class: digits of MNIST, subfolders, attributes of avatars, or "
        "columns of a .csv beside the pictures, one of which has the names of their files.",
        "data",
    )
    label_columns: str | None = option(
        None,
        "With --conditional, which kinds of labels to learn, such as hair,eyes; all when not "
        "given.",
        "data",
    )
    flip: bool = option(True, "Mirror half of the images, chosen at random.", "data")

    # ---- sizes
    output_size: int | None = option(
        None,
        "Image size in pixels: sets --output_height and --output_width.",
        "sizes",
        minimum=MIN_SIDE,
        maximum=MAX_SIDE,
    )
    output_height: int | None = option(
        None, "Image height in pixels.", "sizes", minimum=MIN_SIDE, maximum=MAX_SIDE
    )
    output_width: int | None = option(
        None, "Image width in pixels.", "sizes", minimum=MIN_SIDE, maximum=MAX_SIDE
    )
    image_size: int | None = option(
        None, "Size of the centre crop: sets --input_height and --input_width.", "sizes", minimum=1
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
    preset: str = option("silva", "Options of a known DCGAN.", "networks", choices=tuple(PRESETS))
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
        5, "Size of the convolution kernels.", "networks", minimum=3, maximum=9
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
        "Passes over the data in total, earlier starts included; no limit with --time_budget "
        "alone.",
        "training",
        minimum=1,
        harmless=True,
        aliases=("epochs",),
    )
    steps: int | None = option(
        None, "Training steps in total, instead of --epoch.", "training", minimum=1, harmless=True
    )
    time_budget: str | None = option(
        None,
        "Train for this long in this start, at most to --epoch or --steps: 90s, 10m, 2h, 1h30m.",
        "training",
        harmless=True,
    )
    batch_size: int = option(
        64,
        "Images per step, over all devices.",
        "training",
        minimum=2,
        maximum=65536,
        aliases=("bs",),
    )
    learning_rate: float = option(
        0.0002, "Adam's learning rate.", "training", above=0.0, maximum=1.0, aliases=("lr",)
    )
    beta1: float = option(0.5, "Adam's beta 1.", "training", minimum=0.0, maximum=0.9999)
    adam_epsilon: float = option(1e-7, "Adam's epsilon.", "training", above=0.0, maximum=1.0)
    adam_epsilon_on: str = option(
        "raw",
        "What epsilon is added to: raw = the root of the second moment, as in TensorFlow; "
        "corrected = the root of its bias-corrected value, as in PyTorch.",
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
    class_loss: float = option(
        0.0,
        "With --conditional, the weight of the class loss, such as 0.2: the discriminator learns "
        "to name the classes of real images, and the generator to make images that it names "
        "right. For classes that are hard to tell apart; it costs variety.",
        "training",
        minimum=0.0,
        maximum=100.0,
    )
    d_steps: int = option(
        1,
        "Discriminator updates per step, each on its own images.",
        "training",
        minimum=1,
        maximum=100,
    )
    g_steps: int = option(
        1,
        "Generator updates per step: the first on the discriminator's fakes, the others as "
        "--g_noise says.",
        "training",
        minimum=1,
        maximum=100,
    )
    g_noise: str = option(
        "new",
        "Noise of the generator's second and later updates: new = drawn for each; same = that of "
        "the discriminator's fakes again.",
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
        "Decay per step of the running average of the generator's weights that samples come from; "
        "0 samples from the weights themselves.",
        "training",
        minimum=0.0,
        maximum=0.99999,
    )
    augment: str = option(
        "none",
        "Random changes to all images that the discriminator sees, real and generated (Zhao et al. "
        "2020): translation = shifts by up to an eighth of the size; color = brightness, "
        "saturation and contrast. Separate both with a comma.",
        "training",
        choices=("none", "color", "translation"),
        several=True,
    )
    seed: int = option(
        0, "Seed of weights, order, flips and noise.", "training", minimum=0, maximum=2**31 - 1
    )
    strategy: str = option(
        "auto",
        "Devices to train on: none = one; mirrored = all GPUs of this machine; multi_worker = all "
        "machines that TF_CONFIG or Slurm names (see docs/scaling.md); auto = multi_worker when "
        "TF_CONFIG names several, else mirrored when there are several GPUs.",
        "training",
        choices=("auto", "none", "mirrored", "multi_worker"),
        harmless=True,
    )
    worker_wait: float = option(
        300.0,
        "Seconds that workers wait for one another at the start.",
        "training",
        above=0.0,
        harmless=True,
    )
    sync_batch_norm: bool = option(
        True,
        "Normalize over the batch of all devices; false = over each device's share, faster.",
        "training",
    )
    precision: str = option(
        "auto",
        "Arithmetic of the networks: float32, bfloat16, or float16 with a loss scale (weights, "
        "losses and output layers stay float32); auto = bfloat16 where the hardware supports it "
        "natively, else float32.",
        "training",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    steps_per_call: int | None = option(
        None,
        "Steps that the device does without waiting for Python (default: 8 on GPUs, else 1).",
        "training",
        minimum=1,
        maximum=1000,
        harmless=True,
    )
    train: bool = option(
        True,
        "For command lines of carpedm20's; training is the default.",
        "training",
        aliases=("is_train",),
        harmless=True,
    )

    # ---- run folder
    run_dir: str | None = option(
        None,
        "Folder of the run (default: runs/<dataset>-<height>x<width>x<channels>).",
        "run folder",
        harmless=True,
        path=True,
    )
    log_freq: int = option(
        20, "Steps between lines of metrics.jsonl.", "run folder", minimum=1, harmless=True
    )
    sample_freq: int = option(
        200, "Steps between sample grids.", "run folder", minimum=1, harmless=True
    )
    num_samples: int = option(64, "Images in a sample grid.", "run folder", minimum=1, maximum=1024)
    ckpt_freq: int = option(
        500, "Steps between checkpoints.", "run folder", minimum=1, harmless=True
    )
    max_to_keep: int = option(
        3, "Number of newest checkpoints to keep.", "run folder", minimum=1, harmless=True
    )
    evaluate_freq: int = option(
        0,
        "Steps between evaluations of the samples, which keep the best checkpoint; 0 = never.",
        "run folder",
        minimum=0,
        harmless=True,
    )
    evaluate_metric: str = option(
        "kid", "Metric of --evaluate_freq.", "run folder", choices=METRICS, harmless=True
    )
    evaluate_extractor: str | None = option(
        None,
        "What looks at the images (default: classifier where the data set has labels, else "
        "self_supervised, or pixels where there are too few images to learn from).",
        "run folder",
        choices=EXTRACTORS,
        harmless=True,
    )
    dry_run: bool = option(
        False,
        "Print the options, the data, both networks and how long training would take, and exit.",
        "run folder",
        harmless=True,
    )

    undecided: tuple[str, ...] = ()  # no option: those that the device decides, see `by_device`

    @property
    def of_z(self) -> dict[str, int | str]:
        """What says which latent vectors seeds have."""
        return {"z_dim": self.z_dim, "z_dist": self.z_dist}


FIELDS = fields(Config)
