"""All options of a training run: the dataclass that flags, flags.md and config.json come from.

Nothing below `trainer.py` depends on this class: parts take plain values.
"""

import functools
from dataclasses import dataclass

from dcgan.cli.option import fields, option
from dcgan.cli.presets import PRESETS
from dcgan.cli.run_options import EXTRACTORS, METRICS

MIN_SIDE, MAX_SIDE = 8, 256
data_option = functools.partial(option, group="data")
size_option = functools.partial(option, group="sizes")
network_option = functools.partial(option, group="networks")
training_option = functools.partial(option, group="training")
folder_option = functools.partial(option, group="run folder")


@dataclass(frozen=True)
class Config:
    """The options of a training run.

    config.json of runs has the fields by name. If a field is renamed, old runs count as having its
    default; if a default changes, the same command does not continue runs that began with the old.
    """

    # None: the value comes from elsewhere, see `cli.resolve`.
    dataset: str = data_option(
        "avatars",
        "avatars, mnist, fashion_mnist, svhn, cifar10, celeba, anime; a folder, zip, tar, .npy, "
        ".npz or .parquet under --data_dir, or the path of one; or an address of TFRecord shards "
        "such as gs://bucket/anime.",
        path=True,
    )
    data_dir: str = data_option(
        "data", "Folder that holds the data sets.", harmless=True, path=True
    )
    cache_dir: str | None = data_option(
        None, "Folder for decoded images (default: ~/.cache/dcgan).", harmless=True, path=True
    )
    input_fname_pattern: str = data_option(
        "*", "Files to use of a folder or zip, for example '*.jpg' or '*.png,*.webp'."
    )
    splits: str = data_option(
        "train",
        "Splits to learn from, such as train,test,val, if the data set has splits: mnist, "
        "fashion_mnist, svhn, cifar10, folders with such names, and what pack has split.",
    )
    train_size: int | None = data_option(
        None, "Number of images to use, from the first on (default: all).", minimum=1
    )
    channels: int | None = data_option(
        None,
        "1 for grey, 3 for colour (default: as the data set is).",
        choices=(1, 3),
        aliases=("c_dim",),
    )
    conditional: bool = data_option(
        False,
        "Learn to generate by class: digits of MNIST, subfolders, attributes of avatars, or "
        "columns of a .csv beside the pictures, one of which has the names of their files.",
    )
    label_columns: str | None = data_option(
        None,
        "With --conditional, which columns of labels to learn, such as hair,eyes (default: all).",
    )
    flip: bool = data_option(True, "Mirror half of the images, chosen at random.")

    output_size: int | None = size_option(
        None,
        "Image size in pixels: sets --output_height and --output_width.",
        within=(MIN_SIDE, MAX_SIDE),
    )
    output_height: int | None = size_option(
        None, "Image height in pixels.", within=(MIN_SIDE, MAX_SIDE)
    )
    output_width: int | None = size_option(
        None, "Image width in pixels.", within=(MIN_SIDE, MAX_SIDE)
    )
    image_size: int | None = size_option(
        None, "Size of the centre crop: sets --input_height and --input_width.", minimum=1
    )
    input_height: int | None = size_option(
        None, "Height of the centre crop, in pixels of the pictures.", minimum=1
    )
    input_width: int | None = size_option(
        None, "Width of the centre crop, in pixels of the pictures.", minimum=1
    )
    crop: bool = size_option(
        True,
        "Cut out the centre (--image_size, else the largest box) before resizing; "
        "false squeezes the whole picture.",
        aliases=("is_crop",),
    )

    preset: str = network_option(
        "silva",
        "Networks and settings of a known DCGAN; some data sets have a default of their own.",
        choices=tuple(PRESETS),
    )
    layout: str = network_option(
        "radford",
        "How the networks are put together: radford = as in the paper; tf_tutorial = as in "
        "TensorFlow's tutorial, with larger first maps, LeakyReLU in the generator too and dropout "
        "in place of the discriminator's batch normalization; torch_tutorial = as in PyTorch's, "
        "radford without a bias outside normalization, whose running variance is unbiased; "
        "carpedm20 = radford, but with --conditional as in carpedm20's networks for MNIST: each "
        "layer sees the labels, and all maps of the generator have a quarter of --g_width.",
        choices=("radford", "tf_tutorial", "torch_tutorial", "carpedm20"),
    )
    z_dim: int = network_option(100, "Length of the latent vector z.", within=(1, 4096))
    z_dist: str = network_option(
        "normal01",
        "Distribution of z: normal01 = N(0, 1), uniform_signed = U(-1, 1), "
        "uniform_unsigned = U(0, 1).",
        choices=("normal01", "uniform_signed", "uniform_unsigned"),
    )
    g_width: int = network_option(
        512,
        "Channels of the generator's first tensor; each further layer has half as many.",
        within=(8, 4096),
    )
    d_width: int = network_option(
        64,
        "Channels of the discriminator's first layer; each further layer has twice as many, up to "
        "eight times the first's.",
        within=(1, 1024),
        aliases=("df_dim",),
    )
    kernel_size: int = network_option(5, "Size of the convolution kernels.", within=(3, 9))
    gamma_stddev: float = network_option(
        0.0,
        "Standard deviation of batch normalization's initial gamma around 1.",
        within=(0.0, 1.0),
    )

    epoch: int = training_option(
        25,
        "Total passes over the data, including earlier starts; unlimited if only --time_budget "
        "is given.",
        minimum=1,
        harmless=True,
        aliases=("epochs",),
    )
    steps: int | None = training_option(
        None, "Total training steps, instead of --epoch.", minimum=1, harmless=True
    )
    time_budget: str | None = training_option(
        None,
        "Stop after this time, such as 90s, 10m or 1h30m, counted from this start; --epoch or "
        "--steps may end it earlier.",
        harmless=True,
    )
    batch_size: int = training_option(
        64, "Images per step, over all devices.", within=(2, 65536), aliases=("bs",)
    )
    learning_rate: float = training_option(
        0.0002, "Adam's learning rate.", above=0.0, maximum=1.0, aliases=("lr",)
    )
    beta1: float = training_option(0.5, "Adam's beta 1.", within=(0.0, 0.9999))
    adam_epsilon: float = training_option(1e-7, "Adam's epsilon.", above=0.0, maximum=1.0)
    adam_epsilon_on: str = training_option(
        "raw",
        "What epsilon is added to: raw = the root of the second moment, as in TensorFlow; "
        "corrected = the root of its bias-corrected value, as in PyTorch.",
        choices=("raw", "corrected"),
    )
    real_label: float = training_option(
        0.9,
        "The discriminator's target for real images (one-sided label smoothing).",
        above=0.5,
        maximum=1.0,
    )
    class_loss: float = training_option(
        0.0,
        "With --conditional, the weight of the class loss, such as 0.2: the discriminator learns "
        "to name the classes of real images, and the generator to make images that it names "
        "right. For classes that are hard to tell apart; it costs variety.",
        within=(0.0, 100.0),
    )
    d_steps: int = training_option(
        1, "Discriminator updates per step, each on its own images.", within=(1, 100)
    )
    g_steps: int = training_option(
        1,
        "Generator updates per step: the first on the discriminator's fakes, the others as "
        "--g_noise says.",
        within=(1, 100),
    )
    g_noise: str = training_option(
        "new",
        "Noise of the generator's second and later updates: new = drawn for each; same = that of "
        "the discriminator's fakes again.",
        choices=("new", "same"),
    )
    update: str = training_option(
        "alternating",
        "alternating: the generator learns from the updated discriminator; "
        "simultaneous: both from one forward pass (a tenth cheaper, less stable).",
        choices=("alternating", "simultaneous"),
    )
    ema_decay: float = training_option(
        0.99,
        "Decay per step of the running average of the generator's weights that samples come from; "
        "0 samples from the weights themselves.",
        within=(0.0, 0.99999),
    )
    augment: str = training_option(
        "none",
        "Random changes to all images that the discriminator sees, real and generated (Zhao et al. "
        "2020): translation = shifts by up to an eighth of the size; color = brightness, "
        "saturation and contrast. Separate both with a comma.",
        choices=("none", "color", "translation"),
        several=True,
    )
    seed: int = training_option(
        0, "Seed of weights, order, flips and noise.", within=(0, 2**31 - 1)
    )
    strategy: str = training_option(
        "auto",
        "Devices to train on: none = one; mirrored = all GPUs of this machine; multi_worker = all "
        "machines that TF_CONFIG or Slurm names (see docs/scaling.md); auto = multi_worker when "
        "TF_CONFIG names several, else mirrored when there are several GPUs.",
        choices=("auto", "none", "mirrored", "multi_worker"),
        harmless=True,
    )
    worker_wait: float = training_option(
        300.0, "Seconds that workers wait for one another at the start.", above=0.0, harmless=True
    )
    sync_batch_norm: bool = training_option(
        True, "Normalize over the batch of all devices; false = over each device's share, faster."
    )
    precision: str = training_option(
        "auto",
        "Arithmetic of the networks: float32, bfloat16, or float16 with a loss scale (weights, "
        "losses and output layers stay float32); auto = bfloat16 where the hardware supports it "
        "natively, else float32.",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    steps_per_call: int | None = training_option(
        None,
        "Steps that the device runs without waiting for Python (default: 8 on GPUs, else 1).",
        within=(1, 1000),
        harmless=True,
    )
    train: bool = training_option(
        True,
        "Accepted as in carpedm20's program; training is the default.",
        aliases=("is_train",),
        harmless=True,
    )

    run_dir: str | None = folder_option(
        None,
        "Folder of the run (default: runs/<dataset>-<height>x<width>x<channels>).",
        harmless=True,
        path=True,
    )
    log_freq: int = folder_option(
        20, "Steps between lines of metrics.jsonl.", minimum=1, harmless=True
    )
    sample_freq: int = folder_option(200, "Steps between sample grids.", minimum=1, harmless=True)
    num_samples: int = folder_option(64, "Images in a sample grid.", within=(1, 1024))
    ckpt_freq: int = folder_option(500, "Steps between checkpoints.", minimum=1, harmless=True)
    max_to_keep: int = folder_option(
        3, "Number of newest checkpoints to keep.", minimum=1, harmless=True
    )
    evaluate_freq: int = folder_option(
        0,
        "Steps between evaluations of the samples, which keep the best checkpoint; 0 = never.",
        minimum=0,
        harmless=True,
    )
    evaluate_metric: str = folder_option(
        "kid", "Metric of --evaluate_freq.", choices=METRICS, harmless=True
    )
    evaluate_extractor: str | None = folder_option(
        None,
        "What extracts the features (default: classifier where the data set has labels, else "
        "self_supervised, or pixels where there are too few images to learn from).",
        choices=EXTRACTORS,
        harmless=True,
    )
    dry_run: bool = folder_option(
        False,
        "Print the options, the data, both networks and how long training would take, and exit.",
        harmless=True,
    )

    undecided: tuple[str, ...] = ()  # not an option: names of those that are open, see `undecided`

    @property
    def z_options(self) -> dict[str, int | str]:
        """The options that determine the latent vectors of seeds."""
        return {"z_dim": self.z_dim, "z_dist": self.z_dist}


FIELDS = fields(Config)
