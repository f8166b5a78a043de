"""Attempts as jobs of Slurm: submitted as arrays, followed by the words that they leave and by one query for all of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from pathlib import Path
from typing import Any, Callable, Optional

from hail_batch_jupyter.core.events import Usage
from hail_batch_jupyter.core.ports import Attempt, Outcome
from hail_batch_jupyter.executors.container.meter import put_meters
from hail_batch_jupyter.executors.slurm.calls import Calls, Known, Submitted
from hail_batch_jupyter.executors.slurm.nodes import Nodes
from hail_batch_jupyter.executors.slurm.queue import BackOff, Submission, SubmitQueue, Watch
from hail_batch_jupyter.executors.slurm.script import JOB, task_program, task_text
from hail_batch_jupyter.executors.slurm.stops import Stop, Stops
from hail_batch_jupyter.executors.slurm.words import LIVE, End, Line, Site, SlurmSettings, certain, end_of, ranges, said_by
from hail_batch_jupyter.observe import procfs, slurm_jobs
from hail_batch_jupyter.observe.room import no_room, told
from hail_batch_jupyter.observe.slurm_jobs import Answer, Client, Word

_LOOK_S = 0.05
"""How often the words of the jobs are looked for: one listing of a small folder."""
_REFRESH_S = 2.0
"""So often the folder is touched, for the client of a network file system believes for half a minute what it has read."""
_SILENT_S = 30.0
"""A job that Slurm says has ended, or does not know any more, may be slow to leave its word on a network file system."""
_FORGOTTEN_S = 3.0
"""What Slurm does not list may be on its way back into the queue."""
_PLAIN = ("None", "Priority", "Resources", "")
"""Reasons to wait that need no telling."""
_NAMED = 6
"""So many arrays are named where a submission was refused."""


class _Try:
    """An attempt in a task that Slurm has as `key`, such as '123_4'."""

    __slots__ = ("attempt", "began", "key", "node", "restart", "silent_since", "stopped", "told", "word")

    def __init__(self, attempt: Attempt, key: str) -> None:
        self.attempt = attempt
        self.key = key
        self.began = False
        self.node = ""
        self.restart = 0
        self.stopped = False
        self.told = ""
        self.word: Optional[Word] = None
        self.silent_since: Optional[float] = None


class SlurmExecutor:
    """Runs the attempts of one run as Slurm jobs of the same name; `directory` must be the same place on every node.

    Commands of Slurm are asked one after the other in a thread, each with a limit of time, so a controller that is away holds nothing up but itself.
    """

    def __init__(self, directory: Path, scratch: str, settings: SlurmSettings, env: Mapping[str, str], now: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._scratch = scratch
        self._settings = settings
        self._now = now
        self._folder = slurm_jobs.prepare(directory, env)
        self._write("job.sh", JOB)
        self._write("task.py", task_program())
        if settings.engine:
            with contextlib.suppress(OSError):  # then nothing is measured
                put_meters(scratch)
        self._client = Client({**env, procfs.RUN_VARIABLE: directory.name})
        self._calls = Calls(self._client, slurm_jobs.job_name(directory.name), self._folder, settings, self._write)
        self._thread = ThreadPoolExecutor(1)
        self._call: tuple[Future[Any], Callable[[Any], None]] | None = None
        self._done = os.open(directory / "done", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(self._done, b"\n")  # takes a block now, so that a full disk has room for the last successes
        self._queue = SubmitQueue(settings.pack)
        self._again: Submission | None = None
        self._tries: dict[str, _Try] = {}
        self._keys: dict[str, set[str]] = {}
        self._early: set[str] = set()
        self._stops = Stops(self._folder)
        self._nodes = Nodes()
        self._excluding = False
        self._outcomes: list[Outcome] = []
        self._told: list[str] = []
        self._away = BackOff()
        self._watch = Watch()
        self._refreshed = 0.0
        self._ask(self._calls.site, self._know_site)

    def start(self, attempts: Sequence[Attempt]) -> list[Outcome]:
        """Write what their jobs will read; they are submitted while the caller waits, and what cannot be written does not start."""
        refused = []
        for attempt in attempts:
            try:
                text = task_text(attempt, self._directory.name, self._scratch, self._settings)
                self._write(f"tasks/{attempt.attempt_id}.sh", text)
            except (OSError, ValueError) as error:
                refused.append(Outcome(attempt.attempt_id, "ended", None, f"could not start: {told(error, str(self._folder))}"))
            else:
                self._queue.add(attempt)
        return refused

    def _write(self, name: str, text: str) -> None:
        fd = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)

    def wait(self, timeout_s: float) -> list[Outcome]:
        """What happened since the last call; what that gave is written down now, and its files can go."""
        self._forget()
        deadline = self._now() + timeout_s
        while True:
            self._work()
            self._read_words()
            outcomes, self._outcomes = self._outcomes, []
            now = self._now()
            if outcomes or now >= deadline:
                return outcomes
            pause_s = min(_LOOK_S, deadline - now)
            if self._call is not None:
                wait_for([self._call[0]], pause_s)
            else:
                time.sleep(pause_s)

    # one command of Slurm after the other

    def _ask(self, question: Callable[..., Any], take: Callable[[Any], None], *args: Any) -> None:
        self._call = (self._thread.submit(question, *args), take)

    def _work(self) -> None:
        """Take the answer that came, and ask what is to be asked next: first what is to end, then what is to begin, then how all are."""
        if self._call is not None:
            if not self._call[0].done():
                return
            (answer, take), self._call = self._call, None
            take(answer.result())
        now = self._now()
        if now < self._away.until:
            return
        stop = self._stops.next(self._tries, self._keys)
        if stop is not None and stop.keys:
            self._ask(self._calls.stop, self._know_stopped, stop)
            return
        submission = self._again or self._queue.next(now)
        if submission is not None:
            self._again = submission
            self._ask(self._calls.submit, self._know_submitted, submission, sorted(self._nodes.excluded))
        elif self._excluding:
            self._excluding = False
            arrays = {one.key.partition("_")[0] for one in self._tries.values() if not one.began}
            if arrays:
                self._ask(self._calls.exclude, self._know_excluded, arrays, sorted(self._nodes.excluded))
        elif self._tries and self._watch.due is not None and now >= self._watch.due:
            self._ask(self._look, self._know_states, frozenset(self._tries), frozenset(self._keys))

    def _know_site(self, site: Site) -> None:
        self._queue.limit(site)
        self._watch.limit(site.min_job_age_s / 3)

    # submitting

    def _know_submitted(self, result: Submitted) -> None:
        array, failure, words = result
        submission, self._again = self._again, None
        assert submission is not None
        if array is not None:
            self._away.worked()
            self._queue.taken(submission)
            self._register(submission, array)
        elif failure == "away":
            self._away.failed(self._now())
            self._again = submission._replace(tried=True)
            if not submission.tried:
                self._tell(submission.attempts, "Slurm does not answer")
        elif failure == "full":
            self._put_back(submission, f"Slurm takes no more jobs for now: {words}")
        else:
            reason = f"could not start: {words}{self._submitted_in_words()}"
            self._outcomes += [self._refused(attempt, reason) for attempt in submission.attempts]

    def _submitted_in_words(self) -> str:
        """What of the run is in Slurm all the same, for whoever reads that something was refused."""
        arrays = ranges(self._keys)
        if not arrays:
            return ""
        named = ", ".join(arrays[:_NAMED]) + (f" and {len(arrays) - _NAMED} more arrays" if len(arrays) > _NAMED else "")
        return f". Slurm has {len(self._tries)} other jobs of this run, which go on: {named}; cancel_after_n_failures=1 would have ended them"

    def _put_back(self, submission: Submission, reason: str) -> None:
        self._queue.full(submission, self._now())
        if len(submission.tasks) == 1:
            self._tell(submission.attempts, reason)
        for attempt in submission.attempts:
            self._stop_early(attempt)

    def _stop_early(self, attempt: Attempt) -> None:
        """What was to end while nobody knew whether Slurm had it."""
        if attempt.attempt_id in self._early:
            self._early.discard(attempt.attempt_id)
            self.stop(attempt.attempt_id, force=False)

    def _refused(self, attempt: Attempt, reason: str) -> Outcome:
        self._told.append(attempt.attempt_id)
        self._early.discard(attempt.attempt_id)
        return Outcome(attempt.attempt_id, "ended", None, reason)

    def _register(self, submission: Submission, array: int) -> None:
        for index, attempts in enumerate(submission.tasks):
            key = f"{array}_{index}"
            self._keys[key] = {attempt.attempt_id for attempt in attempts}
            for attempt in attempts:
                self._tries[attempt.attempt_id] = _Try(attempt, key)
            self._tell(attempts, f"Slurm job {key}{self._nodes.in_words()}")
            for attempt in attempts:
                self._stop_early(attempt)
        self._watch.soon(self._now(), 2.0)

    def _tell(self, attempts: Sequence[Attempt], reason: str) -> None:
        self._outcomes += [Outcome(attempt.attempt_id, "waiting", reason=reason) for attempt in attempts]

    # following

    def _read_words(self) -> None:
        """What the jobs themselves have said."""
        folder, now = self._folder / slurm_jobs.WORDS, self._now()
        if now >= self._refreshed + _REFRESH_S:
            self._refreshed = now
            os.utime(folder)
        for name in sorted(os.listdir(folder), reverse=True):  # of one attempt the end first, which also says how long ago it began
            attempt_id, _, kind = name.rpartition(".")
            one = self._tries.get(attempt_id)
            if one is None:
                continue
            if kind == "began" and not one.began:
                self._begin(one)
            elif kind == "ended" and one.word is None:
                self._hear(one)

    def _begin(self, one: _Try, ago_ms: int = 0) -> None:
        if not one.began:
            began = slurm_jobs.read_began(self._folder, one.attempt.attempt_id)
            one.began, one.node = True, began.node if began is not None else ""
            self._outcomes.append(Outcome(one.attempt.attempt_id, "started", node=one.node, ago_ms=ago_ms))

    def _hear(self, one: _Try) -> None:
        """What a job that was put back into the queue said before says nothing any more."""
        one.word = None
        word = slurm_jobs.read_word(self._folder, one.attempt.attempt_id)
        if word is None or word.restart < one.restart:
            return
        if word.began_ms:
            self._begin(one, max(0, word.ended_ms - word.began_ms))  # nobody saw it while it ran
        one.word = word
        self._excluding |= self._nodes.note(one.attempt.job.job_id, word)
        if certain(word) or one.stopped:
            self._end(one, said_by(word))
        else:
            self._watch.soon(self._now(), 0.2)

    def _end(self, one: _Try, end: End) -> None:
        attempt_id, word = one.attempt.attempt_id, one.word
        del self._tries[attempt_id]
        self._keys[one.key].discard(attempt_id)
        if not self._keys[one.key]:
            del self._keys[one.key]
        self._told.append(attempt_id)
        if end.kind == "ended" and end.exit_code == 0 and one.attempt.job.outputs:
            os.write(self._done, f"{attempt_id}\n".encode())  # it is copied in the time to come, and its word will be gone
        if word is not None and end.exit_code == 0:
            self._queue.packing.learn(self._queue.shape(one.attempt), (word.ended_ms - word.began_ms) / 1000)
        kind = end.kind if one.began or not one.stopped else "lost"  # what never began has not ended either
        number = int(one.key.partition("_")[0]) if one.began else 0
        usage = Usage(word.max_rss_bytes, word.cpu_s, word.at_most) if word is not None and word.max_rss_bytes else None
        self._outcomes.append(Outcome(attempt_id, kind, end.exit_code, end.reason, number, usage))

    def _look(self, asked: frozenset[str], keys: frozenset[str]) -> tuple[frozenset[str], Known]:
        return asked, self._calls.look(keys)

    def _know_states(self, result: tuple[frozenset[str], Known]) -> None:
        asked, (answered, lines) = result
        now = self._now()
        self._watch.asked(now)
        if not answered:
            self._away.failed(now)
            return
        self._away.worked()
        self._read_words()  # those that were left before Slurm answered
        for attempt_id in asked & self._tries.keys():
            one = self._tries[attempt_id]
            if one.word is not None:
                self._hear(one)  # it may have begun anew meanwhile
            if attempt_id in self._tries:
                self._judge(one, lines.get(one.key), now)

    def _judge(self, one: _Try, line: Line | None, now: float) -> None:
        if line is not None and line.state in LIVE:
            self._live(one, line)
            return
        one.silent_since = one.silent_since or now
        known = line is not None or now - one.silent_since >= _FORGOTTEN_S
        end = end_of(one.word, line or Line("", ""), one.stopped, one.began) if known else None
        if end is not None:
            self._end(one, end)
        elif now - one.silent_since >= _SILENT_S:
            self._end(one, self._without_word(line))
        else:
            self._watch.soon(now, 1.0)

    def _live(self, one: _Try, line: Line) -> None:
        one.silent_since = None
        if one.word is not None:
            if line.state in ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"):
                one.restart, one.word = one.word.restart + 1, None  # it was put back into the queue, and will say how it ends the next time
            else:
                self._watch.soon(self._now(), 0.5)
        if line.state == "PENDING" and not one.began and line.why not in (*_PLAIN, one.told):
            one.told = line.why
            self._tell([one.attempt], f"Slurm job {one.key}: {line.why}")
        if one.stopped:
            self._watch.soon(self._now(), 0.5)

    def _without_word(self, line: Line | None) -> End:
        if line is None:
            return End("lost", None, "Slurm does not know it any more, and it left no word")
        room = "free space there" if no_room(str(self._folder)) else "use a work_directory that every node sees"
        return End("ended", None, f"Slurm says {line.state}, but it left no word in {str(self._folder)!r}; {room}")

    # ending before its time

    def stop(self, attempt_id: str, force: bool) -> None:
        """End the job, which means TERM to what runs; with `force` KILL. What is not yet submitted never is."""
        one = self._tries.get(attempt_id)
        if one is not None:
            one.stopped = True
            self._stops.want(attempt_id, force=force)
        elif self._queue.drop(attempt_id):
            self._outcomes += [Outcome(attempt_id, "waiting", reason="was not submitted"), Outcome(attempt_id, "lost", None, "was not submitted")]
            self._told.append(attempt_id)
        elif self._again is not None:
            self._early.add(attempt_id)

    def _know_excluded(self, answer: Answer) -> None:
        """What is pending still goes there where Slurm refused; what is submitted from now on does not."""
        if answer.code is None:
            self._away.failed(self._now())

    def _know_stopped(self, result: tuple[Stop, Answer]) -> None:
        """Said again only where nobody answered: scancel also fails for what has ended meanwhile."""
        stop, answer = result
        if answer.code is None:
            self._away.failed(self._now())
            for attempt_id in stop.wanted:
                self._stops.want(attempt_id, force=stop.kind == "kill")
        self._watch.soon(self._now(), 0.3)

    def _forget(self) -> None:
        for attempt_id in self._told:
            for name in (f"tasks/{attempt_id}.sh", f"words/{attempt_id}.began", f"words/{attempt_id}.ended", f"stops/{attempt_id}"):
                (self._folder / name).unlink(missing_ok=True)
        self._told.clear()

    def close(self) -> None:
        """Leave no job in the queue, and nothing of what they read."""
        self._client.kill()
        self._thread.shutdown()
        if self._tries or self._again is not None:
            slurm_jobs.close_queue(self._directory)
            slurm_jobs.cancel_jobs(self._directory)
        os.close(self._done)
        shutil.rmtree(self._folder, ignore_errors=True)
