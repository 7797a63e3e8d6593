"""The shape of the code: imports point down, parts do not know one another, the house measures."""

import ast
import functools
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "dcgan"
MODULES = sorted(PACKAGE.rglob("*.py"))
CODE = [ROOT / "main.py", *MODULES]
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# The house: what stands on what. A unit may import those of lower levels, never one of its own. A
# unit is a folder of dcgan/, a module beside them, or a module that a level names by itself. The
# lowest ones are of numbers, paths and this process alone.
LEVELS = (
    ("disk", "extras", "images", "plain_path", "program", "surroundings"),
    ("files", "terminal"),
    ("cli", "models"),
    ("latent",),
    ("datasets", "distributed", "serving"),
    ("preparation", "run"),
    ("evaluation", "export", "outputs", "training"),
    ("training.trainer",),  # introduces the parts of a training to one another
    ("benchmarks",),
    ("commands",),
    ("__main__",),
    ("main",),
)
LEVEL = {unit: level for level, units in enumerate(LEVELS) for unit in units}
# What the lowest units may import besides the standard library.
THIRD_PARTY = {
    "disk": set(),
    "extras": set(),
    "files": set(),
    "plain_path": set(),
    "program": set(),
    "images": {"numpy", "PIL", "imageio"},
    "surroundings": {"matplotlib"},
    "terminal": {"tqdm"},
    "cli": {"absl"},
    "run.run_dir": set(),
    "latent.seeds": set(),
}
# Who may import nothing else of this project: networks, losses, the loop and data sets know nothing
# of one another, and the server nothing of training.
ALONE = {
    "models": set(),
    "training.losses": set(),
    "training.loop": set(),
    "training.augment": set(),
    "datasets": {"cli.data_names", "cli.option", "disk", "extras", "files", "images", "terminal"},
    "serving": {"images", "latent", "plain_path"},
}
# Who may know the options objects; everything else takes plain, named values.
OPTIONS = ("command_options", "data_options", "recorded", "run_options", "train_options")
KNOW_OPTIONS = {"cli", "training.trainer", "commands", "__main__"}


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def dotted(path: Path) -> str:
    """cli.flags for dcgan/cli/flags.py, images for dcgan/images.py, main for main.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[1:] or parts).removesuffix(".__init__")


def unit(name: str) -> str:
    """datasets for datasets.mnist, images for images.grid; training.trainer is its own."""
    parts = name.split(".")
    module = ".".join(parts[:2])
    return module if module in LEVEL else parts[0]


def of(table: dict, name: str):
    """What a table says of a module, by itself or by its folder; None where it says nothing."""
    return table.get(name, table.get(name.split(".")[0]))


def within(name: str, units: set[str]) -> bool:
    """Whether a module, or something in it, is among modules and folders."""
    return any(f"{name}.".startswith(f"{one}.") for one in units)


def imports(node: ast.AST) -> list[str]:
    """What a file imports anywhere: "dcgan.images.grid" of `from dcgan.images import grid`."""
    found = []
    for part in ast.walk(node):
        if isinstance(part, ast.Import):
            found += [alias.name for alias in part.names]
        elif isinstance(part, ast.ImportFrom):
            prefix = "." * part.level + (part.module or "")
            found += [f"{prefix}.{alias.name}" for alias in part.names]
    return found


def wrong_imports(importer: str, node: ast.AST) -> list[str]:
    """The imports that a module must not have."""
    wrong, room = [], importer.split(".")[0]
    allowed = of(THIRD_PARTY, importer)
    for name in imports(node):
        first, _, rest = name.partition(".")
        if name in ("dcgan.UserError", "dcgan.__version__"):
            continue
        if first == "dcgan" and rest and unit(rest) in LEVEL:
            mine, theirs = unit(importer), unit(rest)
            below = LEVEL[theirs] < LEVEL[mine] or theirs == mine
            alone = of(ALONE, importer)
            known = alone is None or within(rest, {room} if room in ALONE else {importer})
            if not below or not (known or within(rest, alone)):
                wrong.append(name)
        elif first in ("", "dcgan", "main", "tests"):
            wrong.append(name)  # a relative import, or one of a unit that no level names
        elif allowed is not None and first not in sys.stdlib_module_names | allowed:
            wrong.append(name)
    return wrong


@pytest.mark.parametrize(
    ("importer", "line", "is_wrong"),
    [
        ("models.layers", "from dcgan import UserError", False),
        ("models.network", "from dcgan.models.layers import x", False),
        ("models", "def f():\n    from dcgan.training.state import GANState", True),
        ("datasets.arrays", "from dcgan.cli.option import did_you_mean", False),
        ("datasets.arrays", "from dcgan.cli import train_options", True),
        ("training.losses", "from dcgan.training.state import GANState", True),
        ("training.step", "from dcgan.training.state import GANState", False),
        ("training.step", "from dcgan.training.trainer import Trainer", True),
        ("outputs.plots", "import dcgan.training.health", True),
        ("training.state", "from .models import Generator", True),
        ("commands.train", "from dcgan.utils import x", True),
        ("cli.flags", "from absl import flags", False),
        ("cli.flags", "import numpy as np", True),
        ("run.run_dir", "import numpy as np", True),
    ],
)
def test_the_check_of_imports_tells_right_from_wrong(importer, line, is_wrong):
    assert bool(wrong_imports(importer, ast.parse(line))) == is_wrong


def test_imports_point_down_only():
    first, *others = [PACKAGE / "__init__.py", *(p for p in CODE if p != PACKAGE / "__init__.py")]
    assert imports(tree(first)) == []  # everything imports it
    wrong = {str(path): wrong_imports(dotted(path), tree(path)) for path in others}
    assert {path: found for path, found in wrong.items() if found} == {}


def test_the_house_has_these_rooms():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert folders | modules | {"main"} == {unit for unit in LEVEL if "." not in unit}
    assert modules == {*LEVELS[0], "files", "__main__"}
    # tests/ has a folder a room; what several of them share is in tests/fixtures.
    shared = {path.parent.name for path in TESTS if path.parent != ROOT / "tests"} - folders
    assert shared == {"fixtures"}
    stems = [path.stem for path in TESTS]
    assert len(set(stems)) == len(stems), "pytest imports test files by their names alone"


def knows_options(node: ast.AST) -> bool:
    """Whether a file can name an options object."""
    return any(within(n, {f"dcgan.cli.{name}" for name in OPTIONS}) for n in imports(node))


def test_the_options_end_in_commands_and_the_trainer():
    assert knows_options(ast.parse("from dcgan.cli.data_options import Crop"))
    assert knows_options(ast.parse("from dcgan.cli import train_options"))
    assert not knows_options(ast.parse("from dcgan.cli.option import did_you_mean"))
    knowing = {unit(dotted(path)) for path in CODE if knows_options(tree(path))}
    assert knowing <= KNOW_OPTIONS


def test_only_the_pipeline_and_tfrecord_know_tensorflow_among_the_data_sets():
    for path in (PACKAGE / "datasets").glob("*.py"):
        found = imports(tree(path))
        knows = any(name.split(".")[0] in ("tensorflow", "keras") for name in found)
        assert knows == (path.name in ("pipeline.py", "tfrecord.py")), path
        # Worker processes import these files: none may bring TensorFlow in by a detour.
        assert not any(name.startswith("dcgan.datasets.pipeline") for name in found), path


def module_graph() -> dict[str, set[str]]:
    """Module name -> modules of this project that it names in an import."""
    modules = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
        for p in CODE
    }
    graph = {}
    for name, path in modules.items():
        found = imports(tree(path))
        # `from dcgan.models import Generator` names the module dcgan.models, not one below it.
        graph[name] = {n if n in modules else n.rpartition(".")[0] for n in found} & modules.keys()
    return graph


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of a cycle, or of what leads to one; none when there is none."""
    left = dict(graph)
    while leaves := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in leaves:
            del left[name]
    return sorted(left)


