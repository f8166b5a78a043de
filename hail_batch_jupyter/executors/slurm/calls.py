"""The questions that a run asks Slurm's commands, each of which may take long and is asked in a thread."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from hail_batch_jupyter.cluster.slurm.accounting import element_states, states_command
from hail_batch_jupyter.executors.slurm.queue import Submission
from hail_batch_jupyter.executors.slurm.stops import Stop
from hail_batch_jupyter.executors.slurm.words import (
    SQUEUE_FORMAT,
    Line,
    Order,
    Site,
    SlurmSettings,
    array_of,
    arrays_with,
    lines_of,
    ranges,
    refusal,
    said,
    sbatch_command,
    site_of,
)
from hail_batch_jupyter.observe.slurm_jobs import Answer, Client

_SUBMIT_S = 300.0
"""A busy controller lets sbatch wait and try again by itself; a site with many jobs may need minutes."""


class Submitted(NamedTuple):
    """What became of a submission: the number of its array, and without one why there is none, as `refusal` says, and in words."""

    array: Optional[int]
    failure: str
    words: str = ""


class Known(NamedTuple):
    """What Slurm said about tasks; `answered` is False when it said nothing, and nothing may be concluded."""

    answered: bool
    lines: dict[str, Line]


class Calls:
    """Asks Slurm about the jobs of one run, all of which are called `name`; `write` puts a file into the run's folder of Slurm jobs."""

    def __init__(self, client: Client, name: str, folder: Path, settings: SlurmSettings, write: Callable[[str, str], None]) -> None:
        self._client = client
        self._name = name
        self._folder = folder
        self._settings = settings
        self._write = write
        self._accounting = False

    def site(self) -> Site:
        """What the site allows; without an answer Slurm's own limits."""
        config = self._client.ask(["scontrol", "show", "config"])
        disks = self._client.ask(["sinfo", "--noheader", "--format=%d"]) if config.code == 0 else config
        site = site_of(config.out, disks.out)
        self._accounting = site.accounting
        return site

    def submit(self, submission: Submission, excluded: Sequence[str]) -> Submitted:
        """Submit an array; nothing is submitted a second time before Slurm has said that it does not have it."""
        comment = f"{self._name}-{submission.number}"
        if submission.tried:
            known = self._client.ask(self._squeue("%F|%k"))
            array = arrays_with(comment, known.out)
            if known.code != 0 or array is not None:
                return Submitted(array, "away")
        try:
            self._write(f"{submission.number}.list", "".join(f"{' '.join(attempt.attempt_id for attempt in task)}\n" for task in submission.tasks))
        except OSError as error:
            return Submitted(None, "refused", f"the list of its jobs cannot be written to {str(self._folder)!r} ({error.strerror}); free space there")
        words = [str(self._folder / "job.sh"), str(self._folder), str(submission.number), self._settings.python or ""]
        order = Order(submission.shape, len(submission.tasks), len(submission.tasks[0]), self._name, comment, excluded)
        answer = self._client.ask(sbatch_command(self._settings, order, words), _SUBMIT_S)
        if answer.code == 0:
            return Submitted(array_of(answer.out), "away")
        failure = refusal(answer)
        return Submitted(None, failure, f"sbatch refused it: {said(answer)}{self._remedy(answer.err)}" if failure == "refused" else said(answer))

    def _remedy(self, text: str) -> str:
        """What to do about a refusal, with the valid choices where Slurm tells them."""
        settings, low = self._settings, text.lower()
        if "account" in low:
            user = pwd.getpwuid(os.getuid()).pw_name
            names = self._names(["sacctmgr", "--noheader", "--parsable2", "show", "associations", f"user={user}", "format=account"])
            return f"; account={settings.account!r} with qos={settings.qos!r}, and your accounts are {names or 'not known here'}"
        if "partition" in low and settings.partition is not None:
            names = self._names(["sinfo", "--noheader", "--format=%R"])
            return f"; partition={settings.partition!r} is none of {names}" if names else ""
        if "qos" in low:
            names = self._names(["sacctmgr", "--noheader", "--parsable2", "show", "qos", "format=name"])
            return f"; qos={settings.qos!r} is none of {names}" if names else ""
        if "node configuration" in low:
            return "; ask for fewer cores, less memory or fewer GPUs, or choose another partition: `sinfo -o '%P %c %m %G'` tells what nodes have"
        return ""

    def _names(self, argv: Sequence[str]) -> str:
        answer = self._client.ask(argv)
        return ", ".join(sorted(set(answer.out.split()))) if answer.code == 0 else ""

    def _squeue(self, form: str) -> list[str]:
        return ["squeue", "--noheader", "--array", "--states=all", f"--user={os.getuid()}", f"--name={self._name}", f"--format={form}"]

    def look(self, keys: frozenset[str]) -> Known:
        """How all tasks of the run are; the accounting is asked, by one question too, for those that the controller has forgotten."""
        answer = self._client.ask(self._squeue(SQUEUE_FORMAT))
        if answer.code != 0:
            return Known(False, {})
        lines = lines_of(answer.out)
        arrays = sorted({key.partition("_")[0] for key in keys - lines.keys()})
        if arrays and self._accounting:
            told = self._client.ask(states_command(arrays))
            past = element_states(told.out) if told.code == 0 else {}
            lines = {**{key: Line(state, "") for key, state in past.items()}, **lines}
        return Known(True, lines)

    def stop(self, stop: Stop) -> tuple[Stop, Answer]:
        """End tasks, or let tasks that run look at their orders."""
        words = {"cancel": [], "kill": ["--full", "--signal=KILL"], "nudge": ["--batch", "--signal=USR1"]}[stop.kind]
        return stop, self._client.ask(["scancel", *words, *ranges(stop.keys)])

    def exclude(self, arrays: Iterable[str], nodes: Iterable[str]) -> Answer:
        """Keep what still waits away from nodes."""
        return self._client.ask(["scontrol", "update", f"jobid={','.join(sorted(set(arrays)))}", f"excnodelist={','.join(sorted(nodes))}"])
