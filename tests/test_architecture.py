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
TESTS = sorted((ROOT / "tests").glob("*.py"))

# What stands on what: a unit may import those of lower levels, never one of its own level.
LEVELS = (
    ("option", "data_names", "disk", "plain_path"),
    ("options", "presets"),
    ("config", "console", "images", "run_dir", "seeds", "surroundings"),
    ("progress", "quiet"),
    ("flags", "recorded", "datasets", "models", "losses", "adam", "checkpoint_file"),
    ("state", "checkpoint", "sampling", "latent", "nearest", "preparation"),
    ("training", "outputs", "evaluation", "export"),
    ("serving", "session", "trained"),
    ("benchmarks",),
    ("commands",),
    ("main",),
)
LEVEL = {unit: level for level, units in enumerate(LEVELS) for unit in units}
# What the lowest units may import besides the standard library.
THIRD_PARTY = {
    "option": set(),
    "options": set(),
    "config": set(),
    "console": set(),
    "data_names": set(),
    "disk": set(),
    "plain_path": set(),
    "presets": set(),
    "run_dir": set(),
    "quiet": set(),
    "surroundings": {"matplotlib"},
    "progress": {"tqdm"},
    "seeds": set(),
    "images": {"numpy", "PIL", "imageio"},
    "flags": {"absl"},
}
# Who may know the options objects; everything else takes plain, named values.
KNOW_CONFIG = {"recorded", "options", "config", "flags", "session", "commands", "main"}


def names(paths) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def unit(path: Path) -> str:
    """datasets for dcgan/datasets/mnist.py, config for dcgan/cli/train_options.py, main for main.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0] if len(parts) == 1 else parts[1]


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
    """The imports that a unit must not have."""
    wrong = []
    for name in imports(node):
        first, *rest = name.split(".")
        if name == "dcgan.UserError":
            continue
        if first == "dcgan" and rest and rest[0] in LEVEL:
            below = LEVEL[rest[0]] < LEVEL[importer]
            if not below and rest[0] != importer:
                wrong.append(name)
        elif first in ("", "dcgan", "main", "tests"):
            wrong.append(name)  # a relative import, or one of a unit that no level names
        elif importer in THIRD_PARTY and first not in sys.stdlib_module_names:
            if first not in THIRD_PARTY[importer]:
                wrong.append(name)
    return wrong


@pytest.mark.parametrize(
    ("importer", "line", "is_wrong"),
    [
        ("models", "from dcgan import UserError", False),
        ("models", "from dcgan.models.layers import x", False),
        ("models", "import keras", False),
        ("datasets", "from dcgan import images", False),
        ("training", "from dcgan.training.state import GANState", False),
        ("config", "from dcgan.cli.presets import PRESETS", False),
        ("presets", "from dcgan.cli.train_options import Config", True),
        ("options", "from dcgan.cli.train_options import Config", True),
        ("preparation", "from dcgan.datasets.source import Source", False),
        ("datasets", "from dcgan.preparation.duplicates import x", True),
        ("models", "from dcgan import datasets", True),
        ("models", "def f():\n    from dcgan.training.state import GANState", True),
        ("outputs", "import dcgan.training.health", True),
        ("state", "from .models import Generator", True),
        ("commands", "from dcgan.utils import x", True),
        ("config", "import numpy as np", True),
        ("images", "import tensorflow as tf", True),
        ("images", "from PIL import Image", False),
    ],
)
def test_the_check_of_imports_tells_right_from_wrong(importer, line, is_wrong):
    assert bool(wrong_imports(importer, ast.parse(line))) == is_wrong


def test_imports_point_down_only():
    first, *others = [PACKAGE / "__init__.py", *(p for p in CODE if p != PACKAGE / "__init__.py")]
    assert imports(tree(first)) == []  # everything imports it
    assert {unit(path) for path in others} <= LEVEL.keys(), "say in LEVELS where they belong"
    wrong = {str(path): wrong_imports(unit(path), tree(path)) for path in others}
    assert {path: found for path, found in wrong.items() if found} == {}


def knows_options(node: ast.AST) -> bool:
    """Whether a file can name an options object."""
    return any(
        name.startswith(("dcgan.cli.train_options", "dcgan.cli.command_options"))
        for name in imports(node)
    )


def test_the_options_end_in_commands():
    assert knows_options(ast.parse("from dcgan.cli.data_options import Crop"))
    assert not knows_options(ast.parse("from dcgan.cli.option import did_you_mean"))
    assert {unit(path) for path in CODE if knows_options(tree(path))} <= KNOW_CONFIG


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
    stems = {path.stem for path in CODE} | {path.name for path in PACKAGE.iterdir()}
    assert not stems & {"utils", "util", "common", "helpers", "helper", "misc"}


def test_the_pixel_range_has_one_home():
    homes = [path for path in CODE if re.search(r"127\.5", path.read_text("utf-8"))]
    assert names(homes) == ["dcgan/images.py"]


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
