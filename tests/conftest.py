"""Fixtures of several files, and what makes the tests quick: processes, their threads, their order.

What a process needs before TensorFlow is imported is set here when pytest reads the file.
"""

import gc
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

# What main.py asks for. TensorFlow reads it once, whichever test file imports it first.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

import pytest
from explorer_pages import EXPLORER, Host, chromium, description, serving, visiting
from idle import learning_nothing

from dcgan import extras
from dcgan.commands.serve import NEEDED

MISSING = extras.not_installed(*NEEDED, "httpx2")  # packages of the server, or of its test client
collect_ignore_glob = ["serving/test_s*.py"] if MISSING else []
MOST_PROCESSES = 4  # each takes up to 3 GB
# Each process has its share of the cores: more of TensorFlow's threads wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    share = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(share, 1)))
# What a test writes need not outlast a power failure; to wait for the disk takes up to a minute.
os.fsync = os.fstat
# Until all tests are imported: the millions of objects of TensorFlow and others stay to the end.
gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of few tests first: their tests are the long ones, for which all would wait at the end.

    The order of files, and of the tests of a file, is random otherwise.
    """
    counts = Counter(item.path for item in items)
    items.sort(key=lambda item: counts[item.path])


def pytest_collection_finish() -> None:
    """Leaves what was imported out of every later search for garbage, and searches less often."""
    gc.freeze()
    gc.set_threshold(50_000)
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says which tests were left out."""
    if MISSING:
        terminalreporter.write_line(f"Left out {collect_ignore_glob}: needs {', '.join(MISSING)}.")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One a core; a few files named on the command line run at once, in this process (0)."""
    names = [Path(word.split("::")[0]) for word in config.args]
    if len(names) < 8 and all(name.is_file() for name in names):
        return 0
    return min(os.cpu_count() or 1, MOST_PROCESSES)


@pytest.fixture
def idle() -> Iterator[None]:
    """For a test: see `learning_nothing`."""
    with learning_nothing():
        yield


@pytest.fixture
def quick_swd(monkeypatch) -> None:
    """The sliced distance by fewer patches and directions."""
    for name, count in (("MOST_PATCHES", 4000), ("DIRECTIONS", 32), ("FEWER_DIRECTIONS", 16)):
        monkeypatch.setattr(f"dcgan.evaluation.swd.{name}", count)


@pytest.fixture
def eager() -> Iterator[None]:
    """For a test: no function is compiled, which takes longer than a dozen small steps."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        if browser is None:
            pytest.skip("needs playwright and Chromium")
        yield browser


@pytest.fixture
def host() -> Iterator[Host]:
    """The explorer before a stand-in for its server."""
    with serving(EXPLORER, prefix="/explorer/", info=description()) as host:
        yield host


@pytest.fixture
def visit(browser, host) -> Iterator[Callable]:
    with visiting(browser, host) as visit:
        yield visit


@pytest.fixture
def open_file(browser) -> Iterator[Callable]:
    """Opens a page from its file; an error in it, or a request for anything, fails the test."""
    contexts, wrong, expected = [], [], ["data:"]

    def open_file(path: Path, **settings):
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text))
        page.on("request", lambda request: wrong.append(request.url[:80]))
        expected.append(path.as_uri()[:80])
        page.goto(path.as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert [one for one in wrong if not one.startswith(tuple(expected))] == []
