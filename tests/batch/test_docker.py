"""build_python_image: what it asks of the docker program, and what a real one builds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.errors import BatchException

PROGRAM = """#!/bin/sh
echo "$@" >> '{log}'
if [ "$1" = build ]; then cat "$4/Dockerfile" "$4/requirements.txt" >> '{log}'; fi
echo "docker says $1"
if [ "$1" = "{fails}" ]; then echo 'no space left' >&2; exit 3; fi
"""


class Docker:
    """A program of that name on PATH which writes down what it is asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
        self.log = folder / "asked"
        self.tmp_dir = folder / "images"
        programs = folder / "programs"
        programs.mkdir()
        (programs / "docker").write_text(PROGRAM.format(log=self.log, fails=fails))
        (programs / "docker").chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Docker:
    return Docker(tmp_path, monkeypatch, getattr(request, "param", "nothing"))


def test_packages_are_installed_and_checked_on_top_of_the_base_image(docker: Docker, capsys: pytest.CaptureFixture[str]) -> None:
    name = hb.build_python_image("mine", ["numpy==2.0", "pandas"], python_version="3.12.1", _tmp_dir=str(docker.tmp_dir))

    build, base, copied, install, *packages = docker.asked()
    assert (name, packages) == ("mine", ["numpy==2.0", "pandas"])
    assert build.startswith(f"build -t mine {docker.tmp_dir}/")
    assert base == "FROM hailgenetics/python-dill:3.12-slim"
    assert copied == "COPY requirements.txt /requirements.txt"
    assert "pip install" in install
    assert "pip check" in install
    assert capsys.readouterr().out == "building docker image mine\nfinished building image mine\n"
    assert list(docker.tmp_dir.iterdir()) == []


def test_without_packages_the_base_image_is_pulled_and_named_and_a_repository_gets_it(docker: Docker, capsys: pytest.CaptureFixture[str]) -> None:
    base = f"hailgenetics/python-dill:{sys.version_info.major}.{sys.version_info.minor}"
    hb.build_python_image("registry.example/mine", slim=False)

    assert docker.asked() == [f"pull {base}", f"tag {base} registry.example/mine", "push registry.example/mine"]
    assert capsys.readouterr().out == f"finished pulling image {base}\nfinished pushing image registry.example/mine\n"


@pytest.mark.parametrize("docker", ["build"], indirect=True)
def test_a_failure_of_docker_is_told_with_its_output_and_nothing_stays(docker: Docker) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        hb.build_python_image("mine", ["numpy"], _tmp_dir=str(docker.tmp_dir))

    assert caught.value.returncode == 3
    assert caught.value.output == "docker says build\nno space left\n"
    assert "no space left" in caught.value.__notes__[0]
    assert list(docker.tmp_dir.iterdir()) == []


@pytest.mark.parametrize("docker", ["pull"], indirect=True)
def test_the_output_of_docker_can_be_shown_instead(docker: Docker, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        hb.build_python_image("mine", show_docker_output=True)

    said = capfd.readouterr()
    assert "docker says pull" in said.out
    assert "no space left" in said.err
    assert docker.asked()[0].startswith("pull ")


@pytest.mark.parametrize(("version", "words"), [("3.8", "not supported"), ("2.7.18", "not supported"), ("3", "is not a version"), ("new", "is not a version")])
def test_a_python_that_is_too_old_or_none_is_refused(docker: Docker, version: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        hb.build_python_image("mine", ["numpy"], python_version=version)

    assert not docker.log.exists()


def test_a_machine_without_docker_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BatchException, match=r"no program 'docker' is on PATH"):
        hb.build_python_image("mine")
