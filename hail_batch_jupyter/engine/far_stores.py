"""Object stores on a machine that the runner was sent to: which of its interpreters can reach them, and what they say of a run's inputs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from hail_batch_jupyter.engine.stores import START

_PYTHONS = ("python3", *(f"python3.{minor}" for minor in range(14, 8, -1)), sys.executable)
_FITS = "import sys, importlib.util as u; sys.exit(sys.version_info < (3, 9) or not all(u.find_spec(n) for n in sys.argv[1:]))"
_FITS_S, _ANSWER_S = 30.0, 300.0


def stores(asked: dict[str, Any]) -> dict[str, Any]:
    """The interpreter that has the `packages` ('' where none has), and of each of `uris` what tells whether it has changed."""
    python = _fitting([name for name in (asked["python"], *_PYTHONS) if name], asked["packages"])
    if not python or not asked["uris"]:
        return {"python": python, "versions": {}}
    words = f"{json.dumps(sys.argv[0])}\n{json.dumps({'uris': asked['uris'], 'project': asked['project']})}\n"
    try:
        done = subprocess.run(
            [python, "-c", START.format("versions")], input=words, capture_output=True, check=False, encoding="utf-8", errors="replace", timeout=_ANSWER_S
        )
    except subprocess.TimeoutExpired:
        return {"error": f"the object stores gave no answer within {_ANSWER_S:g} s on that machine; may it connect to them?"}
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return {"error": f"{python} there could not ask the object stores: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}"}
    answer: dict[str, Any] = json.loads(lines[-1])
    return {"python": python, **answer}


def _fitting(names: Sequence[str], packages: Sequence[str]) -> str:
    for name in names:
        path = shutil.which(name)
        try:
            if path and subprocess.run([path, "-c", _FITS, *packages], capture_output=True, check=False, timeout=_FITS_S).returncode == 0:
                return path
        except (OSError, subprocess.TimeoutExpired):
            continue
    return ""
