"""Attempts as processes of this machine: bash jobs spawned directly, Python jobs through the fork server."""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from hail_batch_jupyter.core.events import Usage
from hail_batch_jupyter.core.ports import Attempt, Outcome
from hail_batch_jupyter.executors.process.reaper import RSS_UNIT, Exit, Reaper
from hail_batch_jupyter.executors.process.spawn import encode, spawn
from hail_batch_jupyter.executors.process.subreaper import ChildCount, kill_orphans, kill_strays
from hail_batch_jupyter.observe import procfs
from hail_batch_jupyter.observe.recover import BEGINNING

if TYPE_CHECKING:
    from hail_batch_jupyter.executors.process.forkclient import ForkClient

_NOT_STARTED = 127
_ATTEMPT = procfs.ATTEMPT_VARIABLE.encode()
_ROUGHLY = 1.02
_LOOK_S = 0.1
"""How often processes that left their job's group are looked for; for each job it would cost 0.1 ms."""


class ProcessExecutor:
    """Runs attempts of one run; must live in the main thread of a small process."""

    def __init__(self, run_directory: str, scratch: str, env: Mapping[str, str], python: str, sys_path: Sequence[str]) -> None:
        self._run_directory = run_directory
        self._scratch = scratch
        self._env = {**env, procfs.RUN_VARIABLE: os.path.basename(run_directory)}
        self._encoded = encode(self._env)
        self._path = self._env.get("PATH", os.defpath)
        self._done_path = f"{run_directory}/done"
        self._done = os.open(self._done_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(self._done, b"\n")  # takes a block now, so that successes can be noted when the disk is full
        self._beginning = os.open(f"{run_directory}/{BEGINNING}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._python = python
        self._sys_path = sys_path
        self._leaders: dict[int, Attempt] = {}
        self._told: dict[int, int] = {}
        self._pids: dict[str, int] = {}
        self._servers: dict[bool, ForkClient] = {}
        self._retired: list[ForkClient] = []
        self._next_look = 0.0
        self._reaper = Reaper()
        self._children = ChildCount()
        self._poll = select.poll()
        if not self._reaper.sleeps:
            self._poll.register(self._reaper.listen(), select.POLLIN)
        self.helpers: set[int] = set()

    def start(self, attempts: Sequence[Attempt]) -> Iterator[Outcome]:
        """Start each when the outcome before it was taken; a program that is missing ends at once with exit code 127 and a line in the log."""
        for attempt in attempts:
            outcome = self._start(attempt)
            if outcome is not None:
                yield outcome

    def _start(self, attempt: Attempt) -> Outcome | None:
        attempt_id = attempt.attempt_id
        if attempt.job.calls is not None:
            warm = (attempt.job.request.cpu_mcpu or 0) <= 1000
            env = {**attempt.env, procfs.ATTEMPT_VARIABLE: attempt_id}
            self._server(warm).start(attempt._replace(env=env), self._scratch, self._done_path)
            return None
        try:
            encoded = {**self._encoded, **encode(attempt.env), _ATTEMPT: attempt_id.encode()}
            os.pwrite(self._beginning, b"%-32s" % attempt_id.encode(), 0)  # 2 µs; it may have ended before this process goes on
            pid = spawn(attempt.argv, encoded, attempt.directory, attempt.log, path=attempt.env.get("PATH", self._path))
        except (OSError, ValueError) as error:  # a NUL in a command or a value is a ValueError
            return self._could_not_start(attempt, error)
        self._leaders[pid] = attempt
        self._pids[attempt_id] = pid
        return Outcome(attempt_id, "started", pid=pid)

    def _could_not_start(self, attempt: Attempt, error: Exception) -> Outcome:
        with open(attempt.log, "a", encoding="utf-8") as log:
            log.write(f"could not start {attempt.argv[0]!r}: {getattr(error, 'strerror', None) or error}\n")
        return Outcome(attempt.attempt_id, "ended", _NOT_STARTED, f"could not start {attempt.argv[0]!r}")

    def _server(self, warm: bool) -> ForkClient:
        from hail_batch_jupyter.executors.process.forkclient import ForkClient  # brings socket, which bash jobs never need

        server = self._servers.get(warm)
        if server is None or server.retired:
            preload = warm and server is None
            if server is not None:
                self._retired.append(server)
            log = f"{self._run_directory}/runner.log"
            server = self._servers[warm] = ForkClient(self._python, self._env, self._sys_path, log, preload)
            self.helpers.add(server.pid)
            self._poll.register(server.fileno(), select.POLLIN)
            self._poll.register(self._reaper.listen(), select.POLLIN)
        return server

    def wait(self, timeout_s: float) -> list[Outcome]:
        """What happened since the last call, which is written down now: the system may forget the processes that it told of."""
        self._forget()
        deadline = time.monotonic() + timeout_s
        outcomes = self._ended()
        while True:
            if self.helpers or not self._leaders or not self._reaper.sleeps:
                outcomes += self._poll_for(0.0 if outcomes else deadline - time.monotonic())
            elif not outcomes:
                self._reaper.sleep(deadline - time.monotonic())
                outcomes = self._ended()
            now = time.monotonic()
            if now >= self._next_look:
                self._next_look = now + _LOOK_S
                kill_orphans(self._pids.keys(), self._leaders.keys() | self.helpers)
            if outcomes or now >= deadline:
                return outcomes

    def _poll_for(self, timeout_s: float) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for fd, _ in self._poll.poll(max(0, timeout_s * 1000)):
            if fd == self._reaper.read_fd:
                self._reaper.drain()
                outcomes += self._ended()
            for server in [*self._servers.values(), *self._retired]:
                if server.fileno() == fd:
                    outcomes += self._of_server(server)
        return outcomes

    def _of_server(self, server: ForkClient) -> list[Outcome]:
        fd = server.fileno()
        outcomes = server.outcomes()
        for outcome in outcomes:
            if outcome.kind == "started":
                self._pids[outcome.attempt_id] = outcome.pid
            else:
                _kill_group(self._pids.pop(outcome.attempt_id, 0), signal.SIGKILL)
        if server.retired and not server.attempts:
            self._poll.unregister(fd)
            server.close()
            self._retired = [other for other in self._retired if other is not server]
            self._servers = {warm: other for warm, other in self._servers.items() if other is not server}
        return outcomes

    def _ended(self) -> list[Outcome]:
        """The attempt that has ended and of which the caller does not know; the others come with the next calls."""
        while True:
            ended = self._reaper.peek()
            if ended is None or ended.pid in self._told:
                return []
            attempt = self._leaders.get(ended.pid)
            if attempt is not None:
                return [self._end(attempt, ended)]
            self._reaper.forget(ended.pid)
            self.helpers.discard(ended.pid)

    def _end(self, attempt: Attempt, ended: Exit) -> Outcome:
        """Nothing that a job started in its group outlives it."""
        pid, exit_code, usage = ended
        self._told[pid] = exit_code
        _kill_group(pid, signal.SIGKILL)
        del self._pids[attempt.attempt_id]
        if not exit_code and attempt.job.outputs:
            self._note(attempt)  # it is copied in the time to come, in which the system forgets the process
        alone = self._children.count() == len(self._leaders) + len(self.helpers)
        return Outcome(attempt.attempt_id, "ended", exit_code, "", pid, _as_known(usage), alone)

    def _note(self, attempt: Attempt) -> None:
        os.write(self._done, f"{attempt.attempt_id}\n".encode())

    def _forget(self) -> None:
        for pid in self._told:
            self._reaper.forget(pid)
            del self._leaders[pid]
        self._told.clear()

    def stop(self, attempt_id: str, force: bool) -> None:
        """TERM, or with `force` KILL, to the whole group of the attempt."""
        _kill_group(self._pids.get(attempt_id, 0), signal.SIGKILL if force else signal.SIGTERM)

    def close(self) -> None:
        """Kill what still runs and let the servers go."""
        self._note_all()  # what has ended well must be known, whatever ends this process
        for pid in self._pids.values():
            _kill_group(pid, signal.SIGKILL)
        kill_strays(self.helpers)
        for server in [*self._servers.values(), *self._retired]:
            server.close()
        self._children.close()
        self._reaper.close()
        os.close(self._done)
        os.close(self._beginning)

    def _note_all(self) -> None:
        self._ended()
        while self._told:
            for pid, exit_code in self._told.items():
                if not exit_code:
                    self._note(self._leaders[pid])
            self._forget()
            self._ended()


def _as_known(usage: Usage) -> Usage:
    """Of a job that needed less memory than this process the system tells what this process had, and it counts pages roughly."""
    # this process was forked after it had been started, so the same does not hold for itself
    own_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
    return usage._replace(at_most=True) if usage.max_rss_bytes <= own_bytes * _ROUGHLY else usage


def _kill_group(pid: int, number: int) -> None:
    """Nothing that a job started in its group outlives it."""
    if not pid:
        return
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return
