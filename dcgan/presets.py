"""Named bundles of option values, as data. Precedence: default < data set < preset < flag.

A bundle says only what differs from the defaults in `config.py`, which are the `silva` preset.
"""

# Architectures. Widths are the channels of the generator's first tensor and of the discriminator's
# first convolution; the layers in between halve or double them.
PRESETS = {
    # The networks of the Keras tutorial's lineage: 4x4x512, 5x5 kernels.
    "silva": {},
    # carpedm20/DCGAN-tensorflow: the same widths, uniform noise, the generator moves twice a step.
    "carpedm20": {"z_dist": "uniform_signed", "g_steps": 2},
    # Radford et al. 2015, arXiv 1511.06434, figure 1: 4x4x1024, uniform noise.
    "paper": {"g_width": 1024, "d_width": 128, "z_dist": "uniform_signed", "batch_size": 128},
    # The PyTorch tutorial: 4x4 kernels, gamma drawn from N(1, 0.02), batches of 128.
    "torch": {"kernel_size": 4, "gamma_stddev": 0.02, "batch_size": 128},
    # tensorflow.org/tutorials/generative/dcgan: made for MNIST's 28x28.
    "tf_tutorial": {
        "layout": "tf_tutorial",
        "g_width": 256,
        "learning_rate": 0.0001,
        "beta1": 0.9,
        "real_label": 1.0,
        "update": "simultaneous",
        "batch_size": 256,
        "ema_decay": 0.0,
    },
    # A quarter of the arithmetic, for a CPU.
    "fast": {"g_width": 256, "d_width": 32},
}

# What suits a data set.
DATASETS = {
    "avatars": {"output_size": 48, "preset": "fast", "epoch": 3, "sample_freq": 50},
    "anime": {"output_size": 48},
    "celeba": {"output_size": 64},
    "mnist": {"output_size": 28, "flip": False},
    "fashion_mnist": {"output_size": 28, "flip": False},
    "svhn": {"output_size": 32, "flip": False},
    "cifar10": {"output_size": 32},
}
OTHER_DATASET = {"output_size": 64}
