"""Names of things that live in higher layers or in other distributions, imported only when used."""

from __future__ import annotations

import importlib
from typing import Any

from hail_batch_jupyter.errors import ConfigError

BACKEND_GROUP = "hail_batch_jupyter.backends"
"""Entry-point group of backends from other distributions."""

BACKENDS = {
    "local": "hail_batch_jupyter.backends.local:LocalBackend",
    "slurm": "hail_batch_jupyter.backends.slurm:SlurmBackend",
    "service": "hail_batch_jupyter.backends.service.backend:ServiceBackend",
}
HOOKS = {
    "open_mirror": "hail_batch_jupyter.backends.far.mirror:open_mirror",
    "show_run": "hail_batch_jupyter.jupyter.display:show_run",
    "cost_frame": "hail_batch_jupyter.jupyter.tables.costframe:cost_frame",
    "estimate_html": "hail_batch_jupyter.jupyter.tables.costtable:estimate_html",
    "show_pool": "hail_batch_jupyter.jupyter.live.pool_view:show_pool",
    "pool_teller": "hail_batch_jupyter.jupyter.live.pool_widget:PoolTeller",
    "jobs_frame": "hail_batch_jupyter.jupyter.tables.tables:jobs_frame",
    "attempts_frame": "hail_batch_jupyter.jupyter.tables.tables:attempts_frame",
    "run_view": "hail_batch_jupyter.jupyter.display:run_view",
    "plot_run": "hail_batch_jupyter.jupyter.tables.plots:plot_run",
}


def load(target: str) -> Any:
    """The object that 'module:attribute' names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def backend_names() -> list[str]:
    """Names of all backends, those of other distributions last."""
    return [*BACKENDS, *sorted(_installed_backends().keys() - BACKENDS.keys())]


def backend_class(name: str) -> Any:
    """The class of the backend of that name.

    Raises ConfigError listing the known names.
    """
    if name in BACKENDS:
        return load(BACKENDS[name])
    found = _installed_backends()
    if name in found:
        return found[name].load()
    known = ", ".join(sorted(backend_names()))
    raise ConfigError(f"backend {name!r} is not known; use one of: {known}")


def _installed_backends() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points().select(group=BACKEND_GROUP)}


def hook(name: str) -> Any:
    """The function of a higher layer registered under `name`."""
    return load(HOOKS[name])
