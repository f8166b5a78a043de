"""Attempts with an image: each is a client of the container engine among the processes, and a container that is removed when it has ended."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from hail_batch_jupyter.core.ports import Attempt, Executor, Outcome
from hail_batch_jupyter.executors.container.command import Containers, container_name, run_client
from hail_batch_jupyter.executors.container.meter import measured, meter_here, read_report, report_path
from hail_batch_jupyter.observe.containers import ask, note_engine, remove_containers

_ASKING = 8
"""Engines are asked about so many ended containers at once."""
_SOON_S = 0.02
"""While an engine is asked why a container ended, its answer is looked for so often."""
_OF_ENGINE = 125
"""The client's exit code when the engine itself failed; a job may end with it as well."""
_NEVER = "0001-01-01"
"""How an engine writes the time of a start that there was not."""
_TAIL_BYTES = 4096
_USAGE = re.compile(r"^Usage:|--help")
_NOT_THERE = re.compile(r"not found|manifest unknown|no such image|does not exist|did not resolve", re.IGNORECASE)


def linked_inputs(attempt: Attempt, scratch: str) -> list[str]:
    """Real paths of what was linked for the job; each is mounted where it lies, so that the link leads there in the container too."""
    dests = [transfer.dest for transfer in attempt.job.inputs]
    places = [dest if dest.startswith("/") else scratch + dest[dest.index("/") :] for dest in dests]
    inside = os.path.realpath(scratch) + os.sep
    return [path for path in dict.fromkeys(map(os.path.realpath, places)) if not path.startswith(inside)]


class _Open(NamedTuple):
    """An attempt whose container may be there."""

    attempt: Attempt
    name: str


class ContainerExecutor:
    """Runs attempts that have an image in containers, and the others as `processes` does.

    The end of an attempt that did not succeed is told when its container is gone, so that nothing writes any more.
    """

    def __init__(self, processes: Executor, containers: Containers, directory: Path, scratch: str) -> None:
        self._processes = processes
        self._containers = containers
        self._directory = directory
        self._scratch = scratch
        self._open: dict[str, _Open] = {}
        self._stopped: set[str] = set()
        self._ending: list[Future[Outcome]] = []
        self._pool = ThreadPoolExecutor(_ASKING)
        self._meter = meter_here(scratch)
        note_engine(directory, containers.engine)

    def start(self, attempts: Sequence[Attempt]) -> Iterator[Outcome]:
        """Start each when the outcome before it was taken; a container's first sign of life is that of its client."""
        for attempt in attempts:
            if attempt.job.image is None:
                yield from self._processes.start([attempt])
            else:
                yield from self._start(attempt)

    def _start(self, attempt: Attempt) -> Sequence[Outcome]:
        run_id = self._directory.name
        try:
            inside = measured(attempt, self._meter, self._scratch)
            client = run_client(inside, self._containers, run_id, self._scratch, linked_inputs(attempt, self._scratch))
        except ValueError as error:
            Path(attempt.log).write_text(f"{error}\n")
            return [Outcome(attempt.attempt_id, "ended", None, str(error))]
        self._open[attempt.attempt_id] = _Open(attempt, container_name(run_id, attempt.attempt_id))
        bare = attempt._replace(job=attempt.job._replace(calls=None), argv=client.argv, env=client.env)
        return [self._seen(outcome) for outcome in self._processes.start([bare])]

    def _seen(self, outcome: Outcome) -> Outcome:
        if outcome.kind != "started":
            del self._open[outcome.attempt_id]
        return outcome

    def wait(self, timeout_s: float) -> list[Outcome]:
        """What happened since the last call."""
        outcomes = []
        for outcome in self._processes.wait(min(timeout_s, _SOON_S) if self._ending else timeout_s):
            if outcome.attempt_id not in self._open or outcome.kind == "started":
                outcomes.append(outcome)
            else:
                outcomes.extend(self._ended(outcome))
        outcomes.extend(future.result() for future in self._ending if future.done())
        self._ending = [future for future in self._ending if not future.done()]
        return outcomes

    def _ended(self, outcome: Outcome) -> list[Outcome]:
        """The client has ended; what it used says nothing about its container, in which that was measured."""
        ended = self._open.pop(outcome.attempt_id)
        outcome = outcome._replace(usage=None, alone=False)
        if outcome.exit_code == 0:
            self._pool.submit(self._remove, ended.name)
            return [self._with_usage(ended, outcome)]
        self._ending.append(self._pool.submit(self._finish, ended, outcome, outcome.attempt_id in self._stopped))
        self._stopped.discard(outcome.attempt_id)
        return []

    def _finish(self, ended: _Open, outcome: Outcome, stopped: bool) -> Outcome:
        """In a thread: see why the container ended and remove it."""
        judged = outcome if stopped else self._judged(ended, outcome)
        self._remove(ended.name)
        return self._with_usage(ended, judged)

    def _with_usage(self, ended: _Open, outcome: Outcome) -> Outcome:
        return outcome._replace(usage=read_report(report_path(self._scratch, ended.attempt)))

    def _judged(self, ended: _Open, outcome: Outcome) -> Outcome:
        state = _state(ask([self._containers.engine, "inspect", "--type", "container", "--format", "{{json .State}}", ended.name]))
        if state.get("OOMKilled"):
            return outcome._replace(reason="out of memory")
        if outcome.exit_code == _OF_ENGINE and str(state.get("StartedAt", _NEVER)).startswith(_NEVER):
            return outcome._replace(exit_code=None, reason=self._failure(ended.attempt))
        return outcome

    def _failure(self, attempt: Attempt) -> str:
        """Why there was no container, in one sentence; the engine's own words are in the log."""
        image, engine = attempt.job.image or "", os.path.basename(self._containers.engine)
        words = _last_words(attempt.log)
        if ask([self._containers.engine, "image", "inspect", "--format", "{{.Id}}", image]).strip():
            return f"{engine} could not run the image {image!r}: {words}"
        short = "image not found" if _NOT_THERE.search(words) else "image cannot be pulled"
        return f"{short}: {image!r} is not on this machine and {engine} could not get it; check the name, or build or pull it first ({words})"

    def _remove(self, name: str) -> None:
        ask([self._containers.engine, "rm", "--force", "--volumes", name])

    def stop(self, attempt_id: str, force: bool) -> None:
        """The client passes TERM on to its container; one that was killed leaves its container to be removed."""
        if attempt_id in self._open:
            self._stopped.add(attempt_id)
        self._processes.stop(attempt_id, force)

    def close(self) -> None:
        """Leave no container and no process."""
        self._pool.shutdown()
        if self._open:
            remove_containers(self._directory)
        self._processes.close()


def _state(text: str) -> dict[str, Any]:
    try:
        state = json.loads(text)
    except json.JSONDecodeError:  # there is no such container
        return {}
    return state if isinstance(state, dict) else {}


def _last_words(log: str) -> str:
    """The last line in which an engine says what is wrong."""
    with open(log, "rb") as file:
        file.seek(max(0, os.path.getsize(log) - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    said = [line.strip() for line in lines if line.strip() and not _USAGE.search(line)]
    return said[-1] if said else "it gave no reason"
