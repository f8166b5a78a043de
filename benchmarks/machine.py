"""Facts of the machine that a reader of old results needs."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

Facts = dict[str, str | int | float | list[float]]
CORES = 2


def use_two_cores() -> None:
    """Pin this process, and so all it starts, to two cores: every tool is measured two wide on any machine."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[:CORES])


def machine_facts() -> Facts:
    """Cores, memory, kernel and versions; `load` is the load average of the last 1, 5 and 15 minutes."""
    return {
        "cores": os.cpu_count() or 0,
        "cores_used": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
        "processor": _processor(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "bash": _version("bash"),
        "make": _version("make"),
        "load": [round(average, 2) for average in os.getloadavg()],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        return "not installed"
    printed = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    return printed.stdout.partition("\n")[0]
