"""Finding the container engine of this machine, and how it must run a container so that its files belong to the user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any, NamedTuple, Optional

from hail_batch_jupyter.config import configured, variable_of
from hail_batch_jupyter.errors import CapabilityError

ENGINES = ("docker", "podman")
"""In the order in which they are tried."""
_ANSWER_S = 30.0
_INSTALL = "install podman or docker (on Debian: apt-get install podman)"
_CHOOSE = f"{variable_of('batch', 'container_engine')} chooses between docker and podman"
ALWAYS = ("--security-opt=label=disable", "--stop-timeout=0")
"""SELinux would hide scratch; and to podman a forced removal means asking for ten seconds, which was done already."""
_INIT = ("/usr/libexec/podman/catatonit", "/usr/libexec/catatonit/catatonit", "catatonit", "docker-init", "tini-static")
"""Programs that may be the first process of podman's containers; they must be static, because they run in any image."""


class Engine(NamedTuple):
    """An engine that answers.

    path      of its client
    flags     of every container
    home      $HOME in a container whose image does not know the user, None where it does
    cpu_mcpu  what it can give; it refuses to promise more
    podman    whether it takes the flags of podman, under whatever name
    """

    path: str
    flags: tuple[str, ...]
    home: Optional[str]
    cpu_mcpu: int
    podman: bool


def find_engine(who: str) -> Engine:
    """The engine that the user chose, else the first that answers.

    `who` begins the sentence of the error: who needs it. Raises CapabilityError saying what is missing and what to install.
    """
    chosen = configured("batch", "container_engine")
    reasons = []
    for name in [chosen] if chosen else ENGINES:
        path = shutil.which(name)
        if path is None:
            reasons.append(f"{name} is not installed")
            continue
        facts, words = _info(path)
        if facts is not None:
            return _engine(path, facts)
        reasons.append(f"{name} does not answer ({words})")
    remedy = f"start it, or {_INSTALL}" if any("answer" in reason for reason in reasons) else _INSTALL
    raise CapabilityError(f"{who}, and {' and '.join(reasons)}; {remedy}, or remove the image to run it without a container; {_CHOOSE}")


def _info(path: str) -> tuple[dict[str, Any] | None, str]:
    """What an engine says of itself, or None and why it does not."""
    try:
        argv = [path, "info", "--format", "{{json .}}"]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ANSWER_S, check=False)
        facts = json.loads(done.stdout or "{}")
    except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError) as error:
        return None, str(error)
    if isinstance(facts, dict) and ("host" in facts or facts.get("ServerVersion")):
        return facts, ""
    return None, (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]


def _engine(path: str, facts: dict[str, Any]) -> Engine:
    """How this engine must run containers, so that files belong to the user and signals arrive.

    In a rootless engine the root of a container is the user who runs it; elsewhere numbers are the same inside and outside.
    """
    security = " ".join(facts.get("SecurityOptions") or ())
    podman = "host" in facts
    rootless = facts["host"]["security"]["rootless"] if podman else "name=rootless" in security
    cpus = facts["host"]["cpus"] if podman else facts["NCPU"]
    user = "0:0" if rootless else f"{os.getuid()}:{os.getgid()}"
    flags = [f"--user={user}", *ALWAYS, *(_podman_init() if podman else ["--init"])]
    if "name=userns" in security:
        flags.append("--userns=host")
    return Engine(path, tuple(flags), None if user.startswith("0:") else "/tmp", cpus * 1000, podman)


def _podman_init() -> list[str]:
    """As docker's own `--init`, with the first such program that is there."""
    path = next((path for path in map(shutil.which, _INIT) if path), None)
    return [] if path is None else ["--init", f"--init-path={path}"]
