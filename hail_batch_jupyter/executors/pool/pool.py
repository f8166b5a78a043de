"""Warm processes that call functions: one thread gives calls to workers and takes their answers."""

from __future__ import annotations

import os
import select
import shutil
import socket
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Optional

from hail_batch_jupyter.core.ports import Outcome, PoolOutcome, PoolTask
from hail_batch_jupyter.executors.pool.client import PoolClient
from hail_batch_jupyter.executors.pool.end import end_in_words
from hail_batch_jupyter.executors.pool.link import WorkerLink

_LOOK_S = 1.0
"""The longest sleep of the thread: an interrupt may have come between an order and its wake-up call."""
_GRACE_S = 2.0
"""What workers get to end by themselves when the pool closes."""


class WorkerPool:
    """At most `n_workers` processes, made when calls wait and none is free; a worker that dies fails its own call only.

    Every method may be called from any thread.
    """

    def __init__(self, make_server: Callable[[], PoolClient], n_workers: int, work_directory: str, directory: str, keep: bool) -> None:
        """`directory` ends in a slash and holds logs; it is removed at the end, unless `keep`."""
        self.n_workers = n_workers
        self.directory = directory
        self._make_server = make_server
        self._work_directory = work_directory
        self._keep = keep
        self._server: Optional[PoolClient] = None
        self._waiting: deque[PoolTask] = deque()
        self._stops: deque[PoolTask] = deque()
        self._workers: dict[str, WorkerLink] = {}
        self._free: list[WorkerLink] = []
        self._by_fd: dict[int, WorkerLink] = {}
        self._n_made = 0
        self._poll = select.poll()
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._ringer.setblocking(False)
        self._poll.register(self._bell, select.POLLIN)
        self._asleep = False
        self._closing = self._now = False
        self._lock = threading.Lock()
        self._thread: Optional[threading.Thread] = None
        self._ended = threading.Event()
        _POOLS.add(self)

    # any thread

    def submit(self, task: PoolTask) -> None:
        """See `core.ports.Pool`."""
        with self._lock:
            if self._closing:
                raise RuntimeError("the pool takes no more calls, because it was closed; make a new one")
            self._waiting.append(task)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hail-batch-jupyter-pool", daemon=True)
                self._thread.start()
        self._wake()

    def stop(self, task: PoolTask) -> None:
        """See `core.ports.Pool`."""
        self._stops.append(task)
        self._wake()

    def close(self, *, now: bool) -> None:
        """See `core.ports.Pool`."""
        with self._lock:
            self._closing = True
            self._now = self._now or now
            unused = self._thread is None
        if unused:
            self._forget()
        self._wake()

    def wait(self, timeout_s: Optional[float] = None) -> bool:
        """See `core.ports.Pool`; in a callback of a call, which runs in the pool's own thread, it does not wait."""
        return self._ended.wait(0 if threading.current_thread() is self._thread else timeout_s)

    def _wake(self) -> None:
        if self._asleep:
            self._asleep = False
            with suppress(OSError):  # it is full of calls, or the pool has ended
                self._ringer.send(b"!")

    # the pool's thread

    def _run(self) -> None:
        try:
            while not self._is_over():
                self._give_out()
                self._listen()
        finally:
            self._end()

    def _is_over(self) -> bool:
        if not self._closing:
            return False
        return self._now or not (self._waiting or any(worker.task for worker in self._workers.values()))

    def _give_out(self) -> None:
        while self._waiting:
            worker = self._free_worker()
            if worker is None:
                return
            task = self._waiting.popleft()
            if task.begin():
                worker.send(task)
                self._watch(worker)
            else:
                self._free.append(worker)

    def _free_worker(self) -> Optional[WorkerLink]:
        """The one that was free last, which is the warmest, or a new one while there may be more."""
        if self._free:
            return self._free.pop()
        if len(self._workers) >= self.n_workers:
            return None
        try:
            return self._new_worker()
        except OSError as error:
            if not self._workers:  # else those that there are go on
                why = f"no process could be started for it ({error.strerror}); close what is not needed, and call it again"
                _tell(self._waiting.popleft(), PoolOutcome("lost", reason=why))
            return None

    def _new_worker(self) -> WorkerLink:
        if self._server is None:
            self._server = self._make_server()
            self._poll.register(self._server.fileno(), select.POLLIN)
        self._n_made += 1
        name = str(self._n_made)
        here, there = socket.socketpair()
        with there:
            worker = WorkerLink(name, here, f"{self.directory}worker-{name}.log")
            self._server.start_worker(name, there, self._work_directory, worker.log)
        self._workers[name] = self._by_fd[here.fileno()] = worker
        self._poll.register(here.fileno(), select.POLLIN)
        return worker

    def _watch(self, worker: WorkerLink) -> None:
        """Have the thread woken when a call that is too large to be sent at once can be sent further."""
        if worker.watched:
            self._poll.modify(worker.fd, select.POLLIN | (select.POLLOUT if worker.unsent else 0))

    def _listen(self) -> None:
        self._asleep = True
        busy = (self._waiting and (self._free or not self._workers)) or self._stops
        ready = self._poll.poll(0 if busy or self._is_over() else _LOOK_S * 1000)
        self._asleep = False
        told = False
        for fd, event in ready:
            worker = self._by_fd.get(fd)
            if worker is not None:
                self._hear(worker, event)
            elif fd == self._bell.fileno():
                self._bell.recv(4096)
            else:
                told = True
        if told:
            self._hear_server()
        while self._stops:
            self._stop(self._stops.popleft())

    def _hear(self, worker: WorkerLink, event: int) -> None:
        if event & select.POLLOUT:
            worker.send_more()
            self._watch(worker)
        if event & ~select.POLLOUT:
            outcome = worker.receive()
            if outcome is not None:
                task, worker.task = worker.task, None
                self._free.append(worker)
                self._give_out()  # before the answer is told, so that the worker is not idle meanwhile
                _tell(task, outcome)
            elif worker.silent:
                self._unwatch(worker)

    def _unwatch(self, worker: WorkerLink) -> None:
        """No more from this worker's socket; what became of the process comes from the server."""
        if worker.watched:
            worker.watched = False
            self._poll.unregister(worker.fd)
            del self._by_fd[worker.fd]
        if worker in self._free:
            self._free.remove(worker)

    def _stop(self, task: PoolTask) -> None:
        for worker in self._workers.values():
            if worker.task is task and self._server is not None:
                self._server.stop_worker(worker.name)

    def _hear_server(self) -> None:
        assert self._server is not None
        for outcome in self._server.outcomes():
            if outcome.kind == "started":
                continue
            worker = self._workers.pop(outcome.attempt_id, None)
            if worker is not None:
                self._bury(worker, outcome)
        if self._server.retired:
            self._poll.unregister(self._server.fileno())
            self._server.close()
            self._server.reap()
            self._server = None

    def _bury(self, worker: WorkerLink, ended: Outcome) -> None:
        """The worker has died; its call fails, unless it was answered before or never reached it.

        Only a worker that has answered before is believed not to have died of the call: one that cannot start would be tried for ever.
        """
        task, outcome = worker.task, worker.receive_all()
        self._unwatch(worker)
        worker.close()
        if task is not None and worker.refused and worker.n_answered:
            self._waiting.appendleft(task)
        elif task is not None:
            log = worker.log if ended.exit_code is not None else f"{self.directory}server.log"
            _tell(task, outcome or end_in_words(ended, log))

    def _end(self) -> None:
        """Let the workers go, then the server, and fail what is left."""
        with self._lock:
            self._closing = True
        left = [worker.task for worker in self._workers.values()] + list(self._waiting)
        for worker in self._workers.values():
            worker.close()
        self._let_go()
        for task in left:
            _tell(task, PoolOutcome("lost", reason="the pool was closed before the call had ended"))
        self._forget()

    def _forget(self) -> None:
        self._bell.close()
        self._ringer.close()
        if not self._keep:
            shutil.rmtree(self.directory, ignore_errors=True)
        _POOLS.discard(self)
        self._ended.set()

    def _let_go(self) -> None:
        server = self._server
        if server is None:
            return
        poll = select.poll()
        poll.register(server.fileno(), select.POLLIN)
        while not self._now and server.attempts and poll.poll(_GRACE_S * 1000) and not server.retired:
            server.outcomes()
        server.close()
        server.reap()

    def abandon(self) -> None:
        """In a process that was forked from the pool's: hold nothing open that tells the workers of the pool's end."""
        self._closing, self._lock, self._ended = True, threading.Lock(), threading.Event()
        self._ended.set()
        for worker in self._workers.values():
            worker.close()
        if self._server is not None:
            self._server.close()


def _tell(task: Optional[PoolTask], outcome: PoolOutcome) -> None:
    if task is None:
        return
    try:
        task.end(outcome)
    except BaseException:  # noqa: BLE001 - a callback may raise anything, and other calls are still to be told
        threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))


_POOLS: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


def _abandon_all() -> None:
    for pool in list(_POOLS):
        pool.abandon()


os.register_at_fork(after_in_child=_abandon_all)
