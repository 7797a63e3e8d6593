"""The only module that draws with matplotlib: its objects, never pyplot, in a style of our own.

It opens no window and sets no global backend, so it is safe in notebooks and threads. The user's
own matplotlibrc changes no picture.
"""

import io
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from dcgan import files

__all__ = ["GREY", "Axes", "EngFormatter", "Figure", "MaxNLocator"]
__all__ += ["default_style", "style_axes", "write"]

GREY = "#5f6670"
# Prefixes of settings that belong to the program, not to the style of pictures.
NO_STYLE = ("backend", "interactive", "toolbar", "timezone", "date.", "webagg", "tk.")


def default_style():
    """Returns a context manager or decorator that applies matplotlib's default style."""
    defaults = matplotlib.rcParamsDefault
    style = {name: defaults[name] for name in defaults if not name.startswith(NO_STYLE)}
    return matplotlib.rc_context(style)


def style_axes(axes: Axes) -> None:
    """Draws the frame of a curve more lightly than the curve."""
    axes.grid(color="#e4e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#b8bec6")
    axes.tick_params(colors=GREY, length=3)


def write(figure: Figure, target: Path) -> None:
    """Writes a PNG, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    files.write_bytes(target, buffer.getvalue())
