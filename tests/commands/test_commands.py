"""How commands start, and what becomes of their errors."""

import errno
import logging
import sys
import types

import pytest
from running import python

from dcgan import UserError, commands

LOGGER = logging.getLogger("dcgan")


@pytest.fixture
def install(monkeypatch):
    """Puts a function in the place of `run` of a command of its own, named toy."""

    def put(run):
        module = types.ModuleType("dcgan.commands.toy")
        module.run = run
        monkeypatch.setitem(sys.modules, "dcgan.commands.toy", module)

    return put


def test_a_command_gets_its_options_and_gives_the_exit_code(install, capsys):
    def run(options):
        LOGGER.info("heard %s", options)
        return 3

    install(run)
    before = LOGGER.level, LOGGER.propagate, list(LOGGER.handlers)
    assert commands.run("toy", "seven") == 3
    assert capsys.readouterr().out == "heard seven\n"
    assert (LOGGER.level, LOGGER.propagate, list(LOGGER.handlers)) == before


def test_what_the_machine_lacks_is_one_sentence(install):
    def run(options):
        raise OSError(errno.ENOSPC, "No space left on device", "faces/0001.png")

    install(run)
    before = LOGGER.level, LOGGER.propagate, list(LOGGER.handlers)
    with pytest.raises(UserError, match=r"No space left on device \(faces/0001.png\); free space"):
        commands.run("toy", None)
    assert (LOGGER.level, LOGGER.propagate, list(LOGGER.handlers)) == before


def test_errors_of_the_program_stay_what_they_are(install):
    def run(options):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    install(run)
    with pytest.raises(BlockingIOError):
        commands.run("toy", None)


def test_preparing_loads_no_tensorflow():
    code = (
        "import sys; from dcgan import commands; "
        "[commands._load(name).run for name in ('crawl', 'crop', 'pack', 'inspect')]; "
        "sys.exit(sorted({'tensorflow', 'keras'} & sys.modules.keys()) or 0)"
    )
    result = python("-c", code)
    assert result.returncode == 0, result.stderr
