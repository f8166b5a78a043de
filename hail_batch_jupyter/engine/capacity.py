"""How many cores and bytes this machine lets this process use, and what is handed out of them."""

from __future__ import annotations

import heapq
import os
from pathlib import Path

from hail_batch_jupyter.core.ports import Capacity
from hail_batch_jupyter.core.spec import Request

_NO_LIMIT = 1 << 60
"""Cgroups of version 1 say 'no limit' with a number near 2**63."""
DEFAULT_CPU_MCPU = 1000
_ATTEMPTS = 10_000


def machine(root: Path = Path("/")) -> Capacity:
    """Cores and memory of this machine, or of its control group where that is less.

    Source: sched_getaffinity(2), cgroups(7), proc(5).
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota_mcpu(root)
    cpu_mcpu = min(affinity * 1000, quota) if quota else affinity * 1000
    return Capacity(cpu_mcpu, min(_total_memory(root), _memory_limit(root)), _ATTEMPTS)


def _cpu_quota_mcpu(root: Path) -> int | None:
    words = _read(root / "sys/fs/cgroup/cpu.max").split()
    if len(words) == 2 and words[0] != "max":
        return max(1, int(words[0]) * 1000 // int(words[1]))
    quota = _read(root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us")
    period = _read(root / "sys/fs/cgroup/cpu/cpu.cfs_period_us")
    if quota and period and int(quota) > 0:
        return max(1, int(quota) * 1000 // int(period))
    return None


def _memory_limit(root: Path) -> int:
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        text = _read(root / "sys/fs/cgroup" / name)
        if text.isdigit() and int(text) < _NO_LIMIT:
            return int(text)
    return _NO_LIMIT


def _total_memory(root: Path) -> int:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


class Ledger:
    """Hands out cores, memory and slot numbers.

    A request above the total counts as the total, so that such a job runs, and runs alone.
    """

    def __init__(self, total: Capacity, *, whole_cores: bool = False) -> None:
        """`whole_cores`: there are no parts of cores, so what is asked for is rounded up."""
        self.total = total
        self._unit = 1000 if whole_cores else 1
        self.free_mcpu = total.cpu_mcpu
        self.free_bytes = total.memory_bytes
        self._allowed = (total.cpu_mcpu, total.memory_bytes)
        self.running = 0
        self._slots: list[int] = []

    def cost(self, request: Request) -> tuple[int, int]:
        """Millicores and bytes that the request takes; unset cpu is one core, unset memory nothing."""
        mcpu = -(-(request.cpu_mcpu or min(DEFAULT_CPU_MCPU, self.total.cpu_mcpu)) // self._unit) * self._unit
        memory = request.memory_bytes or 0
        if mcpu > self.total.cpu_mcpu or memory > self.total.memory_bytes:
            return self.total.cpu_mcpu, min(memory, self.total.memory_bytes)
        return mcpu, memory

    def allow(self, mcpu: int, memory: int) -> None:
        """Hand out no more than so much together from now on; what is handed out stays so, and then less than nothing may be free."""
        self.free_mcpu += mcpu - self._allowed[0]
        self.free_bytes += memory - self._allowed[1]
        self._allowed = (mcpu, memory)

    @property
    def used(self) -> tuple[int, int]:
        """Millicores and bytes that are handed out."""
        return self._allowed[0] - self.free_mcpu, self._allowed[1] - self.free_bytes

    def fits(self, mcpu: int, memory: int) -> bool:
        """Whether so much is free."""
        return mcpu <= self.free_mcpu and (not memory or memory <= self.free_bytes) and self.running < self.total.attempts

    def take(self, mcpu: int, memory: int) -> int:
        """Take it and give the lowest free slot number."""
        self.free_mcpu -= mcpu
        self.free_bytes -= memory
        self.running += 1
        return heapq.heappop(self._slots) if self._slots else self.running - 1

    def give_back(self, mcpu: int, memory: int, slot: int) -> None:
        """Give back what `take` took."""
        self.free_mcpu += mcpu
        self.free_bytes += memory
        self.running -= 1
        heapq.heappush(self._slots, slot)


def too_large(request: Request, total: Capacity) -> str | None:
    """What a request asks for beyond the machine, in words; None when it fits."""
    from hail_batch_jupyter.core.units import format_bytes

    if (request.cpu_mcpu or 0) > total.cpu_mcpu:
        return f"{(request.cpu_mcpu or 0) / 1000:g} cores where there are {total.cpu_mcpu / 1000:g}"
    if (request.memory_bytes or 0) > total.memory_bytes:
        return f"{format_bytes(request.memory_bytes or 0)} of memory where there are {format_bytes(total.memory_bytes)}"
    return None
