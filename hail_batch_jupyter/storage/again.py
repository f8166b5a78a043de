"""Doing again what failed through nobody's fault, after pauses that grow."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TypeVar

TRIES = 5
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
T = TypeVar("T")


def persistently(action: Callable[[], T], transient: Callable[[Exception], bool]) -> T:
    """What the action gives; its error when it is not transient, or at the last of five tries."""
    pause_s = FIRST_PAUSE_S
    for _ in range(TRIES - 1):
        try:
            return action()
        except Exception as error:
            if not transient(error):
                raise
        threading.Event().wait(pause_s * random.uniform(0.5, 1.0))  # many that failed together must not come back together
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    return action()
