"""How both networks are put together, beyond sizes and widths: what tells known DCGANs apart."""

from dataclasses import dataclass

WEIGHT_STDDEV = 0.02  # Radford et al. 2015, section 4


@dataclass(frozen=True)
class Layout:
    smallest: int = 4  # side of the smallest maps, about
    # whether the generator's first maps are normalized number by number, before they are maps
    by_unit: bool = False
    # whether a convolution of stride 1 works on them before they are enlarged
    keeps_first: bool = False
    # whether each layer sees the labels, as channels beside its input. Then all maps of the
    # generator have a quarter of the width, and the discriminator's channels of its own are the
    # image's, the width, and so on. Without labels it is the default.
    labels_inside: bool = False
    # units of a dense layer before the generator's maps, and of one after the discriminator's
    hidden: int = 0
    from_0: bool = False  # whether black is 0 inside the networks, and not -1
    g_leak: float = 0.0  # slope of each network's activations below 0; 0 is ReLU
    d_leak: float = 0.2  # Radford et al. 2015, section 4
    d_norm: bool = True  # whether the discriminator normalizes its maps, all but the first
    dropout: float = 0.0  # share of the discriminator's activations that are left out in training
    momentum: float = 0.9  # of batch normalization
    epsilon: float = 1e-5
    unbiased: bool = False  # whether the running variance is of N / (N - 1) times the batch's
    image_bias: bool = True  # whether the generator's last layer has a bias
    d_bias: bool = True  # whether the discriminator's layers without normalization have one
    # initial weights are N(0, weight_stddev); None for Glorot's uniform ones (Glorot and Bengio
    # 2010), which are Keras' default
    weight_stddev: float | None = WEIGHT_STDDEV


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
    # which MNIST's labels get; gfc_dim and dfc_dim are in line 27.
    "carpedm20": Layout(smallest=7, by_unit=True, labels_inside=True, hidden=1024, from_0=True),
}
DEFAULT = "radford"
