from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.batch.backend import Backend
from hail_batch_jupyter.errors import UriError


class Foreign(Backend[str]):
    """A backend as people wrote them for hailtop: it overrides the coroutine."""

    def __init__(self) -> None:
        self.closed = 0

    async def _async_run(self, batch: hb.Batch, dry_run: bool, verbose: bool, delete_scratch_on_exit: bool, **backend_kwargs: Any) -> str:
        await asyncio.sleep(0)
        return f"{len(batch.jobs)} jobs {dry_run} {verbose} {delete_scratch_on_exit} {backend_kwargs}"

    async def _async_close(self) -> None:
        self.closed += 1


def test_the_base_class_is_no_backend() -> None:
    with pytest.raises(TypeError, match=r"defines neither submit nor _async_run; use LocalBackend\(\)"):
        Backend()


def test_a_backend_that_overrides_the_coroutine_runs_the_batch() -> None:
    b = hb.Batch(backend=Foreign())
    b.new_job()

    assert b.run(verbose=True, delete_scratch_on_exit=False, colour=5) == "1 jobs False True False {'colour': 5}"


def test_such_a_backend_also_works_where_a_loop_is_running() -> None:
    b = hb.Batch(backend=Foreign())

    async def inside(run: Callable[[], Any]) -> Any:
        return run()

    assert asyncio.run(inside(lambda: b.run(dry_run=True))) == "0 jobs True False True {}"


def test_a_backend_is_closed_by_its_block() -> None:
    with Foreign() as backend:
        pass
    backend.close()

    assert backend.closed == 2


def test_the_local_backend_can_be_used_after_it_was_closed() -> None:
    with hb.LocalBackend() as backend:
        pass

    assert backend.capacity().cpu_mcpu > 0


def test_the_coroutine_form_runs_in_the_users_loop(capsys: pytest.CaptureFixture[str]) -> None:
    b = hb.Batch()
    b.new_job("j").command("true")

    assert asyncio.run(b._async_run(dry_run=True)) is None
    assert "# 1: j" in capsys.readouterr().out


def test_an_address_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UriError, match="no file system found for url"):
        asyncio.run(hb.LocalBackend().validate_file("ftp://host/file"))


def test_an_unknown_name_of_the_module_is_an_attribute_error() -> None:
    from hail_batch_jupyter.batch import backend

    assert backend.LocalBackend is hb.LocalBackend
    with pytest.raises(AttributeError, match="NoBackend"):
        _ = backend.NoBackend
