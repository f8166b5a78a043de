"""The process that holds the engine of one run, started as a script so that its start costs little.

It is started before it is known what it will run. Then it reads one JSON line from its standard input: the run directory, values of `env` by job, the
import path for Python jobs, the limits. When it is `tied`, the end of that input is the end of its maker, and of the run.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.ports import CancelRequest, Capacity, Executor, Gpu
from hail_batch_jupyter.core.spec import BatchSpec, from_json
from hail_batch_jupyter.engine.capacity import Ledger
from hail_batch_jupyter.engine.engine import Engine
from hail_batch_jupyter.engine.finish import Finisher
from hail_batch_jupyter.engine.localize import Localizer, remove_tree
from hail_batch_jupyter.engine.ready import ReadyQueue
from hail_batch_jupyter.engine.share import Share
from hail_batch_jupyter.engine.stores import Stores
from hail_batch_jupyter.engine.written import Written
from hail_batch_jupyter.errors import BatchException
from hail_batch_jupyter.executors.process.executor import ProcessExecutor
from hail_batch_jupyter.executors.process.guard import guard
from hail_batch_jupyter.executors.process.subreaper import become_subreaper
from hail_batch_jupyter.observe import owner, rundir
from hail_batch_jupyter.observe.cancelling import PartsReader
from hail_batch_jupyter.observe.journal import JournalWriter

_DESCRIPTORS = 1 << 16


class Outside:
    """What is heard from outside: the file `cancel`, a signal, the end of a tied maker, which end the run, and what it may use; and the heartbeat."""

    def __init__(self, directory: Path, tied: bool, share: Share) -> None:
        self._directory = directory
        self._tied = tied
        self._share = share
        self._signal = ""
        self._parts = PartsReader(directory)
        self._beaten = 0.0
        signal.signal(signal.SIGTERM, self._on_signal)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def _on_signal(self, number: int, frame: Any) -> None:
        self._signal = "the runner was asked to end"

    def reason(self, ready: ReadyQueue) -> str:
        """Why the run is to be cancelled, '' while it is not."""
        self._share.look(ready)
        now = time.monotonic()
        if now - self._beaten > owner.HEARTBEAT_S:
            self._beaten = now
            owner.beat(self._directory)
        if self._tied and select.select([0], [], [], 0)[0] and not os.read(0, 4096):
            return "the process that ran the batch ended"
        try:
            return self._signal or (self._directory / "cancel").read_text() or "cancelled"
        except FileNotFoundError:
            return ""

    def requests(self) -> list[CancelRequest]:
        """Parts of the run that were cancelled since the last call."""
        return self._parts.read()


def run(directory: Path, orders: dict[str, Any]) -> None:
    """Run the spec in `directory` to its end."""
    spec = from_json(json.loads((directory / "spec.json").read_text()))
    facts = rundir.info(directory)
    logs = str(directory / "logs")
    python, sys_path = orders.get("stores", (sys.executable, orders["sys_path"]))
    stores = Stores(python, sys_path, spec.requester_pays_project, os.environ, orders.get("key_file"), orders.get("service"))
    localizer = Localizer(facts.scratch, orders["shared_directory"], stores, orders.get("confined"), orders.get("own"), Written(directory))
    executor = _executor(directory, facts.scratch, orders)
    ledger = Ledger(Capacity(*orders["capacity"]), whole_cores="slurm" in orders)
    share = Share(directory, ledger)
    outside = Outside(directory, orders["tied"], share)
    journal, requests = _journal(directory, spec, outside)
    finisher = Finisher(localizer, logs, here="slurm" not in orders)
    env = {int(job_id): values for job_id, values in orders["env"].items()}
    gpus = None if orders["gpus"] is None else [Gpu(*gpu) for gpu in orders["gpus"]]
    engine = Engine(spec, executor, journal, ledger, localizer, finisher, logs=logs, env=env, watch=outside.reason, requests=requests, gpus=gpus)
    gc.freeze()  # what is loaded stays; the collector need not look at it again and again
    try:
        _copy_external(spec, localizer)
        engine.run(*_taken_over(spec, directory, localizer, journal))
        share.close()
    finally:
        executor.close()
        stores.close()
        finisher.close()
    rubbish = None if facts.kept else _put_away(facts.scratch)
    outcome, totals = engine.end()
    rundir.mark_ended(directory, outcome.value, totals)
    journal.close()
    if rubbish is not None:
        remove_tree(rubbish)


def _journal(directory: Path, spec: BatchSpec, outside: Outside) -> tuple[JournalWriter, Callable[[], Sequence[CancelRequest]]]:
    """The journal, and what cancels parts of the run; with a rate card each attempt is priced, with a budget that may cancel the rest."""
    path = directory / "events.jsonl"
    if spec.card is None:
        return JournalWriter(path), outside.requests
    from hail_batch_jupyter.engine.budget import MeteredJournal, within_budget

    journal = MeteredJournal(path, spec)
    return journal, within_budget(spec, journal, outside.requests)


def _executor(directory: Path, scratch: str, orders: dict[str, Any]) -> Executor:
    if "slurm" in orders:
        from hail_batch_jupyter.executors.slurm.executor import SlurmExecutor
        from hail_batch_jupyter.executors.slurm.words import SlurmSettings

        return SlurmExecutor(directory, scratch, SlurmSettings(**orders["slurm"]), os.environ)
    processes = ProcessExecutor(str(directory), scratch, os.environ, sys.executable, orders["sys_path"])
    if orders["containers"] is None:
        return processes
    from hail_batch_jupyter.executors.container.command import Containers
    from hail_batch_jupyter.executors.container.executor import ContainerExecutor

    return ContainerExecutor(processes, Containers(**orders["containers"]), directory, scratch)


def _taken_over(spec: BatchSpec, directory: Path, localizer: Localizer, journal: JournalWriter) -> tuple[dict[int, JobEvent], dict[int, str], str]:
    if spec.previous_run is None:
        return {}, {}, ""
    from hail_batch_jupyter.engine.fingerprint import load
    from hail_batch_jupyter.engine.saying import Saying
    from hail_batch_jupyter.engine.takeover import take_over

    return take_over(spec, load(directory), localizer, Saying(journal))


def _copy_external(spec: BatchSpec, localizer: Localizer) -> None:
    """Inputs that are written straight to an output are copied when the run starts."""
    localizer.copy_out(spec.external)


def _put_away(scratch: str) -> str | None:
    """Scratch under another name: gone for everyone at once, removed when the end is written down (45 ms for 1 000 folders)."""
    rubbish = f"{scratch}.removing"
    try:
        os.rename(scratch, rubbish)
    except FileNotFoundError:  # a job may remove what it likes
        return None
    return rubbish


def main() -> None:
    """Entry of the process; without orders it ends.

    With them it splits in two: the parent becomes the guard, the child runs the batch.
    """
    os.closerange(3, _DESCRIPTORS)  # whatever the maker had open: locks, pipes; the jobs must not hold it
    become_subreaper()  # before the first job, so that whatever leaves one comes to the runner or, after it, to the guard
    line = read_line(0)
    if not line:
        return
    orders = json.loads(line)
    directory = Path(orders["directory"])
    speak_into(directory / "runner.log")
    pid = os.fork()
    if pid:
        sys.exit(guard(directory, pid))
    become_subreaper()  # a child does not inherit it
    owner.write_owner(directory, os.getpid(), guard=os.getppid())
    run(directory, orders)
    _clean(directory)


def _clean(directory: Path) -> None:
    """Remove runs that are overdue, when everything of this one is done and written down: it takes nothing from jobs, and nobody waits for it."""
    from hail_batch_jupyter.observe import retention, uploads

    with contextlib.suppress(OSError):
        os.nice(19)
    try:
        limits = retention.configured_limits()
        retention.clean(limits, spared=[directory.name])
        if (rundir.runs_folder() / uploads.OWN / uploads.FILES).is_dir():
            uploads.clean(rundir.runs_folder(), limits)
    except (BatchException, OSError) as error:
        sys.stderr.write(f"old runs were not removed: {error}\n")


def speak_into(path: Path) -> None:
    """Both outputs go to the log of the run; until now they went to the maker, who may be gone."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def read_line(fd: int) -> bytes:
    """One line, read without a buffer so that nothing behind it is lost; b'' when the input ends before the line does."""
    data = b""
    while not data.endswith(b"\n"):
        part = os.read(fd, 1 << 16)
        if not part:
            return b""
        data += part
    return data


if __name__ == "__main__":
    main()
