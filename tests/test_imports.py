"""What an import loads, asked in fresh interpreters: heavy packages stay away until something uses them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable

import pytest

from tests.requirements import ROOT, requires
from tests.test_architecture import PYTHON_39, part, sources

HEAVY = {"pandas", "numpy", "IPython", "anywidget", "ipywidgets", "traitlets", "requests", "dill", "google", "azure", "tornado", "asyncio"}
MAGICS_MAY_NOT = {"pandas", "numpy", "anywidget", "ipywidgets", "google", "azure", "requests"}


def loaded_by(code: str, names: Iterable[str], before: str = "", python: str = sys.executable) -> list[str]:
    """Which of `names` an interpreter has loaded after `before` and `code`, and had not after `before`."""
    lines = [
        before,
        "import json, sys",
        "known = set(sys.modules)",
        code,
        f"print(json.dumps([name for name in {sorted(names)!r} if name in sys.modules.keys() - known]))",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([python, "-W", "error", "-c", "\n".join(lines)], capture_output=True, text=True, check=False, env=environment, cwd="/")
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("module", ["hail_batch_jupyter", "hail_batch_jupyter.batch"])
def test_an_import_loads_nothing_heavy(module: str) -> None:
    assert loaded_by(f"import {module}", HEAVY) == []


def test_describing_and_compiling_a_batch_loads_nothing_heavy() -> None:
    code = "import hail_batch_jupyter.batch as hb\nb = hb.Batch()\nj = b.new_job()\nj.command(f'echo hi > {j.ofile}')"

    assert loaded_by(code, HEAVY) == []


def test_loading_the_extension_loads_nothing_heavy() -> None:
    shell = "from IPython.core.interactiveshell import InteractiveShell\nshell = InteractiveShell.instance()"
    load = "shell.run_line_magic('load_ext', 'hail_batch_jupyter')\nassert shell.find_line_magic('batch_run')"

    assert loaded_by(load, MAGICS_MAY_NOT, before=shell) == []


def test_the_test_sees_what_is_loaded() -> None:
    assert loaded_by("import asyncio", HEAVY) == ["asyncio"]


def test_modules_that_jobs_import_load_on_python_3_9_without_any_package() -> None:
    python = requires("python3.9")
    modules = [module for module in sources() if part(module) in (*PYTHON_39, "")]

    assert loaded_by(f"sys.dont_write_bytecode = True\nimport {', '.join(modules)}", {"pandas", "dill", "IPython"}, python=python) == []
