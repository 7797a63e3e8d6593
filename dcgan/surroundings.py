"""Keeps out settings of the user's other projects, from the environment and from dotfiles.

Results and plots depend on the options of this project alone, not on a notebook's plotting backend,
Keras' file in the home folder or a compiler switched on for another network. Settings that may make
a difference but are the user's to choose, such as the number of threads, stay and are recorded.
"""

import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

# Prefixes of environment variables that are dropped: those of Keras and TensorFlow, and others.
FRAMEWORK_PREFIXES = (
    *("KERAS_", "TF_USE_LEGACY_KERAS"),
    *("TF_XLA_FLAGS", "TF_FUNCTION_JIT_COMPILE_DEFAULT"),
    *("TF_ENABLE_ONEDNN_OPTS", "TF_DISABLE_MKL", "TF_ENABLE_MKL"),
)
OTHER_PREFIXES = ("MPLBACKEND", "MATPLOTLIBRC", "TQDM_", "GIT_")
# Those of them that somebody may have set to change the numbers: `isolate` reports them.
REPORTED = ("TF_XLA_", "TF_FUNCTION_", "TF_ENABLE_", "TF_DISABLE_")
# Prefixes of variables that stay and are recorded. XLA_FLAGS stays because it also tunes GPUs; on a
# CPU it has no effect, as nothing here is compiled by XLA.
RECORDED = (
    *("TF_DETERMINISTIC_OPS", "TF_CUDNN_", "TF_GPU_", "TF_NUM_", "TF_MKL_", "TF_ONEDNN_"),
    *("TF_FORCE_GPU_", "XLA_FLAGS", "CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "CUBLAS_"),
    *("OMP_", "MKL_", "DNNL_", "ONEDNN_", "HIP_VISIBLE_DEVICES"),
)
# Keras finds no settings in this place and makes none; without a home folder it would use /tmp.
NO_FOLDER = os.devnull
IGNORED_WARNINGS = (
    *(DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning),
    EncodingWarning,
)


def isolate() -> None:
    """Removes other projects' settings from this process, before libraries read them.

    Prints the names of those in `REPORTED` to standard error. Child processes inherit the result.
    """
    dropped = isolate_networks()
    _drop(OTHER_PREFIXES)
    os.environ["MPLBACKEND"] = "agg"
    if sys.warnoptions:  # from PYTHONWARNINGS; "error" would keep libraries from being imported
        sys.warnoptions.clear()
        os.environ.pop("PYTHONWARNINGS", None)
        warnings.resetwarnings()
        for category in IGNORED_WARNINGS:
            warnings.simplefilter("ignore", category)
    _shield_matplotlib()
    meant = sorted(name for name in dropped if name.startswith(REPORTED))
    if meant:
        why = "results depend on the options of this project alone"
        print(f"Ignored, since {why}: {', '.join(meant)}.", file=sys.stderr)


def isolate_networks() -> list[str]:
    """Does the part of `isolate` that suits a notebook too, where the user styles plots.

    Returns the names of the variables that were dropped.
    """
    dropped = _drop(FRAMEWORK_PREFIXES)
    os.environ |= {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": NO_FOLDER}
    return dropped


def _drop(beginnings: tuple[str, ...]) -> list[str]:
    dropped = [name for name in os.environ if name.startswith(beginnings)]
    for name in dropped:
        del os.environ[name]
    return dropped


def _shield_matplotlib() -> None:
    """Makes matplotlib read its own matplotlibrc, as another may set anything."""
    found = importlib.util.find_spec("matplotlib")
    if found is None:
        return
    own = Path(found.submodule_search_locations[0], "mpl-data")
    os.environ["MATPLOTLIBRC"] = str(own)
    if not os.path.exists("matplotlibrc"):  # it would take precedence over the variable
        return
    here = os.getcwd()
    try:
        os.chdir(own)
        importlib.import_module("matplotlib")
    finally:
        os.chdir(here)


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables that may make a difference to a run, such as numbers of threads."""
    return {name: environment[name] for name in sorted(environment) if name.startswith(RECORDED)}
