"""checkpoints/model.json: the configurations of both networks of a run, from `get_config`.

The file may come from a stranger: only numbers and known words are accepted, and no class is
looked up by its name, as Keras' own deserialization would do.
"""

import contextlib
from pathlib import Path

from dcgan import UserError
from dcgan.datasets.label_columns import MOST_CLASSES, MOST_COLUMNS
from dcgan.files import read_json, write_json
from dcgan.latent.noise import DISTRIBUTIONS
from dcgan.models import Discriminator, Generator
from dcgan.models.layouts import LAYOUTS
from dcgan.run.run_dir import RunDir, damaged_error

NAME = "model.json"  # in every run; its keys are "generator", "discriminator" and their arguments
LARGEST = {"kernel_size": 9, "seed": (1 << 64) - 1}  # of whole numbers; 4096 for all others
WORDS = {"layout": tuple(LAYOUTS), "z_dist": DISTRIBUTIONS}


def write(checkpoints: Path, generator: Generator, discriminator: Discriminator) -> None:
    configs = {"generator": generator.get_config(), "discriminator": discriminator.get_config()}
    write_json(checkpoints / NAME, configs)


def read(checkpoints: Path) -> dict:
    """Reads the configurations of both networks, by network; `make` checks them.

    Older files lack z_dist, which is then read from the run's config.json. Raises UserError if
    model.json is missing or not JSON, or if it is an older one and config.json has no valid z_dist.
    """
    path = checkpoints / NAME
    if not path.exists():
        raise UserError(
            f"{path} is missing, which says what networks the checkpoints are of; restore it, or "
            "name the checkpoint's run with --run_dir."
        )
    configs = read_json(path)
    generator = configs.get("generator")
    if isinstance(generator, dict) and "z_dist" not in generator:
        config = RunDir(checkpoints.parent).config
        z_dist = read_json(config).get("z_dist")
        if z_dist not in DISTRIBUTIONS:
            raise damaged_error(config, f"has a z_dist that no run has, {str(z_dist)[:80]!r}")
        configs["generator"] = {**generator, "z_dist": z_dist}
    return configs


def make(network: type, config: object, checkpoints: Path):
    """Makes a network of the given class as the file describes it, in float32 and not built yet.

    Raises UserError if the description does not fit a network of this project.
    """
    given = dict(config) if isinstance(config, dict) else {}
    given = {k: v for k, v in given.items() if k not in ("name", "trainable", "dtype")}
    if all(_is_plain(*one) for one in given.items()):
        with contextlib.suppress(TypeError, ValueError):
            return network(**given, dtype="float32")
    why = f"does not describe a {network.__name__.lower()} of this project"
    raise damaged_error(checkpoints / NAME, why)


def _is_plain(name: str, value) -> bool:
    """Tells whether an argument of a network is one that the options allow."""
    if name == "image_shape":
        sides = isinstance(value, list) and len(value) == 3 and all(type(n) is int for n in value)
        return sides and all(8 <= n <= 256 for n in value[:2]) and value[2] in (1, 3)
    if name == "classes":
        return (
            isinstance(value, list)
            and 0 < len(value) <= MOST_COLUMNS
            and all(type(n) is int and 2 <= n <= MOST_CLASSES for n in value)
        )
    if name in WORDS:
        return isinstance(value, str) and value in WORDS[name]
    if type(value) is float:
        return 0 <= value <= 1
    return type(value) is int and 0 <= value <= LARGEST.get(name, 4096)
