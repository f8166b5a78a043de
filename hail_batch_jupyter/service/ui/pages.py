"""What pages are made from."""

from __future__ import annotations

from typing import NamedTuple

from hail_batch_jupyter.service.people import People
from hail_batch_jupyter.service.routes import Service
from hail_batch_jupyter.service.ui.graph import Graphs
from hail_batch_jupyter.service.web import Asked


class Pages(NamedTuple):
    """The rules that the protocol is answered by, who is logged in, the graphs that pages show, and whether browsers come by TLS."""

    rules: Service
    people: People
    graphs: Graphs
    secure: bool


PageAsked = Asked[Pages]
