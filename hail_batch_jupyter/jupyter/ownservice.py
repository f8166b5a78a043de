"""What `%batch_service` does: finds or starts the user's batch service, and lets the batches of the notebook run there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from hail_batch_jupyter.backends import own_service
from hail_batch_jupyter.backends.service.backend import ServiceBackend

if TYPE_CHECKING:
    from hail_batch_jupyter.jupyter.cells.options import Parsed
    from hail_batch_jupyter.jupyter.desk import Desk

_MOST_PORT = 65535


def service_command(desk: Desk, parsed: Parsed) -> str:
    """Start, find or stop a service; gives the lines that say so.

    Raises ConfigError when it cannot be started or does not end.
    """
    if parsed.port is not None and not 0 <= parsed.port <= _MOST_PORT:
        raise UsageError(f"--port {parsed.port}: a port is a number from 0, any free one, to {_MOST_PORT}; leave it out for a free one")
    data = Path(parsed.data).expanduser().absolute() if parsed.data else own_service.default_data()
    if parsed.stop:
        return _stopped(desk, data)
    address = own_service.find(data)
    verb = "runs" if address is not None else "started"
    if address is None:
        port = parsed.port if parsed.port is not None else 0
        flags = [flag for flag, given in (("--no-images", parsed.no_images), ("--slurm", parsed.slurm)) if given]
        address = own_service.start(data, ["--port", str(port), *flags])
    _point(desk, {**own_service.environment(data, address), "HAIL_BATCH_REMOTE_TMPDIR": f"hbj://{address.user}/tmp"})
    return "\n".join(
        [
            f"Batch service at {address.url} {verb}; files at hbj://{address.user}/…, data in {data}",
            _used(desk),
            f"Look at it in a browser: log in with the token in {data / 'token'}. %batch_service --stop ends it.",
        ]
    )


def _used(desk: Desk) -> str:
    """Lets the current batch run at the service, unless it has run elsewhere, where its results are."""
    batch = desk.current()
    if batch is None:
        return "New batches of this notebook run there."
    if batch.last_run is not None:
        return f"Batch {batch.name!r} has run already and stays where it is; new batches of this notebook, %batch NAME, run at the service."
    batch.backend = ServiceBackend()
    return f"Batch {batch.name!r} and new ones of this notebook run there."


def _stopped(desk: Desk, data: Path) -> str:
    address = own_service.stop(data)
    _point(desk, {})
    batch = desk.current()
    if batch is not None and isinstance(batch.backend, ServiceBackend) and batch.last_run is None:
        from hail_batch_jupyter.batch.batch import configured_backend

        batch.backend = configured_backend()
    if address is None:
        return f"No batch service runs on {data}; %batch_service starts one."
    return f"The batch service at {address.url} has ended; jobs that run go on, and %batch_service comes back to them."


def _point(desk: Desk, variables: dict[str, str]) -> None:
    """Set these variables of the notebook's process, and take back what was set before."""
    for name, before in desk.replaced_variables.items():
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before
    desk.replaced_variables = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)

    from hail_batch_jupyter.storage.router import forget

    forget()
