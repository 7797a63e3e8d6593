"""The documents: their links lead somewhere, their contents are complete, their programs run.

The commands in them are tried in commands/test_command_line.py.
"""

import re
from pathlib import Path

import pytest
from running import ROOT, python
from toy_run import Z_DIM, toy_run

README = ROOT / "README.md"
CHINESE = ROOT / "README.zh-CN.md"
DOCUMENTS = sorted((ROOT / "docs").glob("*.md"))
ALL = [README, CHINESE, ROOT / "flags.md", *DOCUMENTS]
LONG = 80  # lines; longer documents begin with contents


def text_of(path: Path) -> str:
    """Without blocks of code."""
    return re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def headings(path: Path) -> list[str]:
    return re.findall(r"^#+ (.*)$", text_of(path), re.MULTILINE)


def anchor(heading: str) -> str:
    """As GitHub makes them."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings_that_are_there(path):
    for link in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text_of(path)):
        link = "".join(link)
        if re.match(r"https?://", link):
            continue
        file, _, fragment = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        if fragment:
            assert fragment in map(anchor, headings(target)), link


def test_every_document_is_within_reach_of_the_readme():
    reached = {README}
    for _ in ALL:
        texts = [(path, text_of(path)) for path in reached if path.suffix == ".md"]
        for path, text in texts:
            links = re.findall(r"\]\(([^)\s#]+)", text)
            reached |= {(path.parent / link).resolve() for link in links if "://" not in link}
    assert set(ALL) <= reached


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_long_documents_begin_with_their_contents(path):
    text = path.read_text("utf-8")
    sections = re.findall(r"^## (.*)$", text_of(path), re.MULTILINE)
    if len(text.splitlines()) > LONG:
        before = text.partition("\n## ")[0]
        assert re.findall(r"^\* \[.*\]\(#(.*)\)$", before, re.M) == list(map(anchor, sections))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_tables_have_a_head_and_rows_of_as_many_cells(path):
    for table in re.findall(r"(?:^\|.*\n)+", text_of(path), re.MULTILINE):
        head, line, *rows = table.splitlines()
        assert re.fullmatch(r"\|( ?:?-+:? ?\|)+", line), head
        cells = [len(re.findall(r"(?<!\\)\|", row)) for row in (head, line, *rows)]
        assert len(set(cells)) == 1, head


def test_the_readme_is_two_screens():
    assert len(README.read_text("utf-8").splitlines()) <= 150


def parts(path: Path) -> dict[str, list]:
    """What a translation keeps, in order; within a paragraph words may change places."""
    text = path.read_text("utf-8")
    other = CHINESE if path == README else README
    prose = re.sub(r"`[^`]*`|\]\([^)]*\)", " ", text_of(path))
    return {
        "headings": [len(marks) for marks in re.findall(r"^(#+) ", text_of(path), re.MULTILINE)],
        "blocks": re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL),
        "rows": [line.count("|") for line in text.splitlines() if line.startswith("|")],
        "points": len(re.findall(r"^\* ", text, re.MULTILINE)),
        "links": sorted(set(re.findall(r"\]\(([^)\s]+)\)", text)) - {other.name}),
        "code": sorted(re.findall(r"`([^`\n]+)`", text_of(path))),
        "numbers": sorted(re.findall(r"\d[\d,.]*\d|\d", prose)),
    }


def test_the_chinese_readme_says_the_same():
    english, chinese = parts(README), parts(CHINESE)
    for part, expected in english.items():
        assert chinese[part] == expected, part
    assert len(english["code"]) > 40 and len(english["numbers"]) > 40 and english["points"] == 9


def test_serving_md_has_every_address_that_the_server_has(tmp_path):
    pytest.importorskip("fastapi")
    from dcgan.serving.app import make_app

    class Service:
        name, metrics, memory = "dcgan", None, None

    text = (ROOT / "docs" / "serving.md").read_text("utf-8")
    for path in make_app(Service()).openapi()["paths"]:
        shown = path.replace("/image/{seed}.png", "/image/7.png")
        assert re.search(rf"`{re.escape(shown)}[`?]", text), path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("heading", "form", "package"),
    [("ONNX in four lines", "onnx", "onnxruntime"), ("LiteRT in four lines", "litert", "ai_edge")],
)
def test_the_programs_of_serving_md_draw(heading, form, package, tmp_path):
    pytest.importorskip({"ai_edge": "ai_edge_litert"}.get(package, package))
    pytest.importorskip("tf2onnx")
    text = (ROOT / "docs" / "serving.md").read_text("utf-8")
    program = re.search(rf"## {heading}\n+```python\n(.*?)```", text, re.DOTALL)[1]
    assert len([line for line in program.splitlines() if line]) == 4
    root = toy_run(tmp_path / "run")
    words = (ROOT / "main.py", "export", "--run_dir", root, "--format", form)
    python(*words).check_returncode()
    program = program.replace("100", str(Z_DIM)) + "print(images.shape, abs(images).max() <= 1)"
    drawn = python("-I", "-c", program, cwd=root / "export")
    assert drawn.stdout == "(4, 16, 16, 3) True\n", drawn.stderr
