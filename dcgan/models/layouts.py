"""Layouts of both networks: the choices beyond sizes and widths in which known DCGANs differ."""

from dataclasses import dataclass

WEIGHT_STDDEV = 0.02  # Radford et al. 2015, section 4


@dataclass(frozen=True)
class Layout:
    """The choices of a layout; the defaults are those of "radford"."""

    smallest: int = 4  # approximate side of the smallest maps
    # whether the generator's first tensor is normalized by unit, before it is reshaped to maps
    by_unit: bool = False
    # whether the generator's first transposed convolution has stride 1 and keeps the size
    keeps_first: bool = False
    # whether every layer sees the labels, as channels beside its input. Then all maps of the
    # generator have a quarter of the width, and the discriminator's layers have as many channels of
    # their own as the image, then the width, and so on. Without labels, the default layout is used.
    labels_inside: bool = False
    # units of a dense layer before the generator's maps, and of one after the discriminator's
    hidden: int = 0
    from_0: bool = False  # whether black is 0 inside the networks instead of -1
    g_leak: float = 0.0  # slope of each network's activations below 0; 0 is ReLU
    d_leak: float = 0.2  # Radford et al. 2015, section 4
    d_norm: bool = True  # whether the discriminator normalizes its maps, except the first
    dropout: float = 0.0  # share of the discriminator's activations that are dropped in training
    momentum: float = 0.9  # batch normalization's
    epsilon: float = 1e-5  # batch normalization's
    unbiased: bool = False  # whether the moving variance averages N / (N - 1) times the batch's
    image_bias: bool = True  # whether the generator's last layer has a bias
    d_bias: bool = True  # whether the discriminator's layers without normalization have a bias
    # initial weights are normal with this standard deviation; None: uniform (Glorot and Bengio
    # 2010), Keras' default
    weight_stddev: float | None = WEIGHT_STDDEV


# In config.json and model.json of runs: if a layout were renamed, they could not be read; if one
# were changed, it would no longer fit their checkpoints.
LAYOUTS = {
    # Radford et al. 2015, arXiv 1511.06434.
    "radford": Layout(),
    # tensorflow.org/tutorials/generative/dcgan: 7x7x256 up to MNIST's 28x28, Keras' defaults.
    "tf_tutorial": Layout(
        smallest=7,
        by_unit=True,
        keeps_first=True,
        g_leak=0.3,
        d_leak=0.3,
        d_norm=False,
        dropout=0.3,
        momentum=0.99,
        epsilon=1e-3,
        image_bias=False,
        weight_stddev=None,
    ),
    # pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html: bias=False in each convolution;
    # torch.nn.BatchNorm2d keeps the unbiased variance.
    "torch_tutorial": Layout(unbiased=True, image_bias=False, d_bias=False),
    # github.com/carpedm20/DCGAN-tensorflow at 62c9a2a, model.py: lines 347 to 362 and 398 to 421,
    # used for MNIST with labels; gfc_dim and dfc_dim are in line 27.
    "carpedm20": Layout(smallest=7, by_unit=True, labels_inside=True, hidden=1024, from_0=True),
}
DEFAULT = "radford"
