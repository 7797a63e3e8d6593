"""How this program was started: the name that help and messages tell people to type."""

import shlex
import sys
from pathlib import PurePath

SCRIPT = "python main.py"


def name(started: str | None = None) -> str:
    """Returns dcgan, python -m dcgan or python main.py.

    Args:
        started: the first word of a command line; this process's own when None.
    """
    path = PurePath(sys.argv[0] if started is None else started)
    if path.stem == "dcgan":  # or dcgan.exe
        return "dcgan"
    return "python -m dcgan" if path.parts[-2:] == ("dcgan", "__main__.py") else SCRIPT


def command_line(*words: object) -> str:
    """Returns a command of this program, to be typed in a shell."""
    return " ".join([name(), *map(shlex.quote, map(str, words))])
