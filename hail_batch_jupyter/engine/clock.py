"""Time as the engine sees it."""

from __future__ import annotations

import time
from typing import Callable, NamedTuple


class Clock(NamedTuple):
    """`now_ms` is milliseconds since the epoch, `monotonic` seconds."""

    now_ms: Callable[[], int] = lambda: int(time.time() * 1000)
    monotonic: Callable[[], float] = time.monotonic
