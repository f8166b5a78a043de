"""Real container engines for tests, private to them, and an image made of this machine's own files."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hail_batch_jupyter.observe.containers import RUN_LABEL
from tests.conftest import wait_until

IMAGE = "localhost/hbj-test:1"
"""Has bash, some of coreutils, the Python that runs the tests, dill on PYTHONPATH, and the file /of-the-image."""
FLAGS = "--network none"
"""The engines of tests touch neither bridges nor packet filters."""
_PROGRAMS = ("bash", "sh", "cat", "chmod", "cp", "env", "head", "id", "ln", "ls", "mkdir", "mkfifo", "mv", "rm", "sleep", "sort", "touch", "tr", "wc")
_NOT_NEEDED = (
    *("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data"),
    *("site-packages", "dist-packages", "__pycache__", "config-*"),
)


class RealEngine(NamedTuple):
    """An engine that answers when its client has these variables."""

    name: str
    env: dict[str, str]

    def ask(self, *words: str) -> str:
        """What the client prints; an error fails the test."""
        done = subprocess.run([self.name, *words], env={**os.environ, **self.env}, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr
        return done.stdout.strip()

    def containers(self) -> list[str]:
        """Names of all containers of runs, ended ones too."""
        return self.ask("ps", "--all", "--filter", f"label={RUN_LABEL}", "--format", "{{.Names}}").split()


def make_image(folder: Path) -> Path:
    """The image as a tar file."""
    root = folder / "root"
    for name in ("usr/bin", "usr/lib", "usr/lib64", "etc", "tmp", "proc", "sys", "dev", "opt/packages"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "tmp").chmod(0o1777)
    (root / "of-the-image").write_text("from the image\n")
    _copy_programs(root)
    _copy_python(root)
    tar = folder / "image.tar"
    subprocess.run(["tar", "-C", root, "-cf", tar, "."], check=True)
    shutil.rmtree(root)
    return tar


def _copy_programs(root: Path) -> None:
    paths = [Path(shutil.which(name) or name) for name in _PROGRAMS]
    for path in paths:
        shutil.copy(path, root / "usr/bin" / path.name)
    _copy_libraries(root, paths)


def _copy_python(root: Path) -> None:
    """The interpreter at its own path, so that it finds its modules; linked to where PATH of an image leads."""
    program = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}").resolve()
    library = Path(sysconfig.get_path("stdlib"))
    (root / program.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, root / program.relative_to("/"))
    shutil.copytree(library, root / library.relative_to("/"), ignore=shutil.ignore_patterns(*_NOT_NEEDED), symlinks=False)
    _copy_libraries(root, [program, *library.glob("lib-dynload/*.so")])
    (root / "usr/bin/python3").symlink_to(program)
    import dill

    shutil.copytree(Path(dill.__file__).parent, root / "opt/packages/dill", ignore=shutil.ignore_patterns(*_NOT_NEEDED))


def _copy_libraries(root: Path, programs: list[Path]) -> None:
    told = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    for path in sorted(set(re.findall(r"(/\S+) \(0x", told))):
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)


@contextmanager
def docker(folder: Path, image: Path) -> Iterator[RealEngine]:
    """A docker daemon on a socket of its own, without a bridge and without packet filters."""
    socket = folder / "docker.sock"
    argv = ["dockerd", "--host", f"unix://{socket}", "--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid"]
    argv += ["--exec-opt", "native.cgroupdriver=cgroupfs", "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]
    with open(folder / "log", "w") as log:
        daemon = subprocess.Popen([*map(str, argv), "--userland-proxy=false"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    engine = RealEngine("docker", {"DOCKER_HOST": f"unix://{socket}", "DOCKER_CONFIG": str(folder / "config")})
    try:
        wait_until(lambda: answers(engine) or daemon.poll() is not None, story=(folder / "log").read_text)
        engine.ask("import", "--change", "ENV PYTHONPATH=/opt/packages", str(image), IMAGE)
        yield engine
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(90)
        _unmount(folder)


@contextmanager
def podman(folder: Path, image: Path) -> Iterator[RealEngine]:
    """Podman with images and containers in a folder of its own."""
    (folder / "containers.conf").write_text(
        '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]\nnetns = "none"\nlog_driver = "k8s-file"\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    )
    (folder / "storage.conf").write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n')
    env = {"CONTAINERS_CONF": str(folder / "containers.conf"), "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf")}
    engine = RealEngine("podman", env)
    try:
        engine.ask("import", "--change", "ENV PYTHONPATH=/opt/packages", str(image), IMAGE)
        yield engine
    finally:
        _unmount(folder)


def answers(engine: RealEngine) -> bool:
    """Whether the engine can be asked."""
    return not subprocess.run([engine.name, "version"], env={**os.environ, **engine.env}, capture_output=True, check=False).returncode


def _unmount(folder: Path) -> None:
    """What an engine has mounted below the folder, the innermost first."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in sorted((path for path in mounted if path.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", place], check=True)
