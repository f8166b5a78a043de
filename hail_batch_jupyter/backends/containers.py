"""What LocalBackend's settings say about containers, checked before a run begins."""

from __future__ import annotations

import os
import shlex
from typing import Any

from hail_batch_jupyter.core.spec import JobSpec
from hail_batch_jupyter.errors import SubmitError
from hail_batch_jupyter.executors.container.command import Containers
from hail_batch_jupyter.executors.container.engine import find_engine


def local_containers(job: JobSpec, flags: str | None, key_file: str | None) -> dict[str, Any]:
    """How the containers of a run are started, as `executors.container.command.Containers` takes it; `job` is the first with an image.

    Raises CapabilityError when no engine answers, SubmitError for flags that cannot be read or a key that is not there.
    """
    try:
        extra = shlex.split(flags or "")
    except ValueError as error:
        raise SubmitError(f"extra_docker_run_flags {flags!r} cannot be split into words ({error}); close the quotes as in a shell") from error
    if key_file and not os.path.isfile(key_file):
        raise SubmitError(f"gsa_key_file {key_file!r} does not exist; name the JSON key of a service account, or leave it out")
    engine = find_engine(f"job {job.display_name!r} has the image {job.image!r}")
    key = os.path.realpath(key_file) if key_file else None
    return Containers(engine.path, engine.flags, extra, engine.home, key, engine.cpu_mcpu, engine.podman)._asdict()
