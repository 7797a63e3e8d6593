"""Named bundles of option values, as data.

Precedence: default < data set < preset < preset on a data set < flag. A bundle holds only what
differs from the defaults in `train_options.py`, which are those of `silva`. A preset named after a
source has the source's values, apart from `DIFFERENCES`.
"""

# Architectures. Widths are the channels of the generator's first tensor and of the discriminator's
# first convolution; the layers in between halve or double them. If a value changes, runs that began
# with the old one are not continued by the same command.
PRESETS = {
    # The networks of the Keras tutorial's lineage: 4x4x512, 5x5 kernels.
    "silva": {},
    # github.com/carpedm20/DCGAN-tensorflow at 62c9a2a. Its learning rate 0.0002, beta1 0.5, batches
    # of 64 (main.py, lines 13 to 16), gf_dim 8 * 64, df_dim 64 (model.py, line 26), 5x5 kernels and
    # normalization (ops.py, lines 30 and 53) are the defaults.
    "carpedm20": {
        "z_dist": "uniform_signed",  # main.py, line 37
        "real_label": 1.0,  # model.py, line 142: tf.ones_like(self.D)
        "g_steps": 2,  # model.py, line 287: "Run g_optim twice"
        "adam_epsilon": 1e-8,  # model.py, line 164: tf.train.AdamOptimizer's default
        "g_noise": "same",  # model.py, line 289: feed_dict={ self.z: batch_z } as in line 284
        "ema_decay": 0.0,  # model.py, line 128: the sampler has the generator's variables
        "flip": False,  # model.py, lines 225 to 232: the pictures as they are
    },
    # Radford et al. 2015, arXiv 1511.06434. Section 4: Adam with 0.0002 and beta1 0.5, weights from
    # N(0, 0.02), a leak of 0.2, which are the defaults.
    "paper": {
        "g_width": 1024,  # figure 1: 4x4x1024
        "d_width": 128,  # the authors' code, github.com/Newmu/dcgan_code: ndf = 128
        "z_dist": "uniform_signed",  # figure 1: "uniform distribution Z"; the code: -1 to 1
        "batch_size": 128,  # section 4: "mini-batch size of 128"
        "real_label": 1.0,  # as in Goodfellow et al. 2014; smoothing came in 2016
        "ema_decay": 0.0,  # the paper mentions no average
        "flip": False,  # section 4.1: "No data augmentation was applied to the images"
    },
    # pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html. Its nz = 100 from torch.randn,
    # ngf 8 * 64, ndf = 64, lr = 0.0002, beta1 = 0.5 and normalization are the defaults.
    "torch": {
        "layout": "torch_tutorial",  # bias=False in each convolution of both networks
        "kernel_size": 4,  # nn.ConvTranspose2d(ngf * 8, ngf * 4, 4, 2, 1, bias=False)
        "gamma_stddev": 0.02,  # nn.init.normal_(m.weight.data, 1.0, 0.02)
        "batch_size": 128,  # batch_size = 128
        "adam_epsilon": 1e-8,  # optim.Adam(netD.parameters(), lr=lr, betas=(beta1, 0.999))
        "adam_epsilon_on": "corrected",  # as in torch.optim.Adam
        "real_label": 1.0,  # real_label = 1.
        "ema_decay": 0.0,  # fake = netG(fixed_noise)
        "flip": False,  # transforms.Compose: Resize, CenterCrop, ToTensor, Normalize
    },
    # tensorflow.org/tutorials/generative/dcgan: made for MNIST's 28x28.
    "tf_tutorial": {
        "layout": "tf_tutorial",  # make_generator_model and make_discriminator_model
        "g_width": 256,  # layers.Dense(7*7*256)
        "learning_rate": 0.0001,  # tf.keras.optimizers.Adam(1e-4)
        "beta1": 0.9,  # Adam's default
        "real_label": 1.0,  # cross_entropy(tf.ones_like(real_output), real_output)
        "update": "simultaneous",  # train_step: both tapes over one forward pass
        "batch_size": 256,  # BATCH_SIZE = 256
        "ema_decay": 0.0,  # generate_and_save_images(generator, ...)
        "flip": False,  # from_tensor_slices(train_images).shuffle(BUFFER_SIZE).batch(BATCH_SIZE)
    },
    # The best pictures for a few minutes on a CPU: see docs/recipes.md for what was tried.
    "best": {
        "g_width": 256,
        "d_width": 32,
        "kernel_size": 4,  # a multiple of the stride: no checkerboard (distill.pub, 2016)
        "batch_size": 16,
        "augment": "translation",
        "ema_decay": 0.998,  # half of the average comes from the last 5,500 images
    },
}
# `best` with half the widths: a quarter of the weights, and more images in the same time. It is
# about as good in the first minutes, and has cleaner avatars after five, not after ten: see
# docs/recipes.md.
PRESETS["fast"] = PRESETS["best"] | {"g_width": 128, "d_width": 16}

