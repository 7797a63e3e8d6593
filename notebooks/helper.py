"""What all four notebooks begin with, so that their own cells are about their own subject.

The repository is found, TensorFlow starts without its chatter, and figures have one style. A
notebook takes from here by name what it uses. It is made for notebooks alone: importing it changes
matplotlib's settings.
"""

import io
import os
import shlex
import sys
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython import display
from matplotlib_inline.backend_inline import set_matplotlib_formats

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from dcgan import extras, images  # noqa: E402
from dcgan.terminal import quiet  # noqa: E402

with quiet.quiet_start():  # TensorFlow says much when it starts
    import tensorflow as tf

    from dcgan.distributed import devices

    devices.grow_gpu_memory()
    devices.avoid_remapper()

__all__ = [
    "BLUE",
    "GREY",
    "ORANGE",
    "ROOT",
    "command",
    "photo",
    "play",
    "show",
    "steps",
    "subplots",
    "tf",
]

BLUE, ORANGE, GREY = "#2368b0", "#e06c1f", "#8a919c"  # D and real, G and generated, neither
plt.rcParams.update({"figure.dpi": 80, "font.size": 9})
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
set_matplotlib_formats("png", bbox_inches=None)  # the layout leaves no margins to cut off
subplots = partial(plt.subplots, layout="constrained")


def steps(default: int) -> int:
    """How many steps to train: `default`, unless DCGAN_NOTEBOOK_STEPS says otherwise."""
    return int(os.environ.get("DCGAN_NOTEBOOK_STEPS", default))


def show(axes, pictures, *, columns: int | None = None, title: str = "", names=()) -> None:
    """Draws uint8 pictures [N, height, width, channels] side by side.

    Args:
        axes: matplotlib's, to draw on.
        columns: pictures of a row; all of them when None.
        names: of the pictures, to stand under them.
    """
    pictures = np.asarray(pictures)
    columns = columns or len(pictures)
    grid = images.grid(pictures, columns=columns)
    axes.imshow(grid if grid.shape[-1] == 3 else grid[..., 0], cmap="gray", vmin=0, vmax=255)
    axes.set_title(title, fontsize=9)
    axes.axis("off")
    height, width = pictures.shape[1:3]
    for i, name in enumerate(names):
        x, y = (i % columns + 0.5) * (width + 1), (i // columns + 1) * (height + 1)
        axes.text(x, y + 2, name, ha="center", va="top", fontsize=8)


def photo(figure) -> None:
    """Shows a figure full of pictures as a JPEG, which is a smaller file than a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="jpeg", pil_kwargs={"quality": 80})
    plt.close(figure)
    display.display(display.Image(buffer.getvalue()))


def command(line: str) -> None:
    """Prints `python main.py LINE`, without this folder's own path, and does what it does.

    Raises:
        ValueError: the command was refused; the reason has been printed.
    """
    print(f"$ python main.py {line.replace(f'{Path.cwd()}{os.sep}', '')}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm would like ipywidgets, and does without
        main = import_module("main")
    if main.main(shlex.split(line)) == 2:
        raise ValueError("The command was refused: the reason stands above.")


def play(draw: Callable, sliders: dict[str, tuple], buttons: dict[str, Callable]) -> None:
    """Shows sliders and buttons, and under them what `draw` shows: again after each touch.

    Args:
        draw: is called with the sliders' values, in their order.
        sliders: (lowest, highest, at first) by name; whole numbers give a slider of whole numbers.
        buttons: what each one does, by name.
    """
    if extras.not_installed("ipywidgets"):
        print("To play with it, run this notebook with ipywidgets: pip install ipywidgets")
        return
    import ipywidgets as widgets

    drawing = widgets.Output()

    def redraw(act: Callable = lambda: None) -> None:
        with drawing:  # errors, too, are shown there
            act()
            display.clear_output(wait=True)  # until the next picture is there: nothing flickers
            draw(*(knob.value for knob in knobs))

    def slider(name: str, low: float, high: float, value: float):
        kind = widgets.IntSlider if isinstance(value, int) else widgets.FloatSlider
        made = kind(value, min=low, max=high, description=name, continuous_update=False)
        made.observe(lambda _: redraw(), "value")
        return made

    def button(name: str, act: Callable):
        made = widgets.Button(description=name)
        made.on_click(lambda _: redraw(act))
        return made

    knobs = [slider(name, *values) for name, values in sliders.items()]
    wrapped = widgets.Layout(flex_flow="row wrap")  # five sliders in one row have no tracks
    rows = (knobs, [button(*one) for one in buttons.items()])
    rows = [widgets.HBox(row, layout=wrapped) for row in rows if row]
    display.display(widgets.VBox([*rows, drawing]))
    redraw()
