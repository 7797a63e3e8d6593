"""The package: its extras, what its wheel holds, and the program that it installs."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib import metadata, util
from pathlib import Path

import pytest
import requests
from packaging.specifiers import SpecifierSet
from running import QUIET, ROOT, TIMEOUT, python, small_flags, write_pictures

from dcgan import UserError, __version__, extras, program
from dcgan.cli import command_options
from dcgan.datasets import cache_folder

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def listed(name: str) -> set[str]:
    """The requirements of a file, without blanks and comments."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return {line for line in lines if line and not line.startswith("-r")}


def all_of(extra: str) -> set[str]:
    """An extra's requirements, and those of the extras that it names."""
    found = set()
    for need in EXTRAS[extra]:
        inner = re.fullmatch(r"dcgan\[(.*)\]", need)
        found |= {n for e in inner[1].split(",") for n in all_of(e)} if inner else {need}
    return found


def test_the_requirement_files_are_the_packages():
    pytest_ = next(need for need in EXTRAS["dev"] if need.startswith("pytest>="))
    assert listed("requirements.txt") == {*PROJECT["dependencies"], pytest_}
    assert listed("requirements-dev.txt") | {pytest_} == all_of("dev")


def test_all_is_every_extra_but_dev():
    assert all_of("all") == set().union(*(all_of(e) for e in EXTRAS if e not in ("all", "dev")))


def test_the_lowest_python_has_each_package_whose_lowest_version_is_installed_here():
    lowest = re.search(r">=([\d.]+)", PROJECT["requires-python"])[1]
    for need in {*PROJECT["dependencies"], *all_of("dev")}:
        name, least = re.match(r"([\w-]+)>=([\d.]+)", need).groups()
        try:
            installed = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # tests that need it are skipped
        if f"{installed.version}.".startswith(f"{least}."):  # newer ones may want a newer Python
            assert lowest in SpecifierSet(installed.metadata["Requires-Python"] or ""), need


def test_what_the_code_and_the_documents_tell_to_install_is_in_an_extra():
    known = {need for needs in EXTRAS.values() for need in needs} | set(PROJECT["dependencies"])
    texts = [path.read_text("utf-8") for path in (ROOT / "dcgan").rglob("*.py")]
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        texts.append(path.read_text("utf-8").replace("[and-cuda]", ""))
    for text in texts:
        named = re.findall(r"extras\.(?:command\(|require\([^()]*?, )[\"'](\w+)[\"']", text)
        named += re.findall(r"pip install[^`\n]*\[(\w+)\]", text)
        assert set(named) <= {*EXTRAS, "extra"}
        assert set(re.findall(r"[\w-]+>=[\d.]+,<[\d.]+", text)) <= known


