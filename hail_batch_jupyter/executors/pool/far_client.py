"""The side of a pool that asks for workers on a cluster behind ssh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hail_batch_jupyter.executors.pool.client import PoolClient


class FarPoolClient(PoolClient):
    """`orders` say how the cluster is reached and what its hub is told: see `far_server`."""

    server = "pool.far_server"
    server_words = "the connection to the cluster ended"

    def __init__(self, python: str, env: Mapping[str, str], sys_path: Sequence[str], log: str, orders: dict[str, Any]) -> None:
        super().__init__(python, env, sys_path, log, "")
        self._send({"op": "far", **orders})
