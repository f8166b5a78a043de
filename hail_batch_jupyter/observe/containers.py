"""Containers of a run: how they are named, and removing what a dead runner has left of them.

A container is no child of the run's processes, so neither a signal to these nor their end reaches it: it is found by its label.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from hail_batch_jupyter.observe import procfs

RUN_LABEL = "hail-batch-jupyter.run"
"""On every container of a run: the id of the run."""
_NOTE = "containers.json"
_LIMIT_S = 60.0
_ROUNDS = 3
_SERVER = ("DOCKER_", "CONTAINER", "XDG_", "STORAGE_")
"""Beginnings of the variables that say which server, or which folder, an engine works with."""
_ALSO = ("PATH", "HOME", "TMPDIR", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS")


def note_engine(directory: Path, engine: str) -> None:
    """Write down, before the first container, who must be asked about the containers of a run."""
    env = {name: value for name, value in os.environ.items() if name in _ALSO or name.startswith(_SERVER)}
    fd = os.open(directory / _NOTE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump({"host": procfs.host(), "engine": engine, "env": env}, file)


def remove_containers(directory: Path) -> None:
    """Kill and remove every container of a run; does nothing for a run without, or of another machine.

    A request of a killed client may still be on its way to the engine, so it is asked again until there is none.
    """
    try:
        facts = json.loads((directory / _NOTE).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return
    if facts["host"] != procfs.host():
        return
    engine, env = facts["engine"], facts["env"]
    for _ in range(_ROUNDS):
        left = ask([engine, "ps", "--all", "--quiet", "--filter", f"label={RUN_LABEL}={directory.name}"], env).split()
        if not left:
            return
        ask([engine, "rm", "--force", "--volumes", *left], env)


def ask(argv: Sequence[str], env: dict[str, str] | None = None) -> str:
    """What an engine's client prints; '' where it cannot be started, fails or does not answer within a minute.

    The exit code is not looked at: another thread of a runner may have reaped the client already.
    """
    import subprocess  # most runs have no containers

    try:
        client = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace")
    except OSError:
        return ""
    with client:
        try:
            return client.communicate(timeout=_LIMIT_S)[0]
        except subprocess.TimeoutExpired:
            client.kill()
            return ""