def test_the_advice_is_right_in_a_checkout_and_in_a_wheel(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    assert extras.install_command("serve") == 'pip install -e ".[serve]"'
    monkeypatch.chdir(tmp_path)
    assert f"{ROOT}[serve]" in extras.install_command("serve")
    monkeypatch.setattr(extras, "CHECKOUT", None)
    assert extras.install_command("serve") == 'pip install "dcgan[serve]"'
    extras.require("It", "serve", "json")
    with pytest.raises(UserError, match=r"^It needs no_a, no_b, not .*dcgan\[serve\]"):
        extras.require("It", "serve", "json", "no_a", "no_b")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    if not (util.find_spec("build") and util.find_spec("hatchling")):
        pytest.skip("needs build and hatchling")
    to, source = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("source")
    for copied in re.findall(r"^COPY (\w.*) \S+$", (ROOT / "Dockerfile").read_text(), re.M):
        for path in map(ROOT.joinpath, copied.split()):
            (shutil.copytree if path.is_dir() else shutil.copy)(path, source / path.name)
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", to, source]
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    return next(to.glob("*.whl"))


def test_in_the_image_the_cache_lies_where_the_runs_do(monkeypatch):
    text = (ROOT / "Dockerfile").read_text()
    for name, value in re.findall(r"^ENV (\w+)=(.*)$", text, re.M):
        monkeypatch.setenv(name, value)
    folder = Path(re.findall(r"^WORKDIR (.*)$", text, re.M)[-1])
    assert cache_folder._in_home() == folder / ".cache" / "dcgan"


def test_the_wheel_holds_every_file_of_the_package(wheel):
    kept = {p for p in (ROOT / "dcgan").rglob("*") if p.is_file() and p.suffix != ".pyc"}
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {str(p.relative_to(ROOT)) for p in kept} <= names
    assert not any(n.startswith(("tests/", "main.py")) for n in names)


@pytest.mark.parametrize(
    ("start", "name"), [(["main.py"], "python main.py"), (["-m", "dcgan"], "python -m dcgan")]
)
def test_the_starts_are_the_same_but_for_their_name(start, name):
    def answer(*words):
        ended = python(*start, *words)
        return ended.returncode, ended.stdout, ended.stderr

    code, said, wrong = answer("--version")
    assert (code, said, wrong) == (0, f"dcgan {__version__}\n", "")
    code, said, wrong = answer("crop", "--help")
    assert said.startswith(f"usage: {name} crop --from")
    assert (code, wrong) == (0, "") and "--min_neighbours" in said
    code, said, wrong = answer("trian")
    assert (code, said) == (2, "") and "did you mean train?" in wrong
    assert f": {name} --dataset trian\n" in wrong


@pytest.mark.parametrize(
    ("started", "name"),
    [
        ("/usr/local/bin/dcgan", "dcgan"),
        ("dcgan.exe", "dcgan"),
        ("/site-packages/dcgan/__main__.py", "python -m dcgan"),
        ("main.py", "python main.py"),
        ("/site-packages/pytest/__main__.py", "python main.py"),
        ("/home/dcgan/main.py", "python main.py"),
        ("", "python main.py"),
    ],
)
def test_messages_name_the_program_as_it_was_started(started, name, monkeypatch):
    assert program.name(started) == name
    monkeypatch.setattr(sys, "argv", [started])
    assert program.command_line("pack", "--from", Path("a b")) == f"{name} pack --from 'a b'"
    assert command_options.usage("inspect") == f"{name} inspect"


def install(env: Path, *words) -> None:
    pip = [sys.executable, "-m", "pip", "--python", env / "bin" / "python", "install", "--no-index"]
    subprocess.run([*pip, *words], check=True, capture_output=True, timeout=TIMEOUT)


@pytest.fixture(scope="module")
def env(wheel, tmp_path_factory) -> Path:
    """An environment with the wheel; what it needs is linked beside it from this environment."""
    if os.name == "nt":
        pytest.skip("programs lie elsewhere in the environment")
    venv.create(env := tmp_path_factory.mktemp("env"))
    site = next((env / "lib").glob("python*/site-packages"))
    for path in Path(pytest.__file__).parents[1].iterdir():
        if not path.name.startswith(("dcgan", "__")) and path.suffix != ".pth":
            (site / path.name).symlink_to(path)
    install(env, "--no-deps", wheel)
    return env


def in_folder(folder: Path) -> dict:
    """Arguments of a process that runs the installed program there."""
    return {"cwd": folder, "env": os.environ | QUIET, "text": True, "stdout": subprocess.PIPE}


def test_the_wheels_program_works_in_an_empty_folder(env, tmp_path):
    write_pictures(tmp_path / "pictures", 3)
    words = [env / "bin" / "dcgan", "pack", "--from", "pictures", "--to", "packed.zip"]
    done = subprocess.run(words, check=True, timeout=TIMEOUT, **in_folder(tmp_path))
    assert "dcgan --dataset packed.zip" in done.stdout
    assert len(zipfile.ZipFile(tmp_path / "packed.zip").namelist()) >= 3


@pytest.mark.slow  # TensorFlow starts four times
def test_the_wheel_trains_and_serves_from_an_empty_environment_and_folder(env, wheel, tmp_path):
    install(env, f"{wheel}[serve]")  # whose needs are all there
    dcgan, empty = env / "bin" / "dcgan", tmp_path / "empty"
    empty.mkdir()
    flags = small_flags(write_pictures(tmp_path / "pictures", 32), empty)
    for words in (["--steps", "2", *flags], ["report", "--run_dir", "run"]):
        subprocess.run([dcgan, *words], check=True, timeout=TIMEOUT, **in_folder(empty))
    assert (empty / "run" / "report.html").exists()
    words = ["serve", "--run_dir", "run", "--port", "0"]
    with subprocess.Popen([dcgan, *words], **in_folder(empty)) as process:
        try:
            found = filter(None, (re.search(r"at (http://\S+)", line) for line in process.stdout))
            address = next(found)[1]
            for path in ("image/7.png", "explorer/", "explorer/main.js", "explorer/style.css"):
                assert requests.get(f"{address}/{path}", timeout=TIMEOUT).ok
        finally:
            process.terminate()