# Batches of 16 small images would leave a GPU mostly idle. The learning rate grows with the root of
# the batch, and the average is over as many images as with 16. By rule, not by trial: there was no
# GPU to measure on.
ON_GPU = {"batch_size": 64, "learning_rate": 0.0004, "ema_decay": 0.992}
# Wider networks learn more slowly and end better: after ten minutes of two cores figures and eyes
# do not agree, after 24 all prefer the wide ones (docs/recipes.md). Not for the data sets in
# `ON_DATASET`.
LONG_RUN = {"g_width": 384, "d_width": 48}
LONG_RUN_SECONDS = 1200  # of --time_budget, if there is one
LONG_RUN_IMAGES = 300_000  # seen by --epoch or --steps
# Options that a preset decides for device and length of a run, see `undecided`; those above are for
# short runs on CPUs.
DECIDED_LATER = {"best": (*ON_GPU, *LONG_RUN), "fast": tuple(ON_GPU)}

# How presets differ from their sources.
COMMON_NOTE = (
    "In all of them the size of the images and how long to train are the data set's or the "
    "default, and arithmetic is as --precision says. "
    "On a GPU a new run of `best` or `fast` takes "
    + " ".join(f"`--{name} {value}`" for name, value in ON_GPU.items())
    + " where none of them is given. "
    "A new run of `best` takes "
    + " ".join(f"`--{name} {value}`" for name, value in LONG_RUN.items())
    + f" where neither is given, if it sees {LONG_RUN_IMAGES:,} images or more and its time is not "
    f"limited to less than {LONG_RUN_SECONDS // 60} minutes; not on mnist, svhn and avatars."
)
DIFFERENCES = {
    "carpedm20": "Its discriminator's convolutions begin truncated at two standard deviations. "
    "Layers before normalization have biases, which normalization takes away again. On MNIST "
    "generated images have labels drawn as they occur in the data, there those of the real batch; "
    "there --splits train,test are learnt from, each time in the same order.",
    "paper": "It does not say in which order the networks learn, nor Adam's and normalization's "
    "epsilon. Its authors' code updates the two in turn, each on a batch of its own; it has no "
    "biases, draws gamma from N(1, 0.02), decays weights by 1e-5, and normalizes the generator's "
    "first tensor number by number.",
}

# What a preset changes on a data set. Digits are learnt with their labels: in the same minutes, FID
# was at most a third of that without labels. Avatars are, since they then come in all their styles
# (docs/conditional.md).
ON_DATASET = {
    # Translation made the classifier sure of fewer digits. A short z is enough for digits, and many
    # images allow large steps (docs/recipes.md).
    ("best", "mnist"): {
        "conditional": True,
        "z_dim": 32,
        "batch_size": 64,
        "learning_rate": 0.0032,
        "augment": "none",
        "ema_decay": 0.992,
    },
    # main.py, line 88: y_dim=10, for this data set alone.
    ("carpedm20", "mnist"): {"conditional": True, "layout": "carpedm20"},
    # House numbers are hard to tell apart: without a class loss a fifth of the samples were wrong.
    ("best", "svhn"): {"conditional": True, "class_loss": 0.2},
    ("best", "avatars"): {"conditional": True},
}
ON_DATASET |= {("fast", name): ON_DATASET["best", name] for name in ("mnist", "svhn", "avatars")}

# What suits a data set. Those known from DCGAN tutorials keep the networks of the lineage.
DATASETS = {
    "avatars": {"output_size": 48, "preset": "fast", "epoch": 8},
    "anime": {"output_size": 48},
    "celeba": {"output_size": 64, "preset": "best"},
    "mnist": {"output_size": 28, "flip": False},
    "fashion_mnist": {"output_size": 28, "flip": False},
    "svhn": {"output_size": 32, "flip": False},
    "cifar10": {"output_size": 32},
}
OTHER_DATASET = {"output_size": 64, "preset": "best"}
