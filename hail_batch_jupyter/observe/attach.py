"""Coming back to a run by its id."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import cast

from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.core.registry import backend_class, hook
from hail_batch_jupyter.core.spec import BatchSpec, from_json
from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.observe import owner, rundir
from hail_batch_jupyter.observe.local_port import LocalPort
from hail_batch_jupyter.observe.recover import close_dead_run
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.observe.sweep import sweep

_GUARD_S = 10.0
"""Longer than a guard takes to end what a runner left."""
_PAUSE_S = 0.02


def attach(run_id: str, *, detach: bool | None = None) -> RunningBatch:
    """The handle on a run of this user on this machine, live or ended; with `detach` a retry of it goes on when this process ends, as in a notebook.

    A run whose runner was killed is closed first: no process of it stays, what had finished is finished.
    Raises RunLostError naming close ids when there is no such run.
    """
    directory = rundir.find(run_id)
    running = open_run(directory, read_spec(directory), detach=detach)
    running.attached = True
    running.foreign_env = _foreign_env(directory)
    running.close_if_dead()
    return running


def read_spec(directory: Path) -> BatchSpec:
    """What the run in that directory runs; without secrets, which were never written."""
    try:
        return from_json(json.loads((directory / "spec.json").read_text()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RunLostError(f"the description of run {directory.name!r} cannot be read ({error}); it cannot be attached") from error


def _foreign_env(directory: Path) -> list[str]:
    """Variables that the process that made the run had set itself, and this one has not."""
    from hail_batch_jupyter.observe.environment import own_names

    own = own_names()
    return [name for name in rundir.settings_of(directory)["maker"].get("env", ()) if name not in own]


def open_run(directory: Path, spec: BatchSpec, *, detach: bool | None = None) -> RunningBatch:
    """The handle on the run in that directory; `detach` as in `attach`."""
    if (directory / rundir.ELSEWHERE).exists():
        return cast(RunningBatch, hook("open_mirror")(directory, spec, detach=detach))
    facts = rundir.info(directory)
    scratch = Path(facts.scratch)
    running = RunningBatch(facts.run_id, spec, LocalPort(directory), directory=directory, scratch=scratch, kept=facts.kept, backend=facts.backend)

    def close_if_dead() -> bool:
        if (directory / "ended").exists() or owner.owner_alive(directory):
            return False
        deadline = time.monotonic() + _GUARD_S
        while owner.guard_alive(directory) and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)
        sweep(directory)
        return close_dead_run(directory, spec, scratch, running.deliver)

    def resubmit(again: BatchSpec) -> RunningBatch:
        noted = rundir.settings_of(directory)
        backend = backend_class(noted["backend"])(**noted["settings"])
        options = SubmitOptions(keep_files=facts.kept, detach="ipykernel" in sys.modules if detach is None else detach)
        return cast(RunningBatch, backend.submit(again, options))

    running.close_if_dead = close_if_dead
    running.resubmit = resubmit
    return running
