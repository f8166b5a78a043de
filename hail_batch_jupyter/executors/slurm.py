"""Attempts as jobs of Slurm: submitted as arrays, followed by the words that they leave and by one query for all of them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

from hail_batch_jupyter.core.ports import Attempt, Outcome
from hail_batch_jupyter.executors.slurm_queue import BackOff, Submission, SubmitQueue, Watch
from hail_batch_jupyter.executors.slurm_script import JOB, task_text
from hail_batch_jupyter.executors.slurm_words import (
    LIVE,
    SQUEUE_FORMAT,
    End,
    Line,
    SlurmSettings,
    array_of,
    array_size,
    arrays_with,
    certain,
    end_of,
    lines_of,
    ranges,
    refusal,
    said,
    sbatch_command,
)
from hail_batch_jupyter.observe import procfs, slurm_jobs
from hail_batch_jupyter.observe.slurm_jobs import Answer, Client, Word

_LOOK_S = 0.05
"""How often the words of the jobs are looked for: one listing of a small folder."""
_SUBMIT_S = 300.0
"""A busy controller lets sbatch wait and try again by itself; a site with many jobs may need minutes."""
_SILENT_S = 30.0
"""A job that Slurm says has ended, or does not know any more, may be slow to leave its word on a network file system."""
_PLAIN = ("None", "Priority", "Resources", "")
"""Reasons to wait that need no telling."""


class Submitted(NamedTuple):
    """What became of a submission: the answer, the number of its array, and without one why there is none, as `refusal` says."""

    answer: Answer
    array: Optional[int]
    failure: str


class _Task:
    """An attempt that Slurm has as `key`, such as '123_4'."""

    __slots__ = ("attempt", "began", "key", "restart", "silent_since", "stopped", "told", "word")

    def __init__(self, attempt: Attempt, key: str) -> None:
        self.attempt = attempt
        self.key = key
        self.began = False
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
        self._name = slurm_jobs.job_name(directory.name)
        self._folder = slurm_jobs.prepare(directory, env)
        self._write("job.sh", JOB)
        self._client = Client({**env, procfs.RUN_VARIABLE: directory.name})
        self._thread = ThreadPoolExecutor(1)
        self._call: tuple[Future[Any], Callable[[Any], None]] | None = None
        self._done = os.open(directory / "done", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(self._done, b"\n")  # takes a block now, so that a full disk has room for the last successes
        self._queue = SubmitQueue()
        self._again: Submission | None = None
        self._tasks: dict[str, _Task] = {}
        self._keys: dict[str, str] = {}
        self._early: set[str] = set()
        self._cancels: dict[bool, set[str]] = {False: set(), True: set()}
        self._outcomes: list[Outcome] = []
        self._told: list[str] = []
        self._away = BackOff()
        self._watch = Watch()
        self._ask(self._ask_site, self._know_site)

    def start(self, attempts: Sequence[Attempt]) -> list[Outcome]:
        """Write what their jobs will read; they are submitted while the caller waits, and what cannot be written does not start."""
        refused = []
        for attempt in attempts:
            try:
                text = task_text(attempt, self._directory.name, self._scratch, self._settings.python)
                self._write(f"tasks/{attempt.attempt_id}.sh", text)
            except (OSError, ValueError) as error:
                refused.append(Outcome(attempt.attempt_id, "ended", None, f"could not start: {getattr(error, 'strerror', None) or error}"))
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
        for force in (False, True):
            if self._cancels[force]:
                keys, self._cancels[force] = self._cancels[force], set()
                self._ask(self._cancel, self._know_cancelled, sorted(keys), force)
                return
        submission = self._again or self._queue.next(now)
        if submission is not None:
            self._again = submission
            self._ask(self._submit, self._know_submitted, submission)
        elif self._tasks and self._watch.due is not None and now >= self._watch.due:
            self._ask(self._look, self._know_states, frozenset(self._tasks))

    def _answered(self, answer: Answer) -> bool:
        """Whether there was an answer; if not nothing is asked for a while."""
        if answer.code == 0:
            self._away.worked()
            return True
        self._away.failed(self._now())
        return False

    def _ask_site(self) -> Answer:
        return self._client.ask(["scontrol", "show", "config"])

    def _know_site(self, answer: Answer) -> None:
        self._queue.limit(array_size(answer.out))  # without an answer Slurm's own limit

    # submitting

    def _submit(self, submission: Submission) -> Submitted:
        """In the thread: nothing is submitted a second time before Slurm has said that it does not have it."""
        comment = f"{self._name}-{submission.number}"
        if submission.tried:
            known = self._client.ask(self._squeue("%F|%k"))
            array = arrays_with(comment, known.out)
            if known.code != 0 or array is not None:
                return Submitted(known, array, "away")
        try:
            self._write(f"{submission.number}.list", "".join(f"{attempt.attempt_id}\n" for attempt in submission.attempts))
        except OSError as error:
            return Submitted(Answer(1, "", str(error)), None, "refused")
        script, arguments = str(self._folder / "job.sh"), [str(self._folder), str(submission.number)]
        argv = sbatch_command(self._settings, submission.shape, len(submission.attempts), self._name, comment, script, arguments)
        answer = self._client.ask(argv, _SUBMIT_S)
        if answer.code == 0:
            return Submitted(answer, array_of(answer.out), "away")
        return Submitted(answer, None, refusal(answer))

    def _squeue(self, form: str) -> list[str]:
        return ["squeue", "--noheader", "--array", "--states=all", f"--user={os.getuid()}", f"--name={self._name}", f"--format={form}"]

    def _know_submitted(self, result: Submitted) -> None:
        answer, array, failure = result
        submission, self._again = self._again, None
        assert submission is not None
        if array is not None:
            self._away.worked()
            self._queue.taken(submission)
            self._register(submission, array)
            return
        if failure == "away":
            self._away.failed(self._now())
            self._again = submission._replace(tried=True)
            if not submission.tried:
                self._tell(submission.attempts, "Slurm does not answer")
        elif failure == "full":
            self._put_back(submission, f"Slurm takes no more jobs for now: {said(answer)}")
        else:
            reason = f"could not start: sbatch refused it: {said(answer)}"
            self._outcomes += [self._refused(attempt, reason) for attempt in submission.attempts]

    def _put_back(self, submission: Submission, reason: str) -> None:
        self._queue.full(submission, self._now())
        if len(submission.attempts) == 1:
            self._tell(submission.attempts, reason)
        for attempt in submission.attempts:
            if attempt.attempt_id in self._early:
                self._early.discard(attempt.attempt_id)
                self.stop(attempt.attempt_id, force=False)

    def _refused(self, attempt: Attempt, reason: str) -> Outcome:
        self._told.append(attempt.attempt_id)
        self._early.discard(attempt.attempt_id)
        return Outcome(attempt.attempt_id, "ended", None, reason)

    def _register(self, submission: Submission, array: int) -> None:
        for index, attempt in enumerate(submission.attempts):
            task = _Task(attempt, f"{array}_{index}")
            self._tasks[attempt.attempt_id] = task
            self._keys[task.key] = attempt.attempt_id
            self._tell([attempt], f"Slurm job {task.key}")
            if attempt.attempt_id in self._early:
                self._early.discard(attempt.attempt_id)
                self.stop(attempt.attempt_id, force=False)
        self._watch.soon(self._now(), 2.0)

    def _tell(self, attempts: Sequence[Attempt], reason: str) -> None:
        self._outcomes += [Outcome(attempt.attempt_id, "waiting", reason=reason) for attempt in attempts]

    # following

    def _read_words(self) -> None:
        """What the jobs themselves have said."""
        for name in os.listdir(self._folder / slurm_jobs.WORDS):
            attempt_id, _, kind = name.rpartition(".")
            task = self._tasks.get(attempt_id)
            if task is None:
                continue
            if kind == "began":
                self._begin(task)
            elif kind == "ended" and task.word is None:
                self._hear(task)

    def _begin(self, task: _Task) -> None:
        if not task.began:
            task.began = True
            self._outcomes.append(Outcome(task.attempt.attempt_id, "started"))

    def _hear(self, task: _Task) -> None:
        """What a job that was put back into the queue said before says nothing any more."""
        task.word = None
        word = slurm_jobs.read_word(self._folder, task.attempt.attempt_id)
        if word is None or word.restart < task.restart:
            return
        self._begin(task)
        task.word = word
        if certain(word) or task.stopped:
            self._end(task, End("ended", word.exit_code))
        else:
            self._watch.soon(self._now(), 0.2)

    def _end(self, task: _Task, end: End) -> None:
        attempt_id = task.attempt.attempt_id
        del self._tasks[attempt_id]
        del self._keys[task.key]
        for keys in self._cancels.values():
            keys.discard(task.key)
        self._told.append(attempt_id)
        if end.kind == "ended" and end.exit_code == 0 and task.attempt.job.outputs:
            os.write(self._done, f"{attempt_id}\n".encode())  # it is copied in the time to come, and its word will be gone
        kind = end.kind if task.began or not task.stopped else "lost"  # what never began has not ended either
        number = int(task.key.partition("_")[0]) if task.began else 0
        self._outcomes.append(Outcome(attempt_id, kind, end.exit_code, end.reason, number))

    def _look(self, asked: frozenset[str]) -> tuple[frozenset[str], Answer]:
        return asked, self._client.ask(self._squeue(SQUEUE_FORMAT))

    def _know_states(self, result: tuple[frozenset[str], Answer]) -> None:
        asked, answer = result
        now = self._now()
        self._watch.asked(now)
        if not self._answered(answer):
            return
        self._read_words()  # those that were left before Slurm answered
        lines = lines_of(answer.out)
        for attempt_id in asked & self._tasks.keys():
            task = self._tasks[attempt_id]
            if task.word is not None:
                self._hear(task)  # it may have begun anew meanwhile
            if attempt_id in self._tasks:
                self._judge(task, lines.get(task.key), now)

    def _judge(self, task: _Task, line: Line | None, now: float) -> None:
        if line is not None and line.state in LIVE:
            self._live(task, line)
            return
        end = end_of(task.word, line or Line("", ""), task.stopped)
        if end is not None:
            self._end(task, end)
            return
        task.silent_since = task.silent_since or now
        if now - task.silent_since >= _SILENT_S:
            self._end(task, self._without_word(line))
        else:
            self._watch.soon(now, 1.0)

    def _live(self, task: _Task, line: Line) -> None:
        task.silent_since = None
        if task.word is not None:
            if line.state in ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"):
                task.restart, task.word = task.word.restart + 1, None  # it was put back into the queue, and will say how it ends the next time
            else:
                self._watch.soon(self._now(), 0.5)
        if line.state == "PENDING" and not task.began and line.why not in (*_PLAIN, task.told):
            task.told = line.why
            self._tell([task.attempt], f"Slurm job {task.key}: {line.why}")
        if task.stopped:
            self._watch.soon(self._now(), 0.5)

    def _without_word(self, line: Line | None) -> End:
        if line is None:
            return End("lost", None, "Slurm does not know it any more, and it left no word")
        return End("ended", None, f"Slurm says {line.state}, but it left no word in {str(self._folder)!r}; use a work_directory that every node sees")

    # ending before its time

    def stop(self, attempt_id: str, force: bool) -> None:
        """Cancel the job, which means TERM to what runs; with `force` KILL. What is not yet submitted never is."""
        task = self._tasks.get(attempt_id)
        if task is not None:
            task.stopped = True
            self._cancels[force].add(task.key)
        elif self._queue.drop(attempt_id):
            self._outcomes += [Outcome(attempt_id, "waiting", reason="was not submitted"), Outcome(attempt_id, "lost", None, "was not submitted")]
            self._told.append(attempt_id)
        elif self._again is not None:
            self._early.add(attempt_id)

    def _cancel(self, keys: Sequence[str], force: bool) -> tuple[Sequence[str], bool, Answer]:
        words = ["--full", "--signal=KILL"] if force else []
        return keys, force, self._client.ask(["scancel", *words, *ranges(keys)])

    def _know_cancelled(self, result: tuple[Sequence[str], bool, Answer]) -> None:
        """Said again only where nobody answered: scancel also fails for what has ended meanwhile."""
        keys, force, answer = result
        if answer.code is None:
            self._away.failed(self._now())
            self._cancels[force].update(key for key in keys if key in self._keys)
        self._watch.soon(self._now(), 0.3)

    def _forget(self) -> None:
        for attempt_id in self._told:
            for name in (f"tasks/{attempt_id}.sh", f"words/{attempt_id}.began", f"words/{attempt_id}.ended"):
                (self._folder / name).unlink(missing_ok=True)
        self._told.clear()

    def close(self) -> None:
        """Leave no job in the queue, and nothing of what they read."""
        self._client.kill()
        self._thread.shutdown()
        if self._tasks or self._again is not None:
            slurm_jobs.close_queue(self._directory)
            slurm_jobs.cancel_jobs(self._directory)
        os.close(self._done)
        shutil.rmtree(self._folder, ignore_errors=True)
