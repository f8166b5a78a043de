"""The container of an attempt on a node of a cluster: by apptainer (or singularity), or by podman."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hail_batch_jupyter.core.ports import Attempt
from hail_batch_jupyter.core.spec import Request
from hail_batch_jupyter.executors.container.command import Containers, container_name, in_scratch, mount, mounts_of, run_client
from hail_batch_jupyter.executors.container.engine import ALWAYS
from hail_batch_jupyter.executors.slurm.words import SlurmSettings

ENGINES = ("apptainer", "singularity", "podman")
"""In the order in which they are tried."""


class Contained(NamedTuple):
    """What runs an attempt: arguments, variables, and a shell command that removes what a killed one leaves, '' if nothing."""

    argv: Sequence[str]
    env: Mapping[str, str]
    clean: str


def contained(attempt: Attempt, settings: SlurmSettings, run_id: str, scratch: str, inputs: Sequence[str]) -> Contained:
    """How the engine of the settings runs the attempt in its image; `inputs` are paths outside of scratch that it reads.

    Cores and memory are not told to it: Slurm holds the whole job to what it asked for.
    """
    engine = settings.engine or ""
    if engine == "podman":
        return _by_podman(attempt, settings, run_id, scratch, inputs)
    argv = [engine, "exec", "--containall", "--writable-tmpfs", "--pwd", attempt.directory]
    for text in (mount(scratch, scratch), *(mount(path, path, readonly=True) for path in inputs), *mounts_of(attempt, settings.own, settings.folders)):
        argv += ["--mount", text]
    if attempt.job.request.gpus:
        argv.append("--nv")
    argv += [_address(attempt.job.image or ""), *(in_scratch(word, scratch) for word in attempt.argv)]
    return Contained(argv, {f"{engine.upper()}ENV_{name}": value for name, value in attempt.env.items()}, "")


def _address(image: str) -> str:
    """A file, or what a registry has, which these engines want to be told."""
    return image if "://" in image or image.startswith(("/", ".")) or image.endswith(".sif") else f"docker://{image}"


def _by_podman(attempt: Attempt, settings: SlurmSettings, run_id: str, scratch: str, inputs: Sequence[str]) -> Contained:
    gpus = ("--device", "nvidia.com/gpu=all") if attempt.job.request.gpus else ()
    user = "0:0" if os.getuid() else f"{os.getuid()}:{os.getgid()}"
    containers = Containers("podman", [f"--user={user}", "--rm", *ALWAYS, *gpus], (), None, None, 0, podman=True, own=settings.own, folders=settings.folders)
    client = run_client(attempt._replace(job=attempt.job._replace(request=Request())), containers, run_id, scratch, inputs)
    clean = shlex.join(["podman", "rm", "--force", "--ignore", container_name(run_id, attempt.attempt_id)])
    return Contained(client.argv, client.env, clean)
