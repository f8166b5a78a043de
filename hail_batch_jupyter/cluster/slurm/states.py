"""Slurm's words for states, and what they come to; source: https://slurm.schedmd.com/squeue.html and sacct.html, JOB STATE CODES."""

from __future__ import annotations

from collections.abc import Iterable

FINAL = ("FINISHED", "FAILED")

_WORDS = {
    "FINISHED": "COMPLETED",
    "RUNNING": "RUNNING CONFIGURING COMPLETING RESIZING STAGE_OUT SIGNALING",
    "QUEUED": "PENDING EXPEDITING POWER_UP_NODE",
    "PAUSED": "SUSPENDED REQUEUED REQUEUE_FED REQUEUE_HOLD RESV_DEL_HOLD STOPPED SPECIAL_EXIT",
    "FAILED": "FAILED CANCELLED TIMEOUT NODE_FAIL OUT_OF_MEMORY BOOT_FAIL DEADLINE PREEMPTED REVOKED LAUNCH_FAILED RECONFIG_FAIL",
}
STATES = {word: state for state, words in _WORDS.items() for word in words.split()}
"""Slurm's full word -> ours."""

_SHORTEST = 8
"""sacct cuts words to ten characters, the last of them a '+'; shorter beginnings are not taken."""


def simplified_state(name: str) -> str:
    """Our state for Slurm's word, also when it is cut ('OUT_OF_ME+') or tells who did it ('CANCELLED by 0'); '' for an unknown one."""
    word = name.strip().partition(" ")[0]
    cut = word.rstrip("+")
    if cut in STATES:
        return STATES[cut]
    found = {state for full, state in STATES.items() if len(cut) >= _SHORTEST and full.startswith(cut)}
    return found.pop() if len(found) == 1 else ""


def reduce_states(states: Iterable[str], total: int) -> str:
    """The state of an array from those of its known elements (Slurm's words or ours), '' when one has an unknown word.

    While some are not known it is RUNNING, but FAILED when one was cancelled.
    """
    words = list(states)
    known = [word if word in _WORDS else simplified_state(word) for word in words]
    if not all(known):
        return ""
    for state in ("RUNNING", "QUEUED", "PAUSED"):
        if state in known:
            return state
    if len(known) >= total or any(word.startswith("CANCELLED") for word in words):
        return "FAILED" if "FAILED" in known else "FINISHED"
    return "RUNNING"
