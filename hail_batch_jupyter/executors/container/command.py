"""The command line of a container engine for one attempt; pure, and the only place that knows an engine's flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional

from hail_batch_jupyter.core.ports import VISIBLE_GPUS, Attempt
from hail_batch_jupyter.core.spec import SCRATCH
from hail_batch_jupyter.observe.containers import RUN_LABEL

KEY_PATH = "/gsa-key/key.json"
"""Where a job finds the key of a service account."""
_ENV_FILE = "HBJ_ENV_FILE"
_OF_CLIENT = (
    *("PATH", "HOME", "TMPDIR", "XDG_", "LD_", "SSL_CERT", "DBUS_", "NOTIFY_", "LISTEN_"),
    *("DOCKER_", "CONTAINER", "STORAGE_", "REGISTRY_", "_CONTAINERS_", "GODEBUG", "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GOTRACEBACK"),
)
"""Beginnings of the names that mean something to an engine's client, which must not take a job's value for its own."""
_WITH_ENV_FILE = f'trap : TERM; printf %s "${_ENV_FILE}" | {{ unset {_ENV_FILE}; exec "$0" "$@"; }}'
"""The shell stays until the client has passed a signal on and ended."""


class Containers(NamedTuple):
    """How containers are run, the same for all jobs of a run; plain enough for JSON.

    engine     path of the client
    flags      of every container: who it runs as, what is its first process
    extra      flags of the user, after all others
    home       $HOME of jobs that say nothing, None for the image's own
    key_file   of a service account, None without
    cpu_mcpu   what the engine can give; it refuses to promise more
    podman     whether the engine takes the flags of podman
    own        folder with one for each job, by its number, of which its container has that one only
    folders    that all containers have, under the same paths
    """

    engine: str
    flags: Sequence[str]
    extra: Sequence[str]
    home: Optional[str]
    key_file: Optional[str]
    cpu_mcpu: int
    podman: bool
    own: Optional[str] = None
    folders: Sequence[str] = ()


class Client(NamedTuple):
    """The client to start: its arguments, and what its environment has beside the runner's."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


def run_client(attempt: Attempt, containers: Containers, run_id: str, scratch: str, inputs: Sequence[str]) -> Client:
    """The client that runs an attempt in its image; `inputs` are paths outside of scratch that it reads.

    Names of the attempt's variables are in the arguments, their values only in the environment.
    Raises ValueError for a value with a line end in a variable that the client would take for its own.
    """
    names, own, env = _variables(_inside(attempt))
    names += [f"{name}={value}" for name, value in _defaults(containers).items() if name not in attempt.env]
    mounts = [mount(scratch, scratch), *[mount(path, path, readonly=True) for path in inputs], *mounts_of(attempt, containers.own, containers.folders)]
    if containers.key_file is not None:
        mounts.append(mount(containers.key_file, KEY_PATH, readonly=True))
    argv = [containers.engine, "run", "--name", container_name(run_id, attempt.attempt_id), "--label", f"{RUN_LABEL}={run_id}", "--entrypoint="]
    argv += [*containers.flags, "--workdir", attempt.directory, *_limits(attempt, containers)]
    for bound in mounts:
        argv += ["--mount", bound]
    for name in names:
        argv += ["--env", name]
    if own:
        argv += ["--env-file", "/dev/stdin"]
        env[_ENV_FILE] = own
    argv += [*containers.extra, attempt.job.image or "", *[in_scratch(word, scratch) for word in attempt.argv]]
    return Client(("/bin/sh", "-c", _WITH_ENV_FILE, *argv) if own else tuple(argv), env)


def container_name(run_id: str, attempt_id: str) -> str:
    """What a container is called."""
    return f"{run_id}-{attempt_id}"


def _defaults(containers: Containers) -> dict[str, str]:
    """What a job gets where it says nothing itself; no secrets."""
    found = {}
    if containers.home is not None:
        found["HOME"] = containers.home
    if containers.key_file is not None:
        found["GOOGLE_APPLICATION_CREDENTIALS"] = KEY_PATH
    return found


def _variables(env: Mapping[str, str]) -> tuple[list[str], str, dict[str, str]]:
    """Names that the client passes on from its environment, lines of an environment file for those that it would use itself, and the environment."""
    own = {name: value for name, value in env.items() if name.startswith(_OF_CLIENT) or name.lower().endswith("_proxy")}
    for name, value in own.items():
        if "\n" in value:
            raise ValueError(f"the variable {name} has a value of several lines, which cannot be given to a container")
    rest = {name: value for name, value in env.items() if name not in own}
    return list(rest), "".join(f"{name}={value}\n" for name, value in own.items()), rest


def _limits(attempt: Attempt, containers: Containers) -> list[str]:
    request, flags = attempt.job.request, []
    if request.cpu_mcpu is not None:
        flags.append(f"--cpus={min(request.cpu_mcpu, containers.cpu_mcpu) / 1000:g}")
    if request.memory_bytes:
        flags.append(f"--memory={request.memory_bytes}b")
    gpus = _gpus(attempt)
    if gpus and not containers.podman:
        flags += ["--gpus", f'"device={",".join(gpus)}"']  # docker reads it as CSV: the quotes keep the numbers together
    elif gpus:
        flags += [word for gpu in gpus for word in ("--device", f"nvidia.com/gpu={gpu}")]
    return flags


def _gpus(attempt: Attempt) -> list[str]:
    """Numbers of the devices that the attempt was given, as they are outside of the container."""
    return attempt.env[VISIBLE_GPUS].split(",") if attempt.job.request.gpus else []


def _inside(attempt: Attempt) -> dict[str, str]:
    """The variables of an attempt; a container has only its own devices, and numbers them from 0."""
    gpus = _gpus(attempt)
    return {**attempt.env, VISIBLE_GPUS: ",".join(map(str, range(len(gpus))))} if gpus else dict(attempt.env)


def mounts_of(attempt: Attempt, own: Optional[str], folders: Sequence[str]) -> list[str]:
    """The job's own folder, if jobs have one, and those of all jobs."""
    return [mount(path, path) for path in (*([f"{own}/{attempt.job.job_id}"] if own is not None else []), *folders)]


def mount(source: str, target: str, *, readonly: bool = False) -> str:
    """A bind mount as the engines read it: one line of CSV."""
    fields = ["type=bind", _field("source", source), _field("target", target)]
    return ",".join([*fields, "readonly"] if readonly else fields)


def _field(name: str, value: str) -> str:
    text = f"{name}={value}"
    return '"' + text.replace('"', '""') + '"' if any(character in text for character in ',"\n') else text


def in_scratch(word: str, scratch: str) -> str:
    """A path that begins with the name of the scratch folder; a script has that in its variable."""
    return scratch + word[len(SCRATCH) :] if word.startswith(SCRATCH + "/") else word
