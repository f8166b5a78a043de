"""The nodes of a cluster as a place where jobs run, by Slurm's commands on this machine."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from hail_batch_jupyter.backends.begin import Seen
from hail_batch_jupyter.config import configured
from hail_batch_jupyter.core.ports import Capacity
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.errors import CapabilityError
from hail_batch_jupyter.executors.slurm.container import ENGINES
from hail_batch_jupyter.executors.slurm.words import SlurmSettings

_ALL = 1 << 60
"""Of cores and memory there is as much as Slurm gives."""
_JOBS = 10_000
_NAME_IT = "where the nodes have one, name it with SlurmBackend(container_engine=…), else remove the image"
_COMMANDS = ("sbatch", "squeue", "scancel", "scontrol")


class Nodes(NamedTuple):
    """What jobs are submitted with.

    work_directory  folder that every node sees, for run directories; None for the folder of all runs
    max_jobs        no more than this are queued or running at once, None for as many as ours can follow
    engine          of containers on the nodes, '' for the first that is on this machine
    host            the machine that was looked at for one, and what was found there; '' for this one
    """

    settings: SlurmSettings
    work_directory: Path | None = None
    max_jobs: int | None = None
    engine: str = ""
    host: str = ""
    found: str = ""

    @classmethod
    def configured(
        cls,
        work_directory: str | os.PathLike[str] | None = None,
        *,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        options: Sequence[str] | None = None,
        spot_options: Sequence[str] | None = None,
        max_jobs: int | None = None,
        python: str | None = None,
        setup: Sequence[str] | None = None,
        pack: int | None = None,
        engine: str | None = None,
    ) -> Self:
        """With what is not given from the settings; raises ValueError for what sbatch or a node would misunderstand."""
        place = configured("slurm", "work_directory") if work_directory is None else work_directory
        setup = configured("slurm", "setup", fallback="") if setup is None else setup
        options, spot_options = (_options(*one) for one in (("options", options), ("spot_options", spot_options)))
        partition, account, qos = (configured("slurm", name, value) for name, value in (("partition", partition), ("account", account), ("qos", qos)))
        settings = SlurmSettings(partition, account, qos, options, configured("slurm", "python", python), words(setup), pack, spot_options=spot_options)
        if pack is not None and pack < 1:
            raise ValueError(f"pack {pack} is not a number of jobs; use 1 for a task each, or None for as many as their time allows")
        if max_jobs is not None and max_jobs < 0:
            raise ValueError(f"max_jobs {max_jobs} is not a number of jobs; use 1 or more, or None for as many as the site takes")
        if engine is not None and engine not in ENGINES:
            raise ValueError(f"container_engine {engine!r} is none that nodes run; use one of {', '.join(ENGINES)}")
        _check_words([*options, *spot_options, *filter(None, (partition, account, qos, settings.python, str(place or "")))])
        check_options([*options, *spot_options])
        return cls(settings, None if place is None else Path(place), max_jobs or configured_number("max_jobs"), engine or "")

    def capacity(self) -> Capacity:
        """As much as Slurm gives, and `max_jobs`."""
        return Capacity(_ALL, _ALL, self.max_jobs or _JOBS)

    def words(self) -> str:
        """'on Slurm, partition main, account lab'."""
        named = [f"{name} {value}" for name in ("partition", "account", "qos") if (value := getattr(self.settings, name))]
        return ", ".join(["on Slurm", *(named or ["its default partition"])])

    def runs(self) -> Path | None:
        """The folder that nodes see."""
        return self.work_directory

    def scratch_parent(self, *, kept: bool) -> Path | None:
        """The run directory, kept or not."""
        return None

    def orders(self, spec: BatchSpec, seen: Seen) -> dict[str, Any]:
        """What every sbatch is told. Containers and devices are the nodes' own; raises CapabilityError where nobody says what runs an image."""
        where = {"shared_directory": False, "capacity": list(self.capacity()), "gpus": None, "containers": None}
        return {**where, "slurm": self.settings._replace(engine=self._engine(spec), **seen._asdict())._asdict()}

    def _engine(self, spec: BatchSpec) -> str | None:
        """What runs the images of a batch on the nodes, None for a batch without."""
        job = next((job for job in spec.jobs if job.image is not None), None)
        return None if job is None else self.engine_for(f"job {job.display_name!r} has the image {job.image!r}")

    def engine_for(self, who: str, remedy: str = _NAME_IT) -> str:
        """What runs images on the nodes; `who` begins the sentence of the error, and `remedy` ends it."""
        general = configured("batch", "container_engine")
        chosen = self.engine or (general if general in ENGINES else None)
        found = chosen or (self.found if self.host else next((name for name in ENGINES if shutil.which(name)), ""))
        if not found:
            raise CapabilityError(f"{who}, and {self.host or 'this machine'} has none of {', '.join(ENGINES)}; {remedy}")
        return found


def missing_command() -> str | None:
    """A command of Slurm that is not on PATH, None where all are."""
    return next((command for command in _COMMANDS if shutil.which(command) is None), None)


def words(given: Sequence[str]) -> tuple[str, ...]:
    """Several words, or one."""
    return tuple(filter(None, [given]) if isinstance(given, str) else given)


def _options(name: str, given: Sequence[str] | None) -> tuple[str, ...]:
    """Options of sbatch, from the setting where they are not given."""
    return words(shlex.split(configured("slurm", name, fallback="")) if given is None else given)


def configured_number(name: str) -> int | None:
    """A setting that is a whole number."""
    text = configured("slurm", name)
    return int(text) if text and text.isdigit() else None


def _check_words(given: Sequence[str]) -> None:
    for word in given:
        if not word or not word.isprintable():
            raise ValueError(f"{word!r} cannot be given to sbatch; use printable characters only")


def check_options(options: Sequence[str]) -> None:
    """Raise ValueError for a word that is no option of sbatch."""
    for option in options:
        if not option.startswith("-"):
            raise ValueError(f"options has {option!r}, which is no option of sbatch; write it as one word, such as '--constraint=avx2'")
