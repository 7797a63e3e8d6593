"""Describes what a run runs on, for environment.json."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from dcgan import extras, surroundings
from dcgan.distributed.devices import device_names


def environment(strategy: tf.distribute.Strategy, precision: str) -> dict:
    """Returns versions, devices and the command line, for JSON.

    Reports show all of it, and comparisons of runs read devices, replicas and cpus by these names.
    """
    return {
        "argv": sys.argv,
        "python": sys.version.split()[0],
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "precision": precision,
        "devices": device_names(strategy),
        "replicas": strategy.num_replicas_in_sync,
        "cpus": os.cpu_count(),
        "settings": surroundings.settings(os.environ),
        "git_commit": _git_commit(),
    }


def _git_commit() -> str | None:
    """Returns the commit of this code; None if it is not a git checkout or git is missing."""
    if extras.CHECKOUT is None:  # a repository around an installed package is not ours
        return None
    try:
        result = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None
