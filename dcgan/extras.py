"""Optional packages: what says that one is missing, and the command that brings it.

Which package of which version is needed for what stands in pyproject.toml alone, as extras.
"""

import importlib.util
import os
import shlex
from pathlib import Path

from dcgan import UserError

# The folder of this code with its pyproject.toml; None where it is installed as a package.
_ROOT = Path(__file__).parents[1]
CHECKOUT = _ROOT if (_ROOT / "pyproject.toml").exists() else None


def command(extra: str) -> str:
    """What to type to install an extra of pyproject.toml, such as serve.

    From a checkout it installs this code in place: of a package of its name elsewhere nothing is
    known.
    """
    if CHECKOUT is None:
        return f'pip install "dcgan[{extra}]"'
    if os.path.realpath(".") == os.path.realpath(CHECKOUT):
        return f'pip install -e ".[{extra}]"'
    return f"pip install -e {shlex.quote(f'{CHECKOUT}[{extra}]')}"


def missing(*modules: str) -> list[str]:
    """Those of some modules that are not installed."""
    return [module for module in modules if importlib.util.find_spec(module) is None]


def require(what: str, extra: str, *modules: str) -> None:
    """Refuses to begin without modules.

    Args:
        what: needs them; the beginning of a sentence.
        extra: that brings them.

    Raises:
        UserError: says which is missing and how to install it.
    """
    if lacking := missing(*modules):
        raise UserError(
            f"{what} needs {', '.join(lacking)}, not installed here: run {command(extra)}."
        )
