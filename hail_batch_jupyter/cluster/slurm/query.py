"""Asks Slurm what became of jobs: one question for all of them, answered with or without accounting."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping

from hail_batch_jupyter.cluster.generic_protocol import GenericProtocol
from hail_batch_jupyter.cluster.slurm.answers import WHOLE, exit_code_of, parse_lines
from hail_batch_jupyter.cluster.slurm.states import FINAL, reduce_states, simplified_state
from hail_batch_jupyter.errors import ClusterError

TRIES = 5
"""Accounting lags: an empty answer is asked for again so many times."""

Elements = dict[int, str]
"""Index -> Slurm's word, of what is known of one job."""


class Enquiry:
    """The states of some jobs of one cluster, put together from several answers.

    seen  ended elements that earlier enquiries met, and this one adds to: without accounting, Slurm forgets them after some minutes
    """

    def __init__(self, protocol: GenericProtocol, totals: Mapping[str, int], cluster: str = "", seen: dict[str, Elements] | None = None) -> None:
        self._seen = {} if seen is None else seen
        self._protocol = protocol
        self._totals = dict(totals)
        self._cluster = ["-M", cluster] if cluster else []
        self._known: dict[str, Elements] = {jobid: {} for jobid in totals}
        self._told: list[str] = []

    def states(self, tries: int = TRIES, sleep: Callable[[float], None] = time.sleep) -> dict[str, str]:
        """Job id -> state, '' of those of which nobody knows anything."""
        self._take("squeue", ["squeue", "-h", "-r", "-t", "all", "-o", "%i|%T"], self._open())
        for jobid, elements in self._known.items():
            elements.update({index: word for index, word in self._seen.get(jobid, {}).items() if index not in elements})
        for number in range(tries):
            open_ids = self._open()
            if not open_ids:
                break
            if number:
                sleep(1)
            if not self._take("sacct", ["sacct", "-X", "-P", "-n", "-o", "JobID,State"], open_ids):
                # Without a database Slurm may still write a file of completed jobs.
                single = [jobid for jobid in open_ids if self._totals[jobid] <= 1]
                if single:
                    self._take("sacct -c", ["sacct", "-c", "-P", "-n", "-o", "JobID,State"], single)
                break
            if all(self._known[jobid] for jobid in open_ids):
                break
        self._remember()
        return {jobid: self._state(jobid) for jobid in self._totals}

    def _remember(self) -> None:
        for jobid, elements in self._known.items():
            self._seen.setdefault(jobid, {}).update({index: word for index, word in elements.items() if simplified_state(word) in FINAL})

    def words(self) -> list[str]:
        """Slurm's words as they came."""
        return [word for elements in self._known.values() for word in elements.values()]

    def story(self) -> str:
        """What was answered, for a message."""
        return "; ".join(self._told)

    def _open(self) -> list[str]:
        """Jobs whose state is not known for sure yet."""
        return [jobid for jobid, total in self._totals.items() if not self._decided(jobid, total)]

    def _decided(self, jobid: str, total: int) -> bool:
        """Live elements decide at once; ended ones only when they are all known."""
        ours = {simplified_state(word) for word in self._known[jobid].values()}
        return "" not in ours and (bool(ours & {"RUNNING", "QUEUED", "PAUSED"}) or len(self._known[jobid]) >= total)

    def _state(self, jobid: str) -> str:
        words = self._known[jobid].values()
        return reduce_states(words, self._totals[jobid]) if words else ""

    def _take(self, who: str, command: list[str], jobids: list[str]) -> bool:
        """Ask, and note what is answered; False when the command failed."""
        try:
            text = self._protocol.run([*command, *self._cluster, "-j", ",".join(jobids)])
        except ClusterError as error:
            self._told.append(f"{who} failed: {(error.stderr or error.msg).strip()}")
            return False
        self._told.append(f"{who} answered {text.strip()!r}")
        for line in parse_lines(text, jobids[0] if len(jobids) == 1 else ""):
            elements = self._known.get(line.jobid)
            if elements is not None:
                self._note(elements, line.element, line.columns[0])
        return True

    def _note(self, elements: Elements, index: int, word: str) -> None:
        """The queue is asked first and knows better, unless it said a word that nobody knows."""
        if not simplified_state(elements.get(index, "")):
            elements[index] = word


def exit_code(protocol: GenericProtocol, jobid: str, cluster: str = "") -> int | None:
    """The exit code of a job that failed, of an array that of the first element that did; None when Slurm does not tell."""
    chosen = ["-M", cluster] if cluster else []
    questions = [
        (["sacct", "-X", "-P", "-n", "-o", "JobID,ExitCode", *chosen, "-j", jobid], _accounted),
        (["scontrol", *chosen, "-o", "show", "job", jobid], _shown),
        # The file of completed jobs knows neither signals nor elements, but remembers longer than the controller.
        (["sacct", "-c", "-P", "-n", "-o", "JobID,ExitCode", *chosen, "-j", jobid], _accounted),
    ]
    for question, pairs_of in questions:
        try:
            pairs = pairs_of(protocol.run(question), jobid)
        except ClusterError:
            continue
        if pairs:
            return exit_code_of(pairs)
    return None


def _accounted(text: str, jobid: str) -> list[str]:
    """`CODE:SIGNAL` of each element in the order of the index, as sacct tells."""
    return [line.columns[-1] for line in sorted(parse_lines(text, jobid), key=lambda line: line.element)]


def _shown(text: str, _: str) -> list[str]:
    """The same as `scontrol show job` tells, a line an element."""
    found = []
    for line in text.splitlines():
        index = re.search(r"\bArrayTaskId=(\d+)", line)
        code = re.search(r"\bExitCode=(\d+:\d+)", line)
        if code:
            found.append((int(index[1]) if index else WHOLE, code[1]))
    return [code for _, code in sorted(found)]


def is_final(state: str) -> bool:
    """Whether a job in this state stays in it."""
    return state in FINAL
