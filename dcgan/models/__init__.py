"""The two networks."""

from dcgan.models.discriminator import Discriminator
from dcgan.models.generator import Generator

__all__ = ["Discriminator", "Generator"]
