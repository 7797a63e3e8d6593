"""The one home of matplotlib: its objects, never pyplot, in a style that is ours alone.

No window, no global backend, safe in a notebook and in a thread. The user's own matplotlibrc
changes no picture.
"""

import io
import os
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from dcgan import files

__all__ = ["GREY", "Axes", "EngFormatter", "Figure", "MaxNLocator", "own_style", "write"]

GREY = "#5f6670"
# Beginnings of the names of settings that are of the program, not of pictures.
NO_STYLE = ("backend", "interactive", "toolbar", "timezone", "date.", "webagg", "tk.")


def own_style():
    """While it is entered, or when it decorates what draws, matplotlib's own style holds."""
    defaults = matplotlib.rcParamsDefault
    style = {name: defaults[name] for name in defaults if not name.startswith(NO_STYLE)}
    return matplotlib.rc_context(style)


def write(figure: Figure, target: str | os.PathLike) -> None:
    """Writes a PNG, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    files.write_bytes(Path(target), buffer.getvalue())
