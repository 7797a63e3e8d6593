"""Settings of the user's other projects, which reach us by the environment and by dotfiles.

What is computed and drawn depends on our own options alone: a notebook's plotting backend, Keras'
file in the home folder or a compiler switched on for another network change nothing here. What may
make a difference and is the user's to choose, such as the number of threads, stays as it is and is
written down.
"""

import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

# Beginnings of the names of variables that are dropped: of networks, and of all else.
OF_NETWORKS = (
    *("KERAS_", "TF_USE_LEGACY_KERAS"),
    *("TF_XLA_FLAGS", "TF_FUNCTION_JIT_COMPILE_DEFAULT"),
    *("TF_ENABLE_ONEDNN_OPTS", "TF_DISABLE_MKL", "TF_ENABLE_MKL"),
)
OF_OTHERS = ("MPLBACKEND", "MATPLOTLIBRC", "TQDM_", "GIT_")
# These would have changed the numbers, and somebody may have meant it: that they do not is said.
MEANT = ("TF_XLA_", "TF_FUNCTION_", "TF_ENABLE_", "TF_DISABLE_")
# Beginnings of the names of variables that stay and are recorded. XLA_FLAGS is among them, as it
# also tunes GPUs: nothing here is compiled by XLA, so on a CPU no flag of it is ever read.
RECORDED = (
    *("TF_DETERMINISTIC_OPS", "TF_CUDNN_", "TF_GPU_", "TF_NUM_", "TF_MKL_", "TF_ONEDNN_"),
    *("TF_FORCE_GPU_", "XLA_FLAGS", "CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "CUBLAS_"),
    *("OMP_", "MKL_", "DNNL_", "ONEDNN_", "HIP_VISIBLE_DEVICES"),
)
# A place where Keras finds no file and makes none; without a home it would believe one in /tmp.
NOWHERE = os.devnull
SILENT = (
    *(DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning),
    EncodingWarning,
)


def isolate() -> None:
    """Takes others' settings out of this process and its children, before libraries read them.

    Where something was meant to change numbers it says so on standard error.
    """
    dropped = isolate_networks()
    _drop(OF_OTHERS)
    os.environ["MPLBACKEND"] = "agg"
    if sys.warnoptions:  # of PYTHONWARNINGS: with "error" libraries could not even be imported
        sys.warnoptions.clear()
        os.environ.pop("PYTHONWARNINGS", None)
        warnings.resetwarnings()
        for category in SILENT:
            warnings.simplefilter("ignore", category)
    _shield_matplotlib()
    meant = sorted(name for name in dropped if name.startswith(MEANT))
    if meant:
        why = "results depend on the options of this project alone"
        print(f"Ignored, since {why}: {', '.join(meant)}.", file=sys.stderr)


def isolate_networks() -> list[str]:
    """The part of it that holds in a notebook, too, whose own plots are the user's to style.

    Returns:
        the names of the variables that are dropped.
    """
    dropped = _drop(OF_NETWORKS)
    os.environ |= {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": NOWHERE}
    return dropped


def _drop(beginnings: tuple[str, ...]) -> list[str]:
    dropped = [name for name in os.environ if name.startswith(beginnings)]
    for name in dropped:
        del os.environ[name]
    return dropped


def _shield_matplotlib() -> None:
    """Has matplotlib read its own matplotlibrc, as another may be of any content."""
    found = importlib.util.find_spec("matplotlib")
    if found is None:
        return
    own = Path(found.submodule_search_locations[0], "mpl-data")
    os.environ["MATPLOTLIBRC"] = str(own)
    if not os.path.exists("matplotlibrc"):  # which comes before what the variable names
        return
    here = os.getcwd()
    try:
        os.chdir(own)
        importlib.import_module("matplotlib")
    finally:
        os.chdir(here)


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that may make a difference to a run, such as numbers of threads."""
    return {name: environment[name] for name in sorted(environment) if name.startswith(RECORDED)}
