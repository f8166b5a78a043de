"""What runs pipelines, under the former names."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from hail_batch_jupyter.batch.backend import Backend

__all__ = ["Backend", "BatchBackend", "LocalBackend"]  # noqa: F822 - LocalBackend is made when first used


class BatchBackend:
    """The former name of `ServiceBackend`; making one gives that."""

    def __new__(cls, billing_project: str | None = None) -> Any:
        """The backend of the service that bills to the project."""
        from hail_batch_jupyter.core.registry import backend_class

        return backend_class("service")(billing_project=billing_project)


@cache
def _local_backend() -> Any:
    """LocalBackend whose arguments are also looked for under their former variables."""
    from hail_batch_jupyter.core.registry import backend_class

    class LocalBackend(backend_class("local")):  # type: ignore[misc]  # the registry gives a class that only the run knows
        """See `hail_batch_jupyter.batch.LocalBackend`; HAIL_PIPELINE_… variables stand in for missing arguments."""

        def __init__(self, tmp_dir: str = "/tmp/", gsa_key_file: str | None = None, extra_docker_run_flags: str | None = None) -> None:
            super().__init__(tmp_dir, _given("GSA_KEY_FILE", gsa_key_file), _given("EXTRA_DOCKER_RUN_FLAGS", extra_docker_run_flags))

    return LocalBackend


def _given(option: str, argument: str | None) -> str | None:
    """The argument, else the former variable where the present one is not set."""
    if argument is not None or os.environ.get(f"HAIL_BATCH_{option}"):
        return argument
    return os.environ.get(f"HAIL_PIPELINE_{option}")


def __getattr__(name: str) -> Any:
    if name != "LocalBackend":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _local_backend()
