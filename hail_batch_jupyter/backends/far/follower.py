"""The process that follows a run which lives elsewhere: it copies the journal, fetches what belongs here, and hands on what the run is asked.

It is started like a runner, and owns the run directory here as one. It may be killed at any time: the next one goes on where the directory says.
Where the cluster cannot be reached the run goes on there and nothing is lost; the file `paused` says why nothing is heard, and it is tried again.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import BatchException, ClusterError, SubmitError
from hail_batch_jupyter.observe import owner, room, rundir
from hail_batch_jupyter.observe.rundir import PAUSED

_POLL_S, _POLL_MOST_S = 0.05, 2.0
_TEND_S, _TEND_MOST_S = 4.0, 120.0
_AGAIN_S, _AGAIN_MOST_S = 1.0, 60.0
_LOOK_S = 0.05
_CHUNK = 1 << 22
_NEWS = 'cd "$1" 2>/dev/null || { echo gone; exit 0; }; if [ -e ended ]; then printf "ended "; head -c 4096 ended | head -n 1; echo; else echo live; fi; '
_NEWS += 'exec 2>/dev/null; tail -c "+$2" events.jsonl | head -c "$3"'
"""Prints 'live', 'gone', or 'ended' with the outcome, on a line; then the journal from a byte on. The end is looked for first, so that nothing follows it."""
_CANCEL = 'cd "$1" && printf %s "$2" > cancel.new && mv -f cancel.new cancel'
_PARTS = 'cd "$1" && printf "%s\\n" "$2" >> cancel-parts'


class Wishes:
    """What the run is asked here, and has still to be asked there: the file `cancel`, that with parts, the end of a tied maker."""

    def __init__(self, directory: Path, tied: bool) -> None:
        from hail_batch_jupyter.observe.cancelling import PartsReader

        self._directory = directory
        self._tied = tied
        self._parts = PartsReader(directory)
        self._waiting: list[tuple[str, str]] = []
        self._cancelled = False

    def waiting(self) -> list[tuple[str, str]]:
        """(script, argument) of each, in their order; they stay until `done` is called."""
        for request in self._parts.read():
            self._waiting.append((_PARTS, json.dumps({"jobs": list(request.jobs), "group": request.group}, separators=(",", ":"))))
        reason = "" if self._cancelled else self._reason()
        if reason:
            self._cancelled = True
            self._waiting.append((_CANCEL, reason))
        return self._waiting

    def give_up(self, why: str) -> None:
        """Ask that the run ends, if it was not asked yet."""
        if not self.cancelled:
            self._cancelled = True
            self._waiting.append((_CANCEL, why))

    @property
    def cancelled(self) -> bool:
        """Whether the whole run is not wanted any more."""
        self.waiting()
        return self._cancelled

    def done(self) -> None:
        """The first of them was handed on."""
        del self._waiting[0]

    def _reason(self) -> str:
        if self._tied and select.select([0], [], [], 0)[0] and not os.read(0, 4096):
            return "the process that ran the batch ended"
        try:
            return (self._directory / "cancel").read_text() or "cancelled"
        except FileNotFoundError:
            return ""


class Copy:
    """The journal here, as long as what of it was taken in; outputs of a job are here before its end is told.

    That of a run of somebody else, which `is_foreign`, is looked at before it is taken; `refused` says why no more of it is.
    """

    def __init__(self, directory: Path, elsewhere: Any, protocol: Any, *, is_foreign: bool) -> None:
        self._n_jobs = rundir.info(directory).n_jobs if is_foreign else None
        self._seq: int | None = None
        self.refused = ""
        self._path = directory / "events.jsonl"
        self._protocol = protocol
        self._fetches: dict[int, list[Any]] = {}
        self._fetched = directory / "fetched"
        known = set(self._fetched.read_text().splitlines()) if self._fetched.exists() else set()
        for fetch in elsewhere.fetches:
            if fetch.source not in known:
                self._fetches.setdefault(fetch.job_id, []).append(fetch)
        kept = self._path.read_bytes() if self._path.exists() else b""
        self.length = kept.rfind(b"\n") + 1
        if self.length < len(kept):
            os.truncate(self._path, self.length)  # the last follower was killed while it wrote

    def take(self, data: bytes) -> bool:
        """Append it, when the outputs of all jobs that it tells the end of are here; whether there was more than a half-written line."""
        whole = data[: data.rfind(b"\n") + 1]
        seq = self._seq
        if self._n_jobs is not None and data:
            try:
                seq = self._checked(whole, self._n_jobs, whole or len(data) < _CHUNK)
            except SubmitError as error:
                self.refused = str(error)
                return False
        for line in whole.splitlines() if self._fetches else ():
            facts = json.loads(line)
            if "state" in facts and JobState(facts["state"]).complete:
                self._bring(facts["job_id"])
            elif facts.get("phase") == "end":
                self._bring(0)
        try:
            with open(self._path, "ab") as file:
                file.write(whole)
        except OSError:
            os.truncate(self._path, self.length)  # it comes again, from its beginning
            raise
        self.length, self._seq = self.length + len(whole), seq
        return bool(whole)

    def _checked(self, whole: bytes, n_jobs: int, has_ends: object) -> int:
        """The number of the last event in these lines; raises SubmitError for what is not taken, such as what has no ends of lines."""
        from hail_batch_jupyter.backends.far.foreign import check_lines
        from hail_batch_jupyter.observe.journal import read_events

        if self._seq is None:
            events = read_events(self._path)
            self._seq = events[-1].seq if events else 0
        return check_lines(whole if has_ends else b"\n", not self.length, self._seq, n_jobs, int(time.time() * 1000))

    def _bring(self, job_id: int) -> None:
        """Fetch what a job wrote out; one that failed may have written nothing."""
        from hail_batch_jupyter.backends.far.mirror import bring

        while self._fetches.get(job_id):
            fetch = self._fetches[job_id][0]
            if self._protocol.run(["sh", "-c", '[ ! -e "$1" ] || echo yes', "sh", fetch.source]).strip():
                try:
                    bring(self._protocol, fetch.source, Path(fetch.dest))
                except OSError as error:
                    raise OSError(
                        f"the output {fetch.dest!r} cannot be written here ({error.strerror}); free space or mend the path, it is tried again"
                    ) from error
            with open(self._fetched, "a") as file:
                file.write(f"{fetch.source}\n")
            del self._fetches[job_id][0]
        self._fetches.pop(job_id, None)


class Follower:
    """Follows one run to its end."""

    def __init__(self, directory: Path, orders: dict[str, Any]) -> None:
        from hail_batch_jupyter.backends.far.mirror import read_note
        from hail_batch_jupyter.cluster.protocols.record import protocol_from

        elsewhere = read_note(directory)
        self._directory = directory
        self._protocol = protocol_from(elsewhere.protocol)
        if orders["password"] is not None:
            self._protocol.params.password = orders["password"]  # type: ignore[attr-defined]  # only protocols with parameters have one
        self._begin = orders.get("begin")
        self._knows(elsewhere)
        self._wishes = Wishes(directory, orders["tied"])
        self._copy = Copy(directory, elsewhere, self._protocol, is_foreign=elsewhere.is_foreign)
        self._quiet_s, self._tend_s = 0.0, _TEND_S
        self._beaten = 0.0
        self._untended = False

    def _knows(self, elsewhere: Any) -> None:
        from hail_batch_jupyter.backends.far.site import Site

        self._there = elsewhere.directory
        self._fetching, self._is_foreign = bool(elsewhere.fetches), elsewhere.is_foreign
        self._site = Site(self._protocol, elsewhere.post)

    def run(self) -> None:
        """To the end of the run."""
        poll_s, again_s = _POLL_S, _AGAIN_S
        self._tended = time.monotonic() - _TEND_S + 1.0  # soon: the run may have died while nobody followed it
        while True:
            try:
                news = self._step()
            except (ClusterError, SubmitError, OSError) as error:
                self._pause(error)
                self._rest(again_s)
                again_s = min(again_s * 2, _AGAIN_MOST_S)
                continue
            (self._directory / PAUSED).unlink(missing_ok=True)
            if news is None:
                return
            again_s = _AGAIN_S
            poll_s = _POLL_S if news else min(poll_s * 1.3, _POLL_MOST_S)
            self._rest(poll_s)

    def _step(self) -> bool | None:
        """Whether something was heard; None at the end of the run."""
        if (self._begin is not None or not self._there) and not self._began():
            return None
        while self._wishes.waiting():
            script, argument = self._wishes.waiting()[0]
            self._protocol.run(["sh", "-c", script, "sh", self._there, argument])
            self._wishes.done()
        head, _, journal = self._protocol.run(["sh", "-c", _NEWS, "sh", self._there, str(self._copy.length + 1), str(_CHUNK)]).partition("\n")
        word, _, outcome = head.partition(" ")
        if word == "gone":
            return self._tend()
        if word == "ended" and journal[:1] == "\n":
            journal = journal[1:]
        data = journal.encode()
        taken = self._copy.take(data)
        if self._copy.refused:
            return self._refuse(word)
        if word == "ended" and len(data) < _CHUNK:
            self._end(outcome.strip())
            return None
        if taken:
            self._tended, self._tend_s = time.monotonic(), _TEND_S
        elif self._untended or time.monotonic() - self._tended > self._tend_s:
            return self._tend()
        return taken

    def _refuse(self, word: str) -> bool | None:
        """End a run there whose journal is not taken; here its open jobs have failed."""
        if word == "ended":
            self._end("failure")
            return None
        self._wishes.give_up(self._copy.refused)
        return self._tend() if self._untended or time.monotonic() - self._tended > self._tend_s else False

    def _tend(self) -> bool | None:
        """Have it looked after there, where nobody may be left who works on it."""
        self._tended = time.monotonic()
        self._tend_s = min(self._tend_s * 2, _TEND_MOST_S)
        self._untended = True  # as long as it cannot be, the run is paused, although there is a connection
        state = self._site.ask("tend", self._there).get("state")
        self._untended = False
        if state != "gone":
            return False
        self._give_up(f"the run directory {self._there!r} is gone")
        return None

    def _began(self) -> bool:
        """Have the run begin there, if this process is to; False for one that did not, and will not any more."""
        from hail_batch_jupyter.backends.far import mirror, sending

        if not mirror.read_note(self._directory).directory and (self._begin is None or self._wishes.cancelled):
            self._give_up("the run was given up before it began")
            return False
        self._knows(sending.begin(self._directory, self._protocol, sending.Parcel(**self._begin or {})))
        self._begin = None
        return True

    def _give_up(self, why: str) -> None:
        """Write the end of a run of which nothing is left there."""
        from hail_batch_jupyter.observe.attach import read_spec
        from hail_batch_jupyter.observe.recover import write_end

        sys.stderr.write(f"{why}\n")
        write_end(self._directory, read_spec(self._directory), Path(rundir.info(self._directory).scratch))

    def _end(self, outcome: str) -> None:
        facts = rundir.info(self._directory)
        if self._is_foreign:
            from hail_batch_jupyter.backends.far.foreign import end_open_jobs

            end_open_jobs(self._directory, self._copy.refused or "the run under the account of its user ended before the job")
        if self._fetching:
            self._protocol.run(["rm", "-rf", "--", f"{self._there}/out"])
        if not facts.kept:
            import shutil

            shutil.rmtree(facts.scratch, ignore_errors=True)
        rundir.mark_ended(self._directory, outcome)

    def _pause(self, error: Exception) -> None:
        told = room.told(error, str(self._directory)) if isinstance(error, OSError) and not isinstance(error, BatchException) else str(error)
        with contextlib.suppress(OSError):  # there may be no room for that either
            rundir.write_private(self._directory / f"{PAUSED}.new", " ".join(told.split()))
            os.replace(self._directory / f"{PAUSED}.new", self._directory / PAUSED)

    def _rest(self, seconds: float) -> None:
        """Wait, but not when there is something to hand on."""
        deadline = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            if now - self._beaten > owner.HEARTBEAT_S:
                self._beaten = now
                owner.beat(self._directory)
            if now >= deadline:
                return
            before = len(self._wishes.waiting())
            time.sleep(min(_LOOK_S, deadline - now))
            if len(self._wishes.waiting()) > before:
                return


def alone(directory: Path) -> bool:
    """Whether nobody else follows the run; nobody else does as long as this process lives."""
    import fcntl

    fd = os.open(directory / "following", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main() -> None:
    """Entry of the process; without orders it ends."""
    os.closerange(3, 1 << 16)
    from hail_batch_jupyter.engine.runner import read_line, speak_into

    line = read_line(0)
    if not line:
        return
    orders = json.loads(line)
    sys.path[:] = orders["sys_path"]
    directory = Path(orders["directory"])
    speak_into(directory / "runner.log")
    if not alone(directory):
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    owner.write_owner(directory, os.getpid(), guard=os.getpid())
    try:
        Follower(directory, orders).run()
    except FileNotFoundError:
        if directory.exists():
            raise
    except BatchException as error:
        sys.stderr.write(f"{error}\n")


if __name__ == "__main__":
    main()
