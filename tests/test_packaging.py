"""What a user installs: the wheel holds the built front end and the server's configuration, needs no Node, and declares its packages."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from importlib.metadata import requires as requirements_of
from pathlib import Path

import pytest

from tests.requirements import ROOT
from tests.test_architecture import PACKAGE, sources

pytestmark = [pytest.mark.slow, pytest.mark.requires("built front end")]

SHARE = "share/jupyter/labextensions/hail-batch-jupyter"
NAMED = {"ipywidgets", "ipykernel", "jupyterlab", "dill", "anywidget", "google-cloud-storage", "pandas"}
NO_NODE = {"PATH": "/nonexistent", "SOURCE_DATE_EPOCH": "1700000000"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of this tree, and the wheel that was built from that sdist where there is no Node."""
    folder = tmp_path_factory.mktemp("dist")
    hatch("sdist", ROOT, folder)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (tree,) = (folder / "unpacked").iterdir()
    hatch("wheel", tree, folder)
    return folder


def hatch(target: str, tree: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    done = subprocess.run(command, cwd=tree, env=NO_NODE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(built: Path) -> Iterator[zipfile.ZipFile]:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


def data(wheel: zipfile.ZipFile, path: str) -> list[str]:
    """Names in the wheel that are installed below `path` of the environment."""
    return [name for name in wheel.namelist() if re.match(rf"[^/]+\.data/data/{re.escape(path)}", name)]


def test_the_wheel_holds_the_built_extension(wheel: zipfile.ZipFile) -> None:
    (manifest,) = data(wheel, f"{SHARE}/package.json")
    (entry,) = data(wheel, f"{SHARE}/{json.loads(wheel.read(manifest))['jupyterlab']['_build']['load']}")

    assert wheel.getinfo(entry).file_size > 0
    assert len(data(wheel, f"{SHARE}/install.json")) == 1


def test_the_wheel_holds_the_widget(wheel: zipfile.ZipFile) -> None:
    for name in ("widget.js", "widget.css"):
        assert wheel.getinfo(f"{PACKAGE}/jupyter/static/{name}").file_size > 0


def test_the_wheel_enables_the_server_extension(wheel: zipfile.ZipFile) -> None:
    (name,) = data(wheel, "etc/jupyter/jupyter_server_config.d/")

    assert json.loads(wheel.read(name)) == {"ServerApp": {"jpserver_extensions": {PACKAGE: True}}}


def test_the_wheel_holds_the_licences(wheel: zipfile.ZipFile, metadata: Message) -> None:
    assert metadata["License-Expression"] == "MIT"
    assert [name for name in wheel.namelist() if name.endswith("/licenses/LICENSE")]
    assert data(wheel, f"{SHARE}/static/third-party-licenses.json")


def test_the_wheel_holds_every_module_and_nothing_of_the_workshop(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    modules = {f"{module.replace('.', '/')}.py" for module in sources()} | {f"{module.replace('.', '/')}/__init__.py" for module in sources()}

    assert {name for name in names if name.endswith(".py")} == modules & set(names)
    assert len(modules & set(names)) == len(sources())
    assert f"{PACKAGE}/py.typed" in names
    assert [name for name in names if re.search(r"\.map$|\.orig$|\.tsx?$|__pycache__|node_modules|(^|/)(tests?|benchmarks|notebooks)/", name)] == []


def test_the_version_is_the_one_of_package_json(metadata: Message) -> None:
    assert metadata["Version"] == json.loads((ROOT / "package.json").read_text())["version"]


def test_the_wheel_declares_the_packages_that_a_user_was_promised(metadata: Message) -> None:
    assert declared(metadata) >= NAMED


def declared(metadata: Message) -> set[str]:
    return {normal(re.split(r"[^\w.-]", text)[0]) for text in metadata.get_all("Requires-Dist", [])}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_imported_package_is_declared_or_comes_with_a_declared_one(metadata: Message) -> None:
    known = {name: {normal(found) for found in distributions} for name, distributions in packages_distributions().items()}
    brought = closure(declared(metadata), set().union(*known.values()))
    undeclared = {name for name in imported() if not known.get(name, set()) & brought}

    assert undeclared == set()


def imported() -> set[str]:
    """Top-level names of all foreign packages that the package imports anywhere."""
    found: set[str] = set()
    for tree in sources().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {PACKAGE}


def closure(names: set[str], installed: set[str]) -> set[str]:
    """The named distributions and all installed ones that they require, extras left out."""
    done: set[str] = set()
    todo = set(names)
    while todo:
        name = todo.pop()
        done.add(name)
        texts = [text for text in (requirements_of(name) if name in installed else None) or [] if "extra ==" not in text]
        todo |= {normal(re.split(r"[^\w.-]", text)[0]) for text in texts} & installed - done
    return done


def test_the_sdist_holds_what_a_build_without_node_needs(built: Path) -> None:
    (tree,) = (built / "unpacked").iterdir()

    for name in ("package.json", "package-lock.json", "install.json", "LICENSE", f"{PACKAGE}/jupyter/static/widget.js", f"{PACKAGE}/labextension/package.json"):
        assert (tree / name).is_file(), name
    assert not (tree / "node_modules").exists()
