"""The environment that jobs of this machine get: the one the kernel was started with plus what the user changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

KERNEL_VALUES = {
    "MPLBACKEND": ("module://matplotlib_inline.backend_inline", "module://ipykernel.pylab.backend_inline"),
    "FORCE_COLOR": ("1",),
    "CLICOLOR": ("1",),
    "CLICOLOR_FORCE": ("1",),
    "PAGER": ("cat",),
    "GIT_PAGER": ("cat",),
    "TERM": ("xterm-color",),
}
"""What ipykernel sets for its own cells; such a value is undone, another one is the user's."""
KERNEL_ONLY = ("JPY_PARENT_PID", "JPY_SESSION_NAME", "HAIL_BATCH_JUPYTER_CELL", "JPY_API_TOKEN", "PYDEVD_USE_FRAME_EVAL")


_SETTINGS = "HAIL_BATCH_JUPYTER_"


def job_environment(current: Mapping[str, str], at_start: Mapping[str, str]) -> dict[str, str]:
    """`current` without what ipykernel adds, with the running interpreter's folder first on PATH."""
    env = dict(current)
    for name, values in KERNEL_VALUES.items():
        if env.get(name) in values and at_start.get(name) != env[name]:
            env.pop(name)
            if name in at_start:
                env[name] = at_start[name]
    for name in KERNEL_ONLY:
        env.pop(name, None)
    folder = os.path.dirname(sys.executable)
    path = env.get("PATH", os.defpath)
    if path.split(os.pathsep)[0] != folder:
        env["PATH"] = folder + os.pathsep + path
    return env


def own_names() -> list[str]:
    """Names of the variables that this process has set since its start, as `%env` does, and that its jobs see; not those of this package's settings."""
    at_start = environment_at_start()
    now, then = job_environment(os.environ, at_start), job_environment(at_start, at_start)
    return sorted([name for name, value in now.items() if then.get(name) != value and not name.startswith(_SETTINGS)])


def environment_at_start() -> dict[str, str]:
    """The environment that this process was started with; its present one where the system does not tell."""
    try:
        with open("/proc/self/environ", "rb") as file:
            pairs = (os.fsdecode(line).partition("=") for line in file.read().split(b"\0") if line)
            return {name: value for name, _, value in pairs}
    except OSError:
        return dict(os.environ)
