"""Protocols as JSON, for dumps of jobs; never with a password."""

from __future__ import annotations

from typing import Any

from hail_batch_jupyter.cluster.generic_protocol import GenericProtocol
from hail_batch_jupyter.cluster.protocols.local import LocalProtocol
from hail_batch_jupyter.cluster.protocols.paramiko import ParamikoProtocol
from hail_batch_jupyter.cluster.protocols.ssh import SshProtocol
from hail_batch_jupyter.cluster.protocols.sudo import SudoProtocol
from hail_batch_jupyter.errors import ClusterError


def protocol_record(protocol: GenericProtocol) -> dict[str, Any]:
    """What `protocol_from` needs; of a protocol of somebody else its class only, so that reading asks for it."""
    if isinstance(protocol, (SshProtocol, ParamikoProtocol, SudoProtocol)):
        return {"kind": protocol.kind, **protocol.record()}
    return {"kind": "local" if isinstance(protocol, LocalProtocol) else f"{type(protocol).__module__}.{type(protocol).__qualname__}"}


def protocol_from(record: dict[str, Any]) -> GenericProtocol:
    """The protocol that was told, not yet connected.

    Raises ClusterError for one that is not ours.
    """
    kinds: dict[str, type[SshProtocol | ParamikoProtocol | SudoProtocol]] = {kind.kind: kind for kind in (SshProtocol, ParamikoProtocol, SudoProtocol)}
    if record["kind"] == "local":
        return LocalProtocol()
    if record["kind"] not in kinds:
        raise ClusterError(f"protocol {record['kind']!r} cannot be made from a dump; give one: reload_job(dump, protocol).")
    made = kinds[record["kind"]].__new__(kinds[record["kind"]])
    made.restore(record)
    return made
