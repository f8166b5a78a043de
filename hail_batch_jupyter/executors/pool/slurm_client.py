"""The side of a pool's server that asks for workers which are Slurm jobs."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from hail_batch_jupyter.executors.pool.client import PoolClient
from hail_batch_jupyter.observe.slurm_jobs import Client


class SlurmPoolClient(PoolClient):
    """`orders` say how the workers are asked for: see `slurm_server`."""

    server = "pool.slurm_server"

    def __init__(self, python: str, env: Mapping[str, str], sys_path: Sequence[str], log: str, remove: str, orders: dict[str, Any]) -> None:
        super().__init__(python, env, sys_path, log, remove)
        self._send({"op": "slurm", "sys_path": list(sys_path), **orders})


def reached_at(client: Client) -> str:
    """This machine's address on the way to the controller, which is one that nodes can reach; '' where it cannot be told."""
    config = client.ask(["scontrol", "show", "config"]).out
    found = re.search(r"^SlurmctldHost\[0\]\s*=\s*([^\s(]+)(?:\(([^)]*)\))?", config, re.MULTILINE)
    if found is None:
        return ""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((found[2] or found[1], 9))  # sends nothing
            return str(probe.getsockname()[0])
    except OSError:
        return ""
