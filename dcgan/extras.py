"""Optional packages: reports those that are missing, with the command that installs them.

Only pyproject.toml, in its extras, says which packages and versions each feature needs.
"""

import importlib.util
import os
import shlex
from pathlib import Path

from dcgan import UserError

# The folder of this code and its pyproject.toml; None if it is installed as a package.
_ROOT = Path(__file__).parents[1]
CHECKOUT = _ROOT if (_ROOT / "pyproject.toml").exists() else None


def install_command(extra: str) -> str:
    """Returns the command that installs an extra of pyproject.toml, such as serve.

    In a checkout it installs this code in place, as a package of the same name on an index may be
    another.
    """
    if CHECKOUT is None:
        return f'pip install "dcgan[{extra}]"'
    if os.path.realpath(".") == os.path.realpath(CHECKOUT):
        return f'pip install -e ".[{extra}]"'
    return f"pip install -e {shlex.quote(f'{CHECKOUT}[{extra}]')}"


def not_installed(*modules: str) -> list[str]:
    """Returns those of the modules that are not installed."""
    return [module for module in modules if importlib.util.find_spec(module) is None]


def require(what: str, extra: str, *modules: str) -> None:
    """Raises UserError if modules are missing: which, and how to install them.

    `what` needs them; it begins the sentence. `extra` installs them.
    """
    if lacking := not_installed(*modules):
        raise UserError(
            f"{what} needs {', '.join(lacking)}, not installed here: run {install_command(extra)}."
        )
