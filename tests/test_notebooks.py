"""The notebooks: what they keep for readers who do not run them, and that they run."""

import ast
import contextlib
import importlib
import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client import KernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from dcgan.cli import flags

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

MOST_BYTES = 1_200_000  # GitHub shows large notebooks slowly or not at all
MOST_BYTES_IN_ALL = 3_000_000
FEWEST_PICTURES = 8

# Where people's files lie on Linux, macOS and Windows.
ABSOLUTE = re.compile(
    r"(?<![\w.:/-])/(?:home|tmp|root|Users|usr|opt|var|mnt|private|work|content)/\w|[A-Z]:\\\w"
)


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def of_kind(book: NotebookNode, kind: str) -> list[NotebookNode]:
    return [cell for cell in book.cells if cell.cell_type == kind]


def outputs(book: NotebookNode) -> list[NotebookNode]:
    return [output for cell in of_kind(book, "code") for output in cell.outputs]


def pictures(book: NotebookNode) -> list[str]:
    """The base64 texts of what was drawn."""
    found = [output.get("data", {}) for output in outputs(book)]
    return [data for one in found for kind, data in one.items() if kind.startswith("image/")]


def words(book: NotebookNode) -> str:
    """Everything that the outputs say in letters."""
    texts = [output.get("text", "") for output in outputs(book)]
    data = [output.get("data", {}) for output in outputs(book)]
    found = [one.items() for one in data]
    texts += [text for one in found for kind, text in one if not kind.startswith("image/")]
    return "\n".join(map(str, texts))


def refuse_troubles(book: NotebookNode) -> None:
    """Executed in order, without errors, with nothing on standard error, no one's folders."""
    cells = of_kind(book, "code")
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for output in outputs(book):
        assert output.output_type != "error", output.traceback
        assert output.get("name") != "stderr", output.text
    assert "traceback" not in str(book.metadata.get("widgets"))  # of what sliders draw
    assert not (found := ABSOLUTE.search(words(book))), found
    assert len(pictures(book)) >= FEWEST_PICTURES


def of_helper() -> ast.Module:
    """What all notebooks begin with, unexecuted: it changes matplotlib's settings."""
    return ast.parse((FOLDER / "helper.py").read_text(encoding="utf-8"))


# --- execution


def listing() -> set[Path]:
    """What a notebook could leave behind here."""
    folders = ("notebooks", "runs", "data")
    return {*ROOT.iterdir(), *(path for name in folders for path in (ROOT / name).rglob("*"))}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory) -> Iterator[KernelManager]:
    """One process for all notebooks, which imports TensorFlow once."""
    base = tmp_path_factory.mktemp("kernel")
    own = {
        "DCGAN_NOTEBOOK_STEPS": "4",
        "DCGAN_NOTEBOOK_RUN": "none",
        "TQDM_DISABLE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",  # of the helper beside the notebooks
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "IPYTHONDIR": str(base / "ipython"),
        "TMPDIR": str(base),
    }
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env={**os.environ, **own}, cwd=str(FOLDER))
    yield manager
    manager.shutdown_kernel(now=True)


def execute(book: NotebookNode, kernel: KernelManager) -> None:
    client = NotebookClient(book, km=kernel, timeout=900, record_timing=False)
    try:
        client.execute()
    finally:
        client.kc.stop_channels()


# By default the one that trains by a command, opens the run and draws from it.
RUN = [NOTEBOOKS[2], *(pytest.param(NOTEBOOKS[i], marks=pytest.mark.slow) for i in (0, 1, 3))]


@pytest.mark.parametrize("path", RUN, ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom(path, kernel):
    """On a few steps of tiny networks; what one notebook has defined, the next one does not see."""
    book, before = read(path), listing()
    for cell in of_kind(book, "code"):
        cell.outputs, cell.execution_count = [], None
    fresh = f"%cd -q {FOLDER}\n%reset_selective -f ."
    execute(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(fresh)]), kernel)
    execute(book, kernel)
    refuse_troubles(book)
    assert listing() - before == set()


# --- what they share

PLAYED = """
from unittest import mock
import helper
said, shown = [], []
with mock.patch.object(helper.display, "display", shown.append):
    helper.play(
        lambda *values: said.append(values),
        {"seed": (0, 9, 3), "knob": (-1.0, 1.0, 0.5)},
        {"D's move": lambda: said.append("moved")},
    )
(seed, knob), (button,) = (row.children for row in shown[0].children[:2])
seed.value = 7
knob.value = -0.5
button.click()
print(said)
"""
WITHOUT = """
from unittest import mock
import helper
with mock.patch.object(helper.extras, "not_installed", lambda *modules: list(modules)):
    helper.play(print, {"knob": (0.0, 1.0, 0.5)}, {})
"""


def in_kernel(source: str, kernel: KernelManager) -> str:
    """What a cell prints at the notebooks' own place."""
    cells = [nbformat.v4.new_code_cell(one) for one in (f"%cd -q {FOLDER}", source)]
    book = nbformat.v4.new_notebook(cells=cells)
    execute(book, kernel)
    return words(book)


def test_each_touch_of_a_slider_or_a_button_draws_again(kernel):
    pytest.importorskip("ipywidgets")
    drawn = [(3, 0.5), (7, 0.5), (7, -0.5), "moved", (7, -0.5)]
    assert in_kernel(PLAYED, kernel).strip() == str(drawn)