def test_there_are_no_import_cycles():
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]
    graph = module_graph()
    assert "dcgan.images" in graph["dcgan.training.trainer"]
    assert cycle(graph) == []


def test_no_file_is_a_place_for_everything():
    stems = {path.stem for path in (*CODE, *TESTS)} | {path.name for path in PACKAGE.iterdir()}
    assert not stems & {"utils", "util", "common", "helpers", "helper", "misc"}


def test_the_pixel_range_has_one_home():
    homes = [path for path in CODE if re.search(r"127\.5", path.read_text("utf-8"))]
    assert homes == [PACKAGE / "images.py"]


def swallowing(node: ast.AST) -> list[str]:
    """What must not be in a file: assertions, and handlers of any error that raise none."""
    found = []
    for part in ast.walk(node):
        if isinstance(part, ast.Assert):
            found.append(f"assert in line {part.lineno}")
        if isinstance(part, ast.ExceptHandler):
            caught = "" if part.type is None else ast.unparse(part.type)
            raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(part))
            if caught in ("", "Exception", "BaseException") and not raises:
                found.append(f"`except {caught}` without raise in line {part.lineno}")
    return found


def test_no_assert_and_no_swallowed_error():
    for wrong in ("assert x", "try: x\nexcept: y", "try: x\nexcept Exception: y"):
        assert len(swallowing(ast.parse(wrong))) == 1
    assert not swallowing(ast.parse("try: x\nexcept Exception: raise\ntry: x\nexcept OSError: y"))
    wrong = {str(path): swallowing(tree(path)) for path in CODE}
    assert {path: found for path, found in wrong.items() if found} == {}


def unwieldy(node: ast.AST) -> list[str]:
    """The functions that are too long or take too much."""
    found = []
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            positional = [a.arg for a in (*part.args.posonlyargs, *part.args.args)]
            positional = positional[positional[:1] in (["self"], ["cls"]) :]
            lines = part.end_lineno - part.lineno + 1
            if lines > 80 or len(positional) + len(part.args.kwonlyargs) > 7:
                found.append(f"{part.name} in line {part.lineno}")
    return found


def test_functions_are_short_and_take_few_arguments():
    assert unwieldy(ast.parse("def f(a, b, c, d, e, f, *, g, h): pass"))
    assert unwieldy(ast.parse("def f():\n" + " x\n" * 80))
    assert not unwieldy(ast.parse("def f(self, b, c, d, e, f, *, g, h):\n" + " x\n" * 79))
    wrong = {str(path): unwieldy(tree(path)) for path in CODE}
    assert {path: found for path, found in wrong.items() if found} == {}


def test_files_are_short():
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in (*CODE, *TESTS)}
    assert lines[ROOT / "main.py"] <= 60
    most = {path: 500 if path in TESTS else 400 for path in lines}
    assert {str(path.relative_to(ROOT)): n for path, n in lines.items() if n > most[path]} == {}
