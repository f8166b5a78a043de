from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hail_batch_jupyter.backends import launch
from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.batch import Batch
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.errors import GraphError, SubmitError
from tests.conftest import wait_until
from tests.engine.jobs import bash, batch


@pytest.fixture
def pids(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, int | None]]:
    """Runners that the test starts; they are waited for, because nobody else knows of them."""
    started: dict[int, int | None] = {}
    monkeypatch.setattr(launch, "_STARTED", started)
    yield started
    for pid in started:
        with contextlib.suppress(ChildProcessError):  # the test has done it
            os.waitpid(pid, 0)


def ended(pids: dict[int, int | None]) -> bool:
    return all(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) for pid in pids)


def test_a_runner_that_gets_no_orders_ends_without_a_word(pids: dict[int, int | None]) -> None:
    with LocalBackend().begin():
        assert not ended(pids)

    wait_until(lambda: ended(pids))
    assert len(pids) == 1
    assert os.waitpid(next(iter(pids)), 0)[1] == 0


def test_a_batch_that_cannot_be_compiled_leaves_no_runner(pids: dict[int, int | None]) -> None:
    b = Batch(backend=LocalBackend())
    first, second = b.new_job("first"), b.new_job("second")
    first.depends_on(second)
    second.depends_on(first)

    with pytest.raises(GraphError, match="cycle"):
        b.run()

    assert len(pids) == 1
    wait_until(lambda: ended(pids))


def test_a_dry_run_starts_no_runner(pids: dict[int, int | None]) -> None:
    b = Batch(backend=LocalBackend())
    b.new_job().command("true")

    b.run(dry_run=True)

    assert not pids


def test_a_runner_that_cannot_start_is_an_error_with_its_own_words_and_leaves_no_run(
    runs: Path, tmp_path: Path, pids: dict[int, int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'no module named that' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with LocalBackend().begin() as begun:
        wait_until(lambda: ended(pids))
        with pytest.raises(SubmitError, match=r"the runner could not start \(no module named that\); reinstall"):
            LocalBackend().submit(batch(bash(1, "true")), SubmitOptions(begun=begun))

    assert list(runs.glob("*")) == []
