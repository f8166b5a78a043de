"""build_python_image with a real docker engine: a package from a wheel that lies in the base image, as there is no network."""

from __future__ import annotations

import ensurepip
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

import hail_batch_jupyter.batch as hb
from tests.conftest import free_port, wait_until
from tests.executors.engines import IMAGE, RealEngine

pytestmark = pytest.mark.parametrize("started_engine", [pytest.param("docker", marks=pytest.mark.requires("docker"))], indirect=True)

BASE = f"hailgenetics/python-dill:{sys.version_info[0]}.{sys.version_info[1]}-slim"
NO_NETWORK = ["--no-index", "--find-links /wheels"]
ROOT_IS_NO_SIN = "ENV PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1"


def wheel(folder: Path, name: str, needs: str = "") -> None:
    """A package of one module, in which WORD is its name."""
    info = f"{name}-1.0.dist-info"
    required = f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as made:
        made.writestr(f"{name}.py", f"WORD = {name!r}\n")
        made.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{required}")
        made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@pytest.fixture
def base(engine: RealEngine, tmp_path: Path) -> RealEngine:
    """The image of the tests with pip and wheels, under the name of the base image."""
    context = tmp_path / "base"
    (context / "wheels").mkdir(parents=True)
    wheel(context / "wheels", "tiny")
    wheel(context / "wheels", "needy", "tiny")
    (bundled,) = Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl")
    with zipfile.ZipFile(bundled) as pip:
        pip.extractall(context / "pip")
    (context / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY pip /opt/packages\nCOPY wheels /wheels\n{ROOT_IS_NO_SIN}\n")
    engine.ask("build", "--tag", BASE, str(context))
    return engine


def test_a_job_finds_the_packages_of_the_image_that_was_built_for_it(base: RealEngine, tmp_path: Path) -> None:
    def word_of(module: str) -> Any:
        import importlib

        return importlib.import_module(module).WORD

    images = tmp_path / "images"
    name = hb.build_python_image("hbj-needy", [*NO_NETWORK, "needy==1.0"], _tmp_dir=str(images))
    b = hb.Batch(backend=hb.LocalBackend(tmp_dir=str(tmp_path)), default_python_image=name)
    words = [b.new_python_job().call(word_of, module) for module in ("needy", "tiny")]
    b.run(delete_scratch_on_exit=False)

    assert [word.result() for word in words] == ["needy", "tiny"]
    assert list(images.iterdir()) == []


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """The address of a registry with nothing in it."""
    port = free_port()
    config = tmp_path / "registry.yml"
    config.write_text(f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {tmp_path}/registry\nhttp:\n  addr: 127.0.0.1:{port}\n")
    with open(tmp_path / "registry.log", "w") as log:
        server = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
    try:
        wait_until(lambda: tags(f"127.0.0.1:{port}", "none") is not None, story=(tmp_path / "registry.log").read_text)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(90)


def tags(address: str, name: str) -> list[str] | None:
    """The tags of an image that a registry has; None while it does not answer."""
    connection = HTTPConnection(address, timeout=90)
    try:
        connection.request("GET", f"/v2/{name}/tags/list")
        answer = connection.getresponse()
        return list(json.loads(answer.read()).get("tags", ()))
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()


@pytest.mark.slow
@pytest.mark.requires("docker-registry")
def test_an_image_named_for_a_repository_is_pushed_there(base: RealEngine, registry: str, tmp_path: Path) -> None:
    name = hb.build_python_image(f"{registry}/lab/needy:1.0", [*NO_NETWORK, "needy"], _tmp_dir=str(tmp_path / "images"))

    assert name == f"{registry}/lab/needy:1.0"
    assert tags(registry, "lab/needy") == ["1.0"]
    assert tags(registry, "lab/other") == []


def test_a_package_that_is_nowhere_fails_with_what_pip_says(base: RealEngine, tmp_path: Path) -> None:
    images = tmp_path / "images"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        hb.build_python_image("hbj-absent", [*NO_NETWORK, "absent"], _tmp_dir=str(images))

    assert "No matching distribution found for absent" in caught.value.output
    assert list(images.iterdir()) == []
    assert "hbj-absent" not in base.ask("images", "--format", "{{.Repository}}").split()
