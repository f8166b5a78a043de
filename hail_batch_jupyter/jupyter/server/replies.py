"""What the routes of the Jupyter server answer."""

from __future__ import annotations

from typing import NamedTuple

from hail_batch_jupyter.jupyter.live.graph import Message


class Reply(NamedTuple):
    """HTTP status and JSON."""

    status: int
    content: Message


def said(status: int, text: str) -> Reply:
    """A sentence for the user; 200 says that it was done."""
    return Reply(status, {"ok": status == 200, "text": text})