def test_without_widgets_one_sentence_says_what_to_install(kernel):
    said = in_kernel(WITHOUT, kernel).strip()
    assert said.endswith("pip install ipywidgets") and "\n" not in said


@each_notebook
def test_it_takes_from_the_helper_what_the_helper_has_and_makes_none_of_it_again(path):
    tree = of_helper()
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    listed = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    )
    source = "\n".join(cell.source for cell in of_kind(read(path), "code"))
    cells = ast.parse(re.sub(r"^[%!]", "#", source, flags=re.MULTILINE)).body
    assert not own & {node.name for node in cells if isinstance(node, ast.FunctionDef)}
    imports = [node for node in cells if isinstance(node, ast.ImportFrom)]
    taken = {one.name for node in imports if node.module == "helper" for one in node.names}
    assert taken and taken <= set(listed)
    assert not re.search(r"rcParams|sys\.path|quiet_start|import main", source)


# --- what is stored


def test_there_are_four_of_a_size_to_look_at():
    assert [path.name[0] for path in NOTEBOOKS] == ["1", "2", "3", "4"]
    assert sum(path.stat().st_size for path in NOTEBOOKS) < MOST_BYTES_IN_ALL


@each_notebook
def test_it_is_stored_as_executed_in_one_go(path):
    book = read(path)
    assert not of_kind(book, "code")[0].outputs  # settings say nothing
    nbformat.validate(book)
    refuse_troubles(book)
    kinds = {kind for output in outputs(book) for kind in output.get("data", {})}
    assert not [kind for kind in kinds if "widget" in kind]  # nobody sees them without running
    said = words(book)
    assert not (found := re.search(r"warning|traceback|deprecat|\d%\|", said, re.IGNORECASE)), found
    assert path.stat().st_size < MOST_BYTES
    ids = [cell.id for cell in book.cells]
    assert len(set(ids)) == len(ids)


@each_notebook
def test_its_settings_stand_first_and_nothing_names_ones_folders(path):
    book = read(path)
    first = of_kind(book, "code")[0].source
    assert "import" in first and "STEPS = steps(" in first and "git clone" in first
    assert not (found := ABSOLUTE.search("\n".join(cell.source for cell in book.cells))), found
    assert not ABSOLUTE.search(str([book.metadata, *(cell.metadata for cell in book.cells)]))


@each_notebook
def test_every_exercise_has_a_folded_answer(path):
    cells = [cell.source for cell in of_kind(read(path), "markdown")]
    exercises = re.split(r"\*\*Exercise (\d+)\.\*\*", "\n".join(cells))[1:]
    numbers, texts = exercises[::2], exercises[1::2]
    assert numbers == [str(i + 1) for i in range(len(numbers))] and len(numbers) >= 5
    # GitHub needs the empty lines to read Markdown inside.
    folded = re.compile(r"<details><summary>Answer</summary>\n\n.+?\n\n</details>", re.DOTALL)
    assert all(folded.search(one) for one in texts)
    assert all(cell.count("<details>") == cell.count("</details>") for cell in cells)


@each_notebook
def test_its_links_lead_somewhere(path):
    for cell in of_kind(read(path), "markdown"):
        for target in re.findall(r"\]\(([^)]+)\)", cell.source):
            assert target.startswith("https://") or (FOLDER / target).exists(), target


@each_notebook
def test_it_uses_what_dcgan_has_and_makes_public(path):
    cells = [
        (cell.id, list(ast.walk(ast.parse(cell.source)))) for cell in of_kind(read(path), "code")
    ]
    known = {}  # what is imported from dcgan, by the notebook's names for it
    for node in (node for _, nodes in cells for node in nodes if isinstance(node, ast.ImportFrom)):
        for alias in node.names if node.module.startswith("dcgan") else ():
            assert not alias.name.startswith("_")
            with contextlib.suppress(ModuleNotFoundError):  # it may be in the package itself
                importlib.import_module(f"{node.module}.{alias.name}")
            known[alias.asname or alias.name] = getattr(
                importlib.import_module(node.module), alias.name
            )
    for name, node in ((name, node) for name, nodes in cells for node in nodes):
        if isinstance(node, ast.Attribute):
            assert not re.match(r"_[^_]", node.attr), f"{node.attr} in {name}"
            if isinstance(node.value, ast.Name) and inspect.ismodule(known.get(node.value.id)):
                assert hasattr(known[node.value.id], node.attr), ast.unparse(node)


@each_notebook
def test_what_its_answers_call_is_defined_or_imported(path):
    book = read(path)
    source = "\n".join(cell.source for cell in of_kind(book, "code"))
    nodes = list(ast.walk(ast.parse(re.sub(r"^[%!]", "#", source, flags=re.MULTILINE))))
    known = {node.id for node in nodes if isinstance(node, ast.Name)}
    known |= {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}
    for cell in of_kind(book, "markdown"):
        for code in re.findall("`([^`]+)`", cell.source):
            for called in re.findall(r"(?<![\w.])([a-z]\w*)\.\w+\(", code):
                assert called in known, code


@each_notebook
def test_the_commands_and_flags_it_names_exist(path):
    text = "\n".join(cell.source for cell in read(path).cells)
    for command in re.findall(r"main\.py\s+([a-z_]+)", text):
        assert command in flags.COMMANDS, command
    known = flags.SWITCHES | flags.VALUED | {f"no{name}" for name in flags.SWITCHES}
    for flag in re.findall(r"(?<![\w-])--([a-z_]+)", text):
        assert flag in known, flag
