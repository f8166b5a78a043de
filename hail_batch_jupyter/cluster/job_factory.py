"""Finds the plugin that makes a job, and reads jobs that were dumped."""

from __future__ import annotations

import json
from typing import Any, Optional

from hail_batch_jupyter.cluster.generic_protocol import GenericProtocol
from hail_batch_jupyter.cluster.genericjob import GenericJob
from hail_batch_jupyter.cluster.parameter import LaunchParameters
from hail_batch_jupyter.errors import ClusterError

BUILT_IN = ("local", "nobatch", "slurm")
GROUPS = ("hail_batch_jupyter.cluster.plugins", "pybatch.plugins")
"""Entry-point groups of plugins, the first wins."""


def create_job(plugin_name: str, params: LaunchParameters, connection_protocol: Optional[GenericProtocol] = None) -> GenericJob:
    """A job of that plugin, not started; without a protocol on this machine.

    Raises ClusterError listing the known plugins.
    """
    if connection_protocol is None:
        from hail_batch_jupyter.cluster.protocols.local import LocalProtocol

        connection_protocol = LocalProtocol()
    job: GenericJob = plugin(plugin_name).create_job(params, connection_protocol)
    return job


def plugin(name: str) -> Any:
    """An instance of the plugin of that name: ours, or one that another distribution offers."""
    if name in BUILT_IN:
        import importlib

        return importlib.import_module(f"hail_batch_jupyter.cluster.plugins.{name}.plugin").Plugin()
    offered = _offered()
    if name not in offered:
        raise ClusterError(f"Plugin {name} not found. Known plugins: {', '.join(sorted({*BUILT_IN, *offered}))}.")
    return offered[name].load()()


def _offered() -> dict[str, Any]:
    """Name -> entry point of the plugins of other distributions."""
    from importlib.metadata import entry_points

    found: Any = entry_points()  # a mapping until Python 3.9, something to select from since 3.10
    points = [found.select(group=group) if hasattr(found, "select") else found.get(group, ()) for group in reversed(GROUPS)]
    return {point.name: point for group in points for point in group}


def reload_job(dump: str, connection_protocol: Optional[GenericProtocol] = None) -> GenericJob:
    """The job that `dump()` told, in the state it has by now; through `connection_protocol` where one is given.

    Raises ClusterError for text that is no such dump, and when the connection cannot be made again without help.
    """
    from hail_batch_jupyter.cluster.job import FORMAT, ClusterJob, check_version
    from hail_batch_jupyter.cluster.protocols.record import protocol_from

    try:
        record = json.loads(dump)
        if record["format"] != FORMAT:
            raise KeyError(record["format"])
        check_version(record["version"])
        params = LaunchParameters(**record["params"])
        job = create_job(record["plugin"], params, connection_protocol or protocol_from(record["protocol"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterError(f"{dump[:40]!r}…: not the dump of a job ({error}); give what `job.dump()` returned.") from error
    if not isinstance(job, ClusterJob):
        raise ClusterError(f"plugin {record['plugin']!r} makes jobs that cannot be read from a dump; pickle them.")
    job.restore(record)
    return job
