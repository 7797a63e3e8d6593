"""model.json says what samples need: the generator, and what its latent vectors are drawn from."""

import numpy as np
import pytest
from toy_run import of_an_older_version, toy_run

from dcgan.cli.train_options import FIELDS
from dcgan.latent.noise import DISTRIBUTIONS
from dcgan.latent.sampling import make_sampler
from dcgan.run.checkpoint import open_checkpoint
from dcgan.run.run_dir import RunDir
from dcgan.run.trained_run import TrainedRun

SEEDS = [7, 0, 1 << 62]


@pytest.fixture
def uniform(tmp_path):
    """A run whose latent vectors are not drawn from the default."""
    return toy_run(tmp_path / "run", z_dist="uniform_signed")


def test_an_option_names_the_distributions_that_there_are():
    assert FIELDS["z_dist"].metadata["choices"] == DISTRIBUTIONS


def test_the_file_alone_rebuilds_the_generator_and_samples_it(uniform):
    expected = TrainedRun(RunDir(uniform)).sample(SEEDS)
    (uniform / "config.json").unlink()
    generator = open_checkpoint(uniform).generator()
    sample = make_sampler(generator, z_dim=generator.z_dim, z_dist=generator.z_dist)
    np.testing.assert_array_equal(sample(SEEDS), expected)
    of_normals = make_sampler(generator, z_dim=generator.z_dim, z_dist="normal01")
    assert (of_normals(SEEDS) != expected).any()


def test_a_run_of_an_older_version_makes_the_same_images_by_the_same_name(uniform):
    now = TrainedRun(RunDir(uniform))
    old = TrainedRun(RunDir(of_an_older_version(uniform)))
    assert (old.z_dist, old.fingerprint) == ("uniform_signed", now.fingerprint)
    np.testing.assert_array_equal(old.sample(SEEDS), now.sample(SEEDS))
