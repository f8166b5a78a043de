"""Container images for Python jobs, built with the docker program of this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from hail_batch_jupyter.errors import BatchException

__all__ = ["build_python_image"]

_BASE = "hailgenetics/python-dill"
_OLDEST = (3, 9)


def build_python_image(
    fullname: str,
    requirements: list[str] | None = None,
    python_version: str | None = None,
    slim: bool = True,
    _tmp_dir: str = "/tmp",
    *,
    show_docker_output: bool = False,
) -> str:
    """Build an image with Python, dill and the packages, and push it if `fullname` names a repository; gives `fullname`.

    requirements     as pip takes them, such as ['pandas==2.2']; without any the base image is pulled and named
    python_version   such as '3.12', default: that of this process; `slim` leaves compilers out
    show_docker_output  docker writes to the terminal instead of into the exception

    Raises ValueError for a Python that is too old, BatchException without a docker program, and subprocess.CalledProcessError, with
    the output, when docker fails.
    """
    base = f"{_BASE}:{_minor_version(python_version)}{'-slim' if slim else ''}"
    if requirements:
        _say(f"building docker image {fullname}")
        _build(fullname, base, requirements, Path(_tmp_dir), show_docker_output)
        _say(f"finished building image {fullname}")
    else:
        _docker(["pull", base], show_docker_output)
        _say(f"finished pulling image {base}")
        _docker(["tag", base, fullname], show_docker_output)
    if "/" in fullname:
        _docker(["push", fullname], show_docker_output)
        _say(f"finished pushing image {fullname}")
    return fullname


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _minor_version(python_version: str | None) -> str:
    """'3.12' of '3.12.1', or of this process."""
    parts = python_version.split(".") if python_version is not None else [str(number) for number in sys.version_info[:2]]
    if len(parts) < 2 or not all(part.isdecimal() for part in parts[:2]):
        raise ValueError(f"python_version {python_version!r} is not a version of Python; write one such as '3.12'")
    if (int(parts[0]), int(parts[1])) < _OLDEST:
        raise ValueError(f"Python {'.'.join(parts[:2])} is not supported; use 3.9 or later")
    return ".".join(parts[:2])


def _build(fullname: str, base: str, requirements: Sequence[str], tmp_dir: Path, show: bool) -> None:
    import tempfile

    tmp_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="python-image-", dir=tmp_dir) as context:
        Path(context, "requirements.txt").write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
        install = "RUN python3 -m pip install --no-cache-dir --upgrade -r /requirements.txt && python3 -m pip check"
        Path(context, "Dockerfile").write_text(f"FROM {base}\nCOPY requirements.txt /requirements.txt\n{install}\n", encoding="utf-8")
        _docker(["build", "-t", fullname, context], show)


def _docker(arguments: Sequence[str], show: bool) -> None:
    import shutil
    import subprocess

    program = shutil.which("docker")
    if program is None:
        raise BatchException(f"'docker {arguments[0]}': no program 'docker' is on PATH; install docker, or build the image on a machine that has it")
    pipe = None if show else subprocess.PIPE
    done = subprocess.run([program, *arguments], stdout=pipe, stderr=None if show else subprocess.STDOUT, text=True, errors="replace", check=False)
    if done.returncode:
        failure = subprocess.CalledProcessError(done.returncode, ["docker", *arguments], done.stdout)
        if done.stdout:
            failure.add_note(done.stdout)
        raise failure
