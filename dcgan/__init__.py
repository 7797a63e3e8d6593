"""Deep convolutional GANs for small images (Radford et al. 2015, arXiv 1511.06434) in Keras 3."""

__version__ = "1.0.0"


class UserError(ValueError):
    """What a user can mend: one sentence that says what happened, what was expected and what to do.

    The command line prints it without a traceback and exits with code 2.
    """
