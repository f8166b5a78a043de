"""What stands for a container engine where only that several users may have jobs matters: its containers are plain processes of this machine.

What would be mounted as the key of a service account is in the variable KEY_MOUNT.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.service.servers import Reply, Server

_ENGINE = """#!/bin/bash
case "$1" in
info) echo '{"NCPU": 64, "ServerVersion": "1"}' ;;
run)
  shift
  while case "$1" in -*) true ;; *) false ;; esac; do
    case "$1" in
    --workdir) cd "$2"; shift 2 ;;
    --env) case "$2" in *=*) export "$2" ;; esac; shift 2 ;;
    --mount) case "$2" in *,target=/gsa-key/*) MOUNT="${2#*source=}"; export KEY_MOUNT="${MOUNT%%,*}" ;; esac; shift 2 ;;
    --name | --label | --env-file) shift 2 ;;
    *) shift ;;
    esac
  done
  shift
  exec "$@" ;;
esac
"""


def shared_server(folder: Path, monkeypatch: pytest.MonkeyPatch, *users: str, card: str = "") -> Server:
    """A service in the folder with these users, started."""
    engine = folder / "bin" / "docker"
    engine.parent.mkdir(exist_ok=True)
    engine.write_text(_ENGINE)
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{engine.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HAIL_BATCH_CONTAINER_ENGINE", "docker")
    server = Server(folder / "shared", images=True, card=card).start()
    for name in users:
        done = user(server, "add", name)
        assert done.returncode == 0, done.stderr
    return server


def user(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    return server.command("serve", "user", *words, "--data", str(server.data))


def token_of(server: Server, name: str) -> str:
    return str(json.loads((server.data / f"tokens-{name}.json").read_text())["default"])


def post(server: Server, name: str, *jobs: dict[str, Any], project: str = "") -> Reply:
    batch = {"billing_project": project or name, "token": os.urandom(8).hex(), "n_jobs": len(jobs)}
    return server.ask("POST", "/batches/create-fast", {"bunch": list(jobs), "batch": batch}, token_of(server, name))
