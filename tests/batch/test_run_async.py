"""Running batches from coroutines: the loop that is there goes on and stays as it is."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.backends.service.backend import ServiceBackend
from hail_batch_jupyter.errors import BatchException, JobFailedError
from tests.conftest import wait_until
from tests.engine.jobs import HOLD
from tests.recorder import Recorder

LOOP_METHODS = ("run_until_complete", "run_forever", "_run_once", "call_soon", "create_task")


async def ticks(during: Any) -> tuple[Any, int]:
    """What the coroutine gave, and how often the loop came round meanwhile."""
    task, count = asyncio.ensure_future(during), 0
    while not task.done():
        count += 1
        await asyncio.sleep(0.001)
    return task.result(), count


def test_a_batch_is_awaited_while_the_loop_goes_on(b: hb.Batch, tmp_path: Path) -> None:
    j = b.new_job()
    j.command(f"sleep 0.2; echo hi > {j.o}")
    b.write_output(j.o, tmp_path / "out")

    run, count = asyncio.run(ticks(b.async_run()))

    assert (tmp_path / "out").read_text() == "hi\n"
    assert run.status()["state"] == "success"
    assert count > 5


def test_the_blocking_form_works_inside_a_coroutine_and_no_loop_is_changed(b: hb.Batch) -> None:
    b.new_job().command("true")
    before = [getattr(asyncio.BaseEventLoop, name, None) for name in LOOP_METHODS] + [asyncio.run, asyncio.Task, asyncio.get_running_loop]

    async def inside() -> tuple[Any, bool]:
        loop = asyncio.get_running_loop()
        run = b.run()
        return run.status()["state"], loop is asyncio.get_running_loop() and not hasattr(loop, "_nest_patched")

    assert asyncio.run(inside()) == ("success", True)
    assert before == [getattr(asyncio.BaseEventLoop, name, None) for name in LOOP_METHODS] + [asyncio.run, asyncio.Task, asyncio.get_running_loop]


def test_two_batches_run_at_once_in_one_loop(tmp_path: Path) -> None:
    def waiting_for(mine: str, theirs: str) -> hb.Batch:
        b = hb.Batch()
        b.new_job().command(f"touch {tmp_path}/{mine}; until [ -e {tmp_path}/{theirs} ]; do sleep 0.01; done")
        return b

    async def both() -> list[Any]:
        return list(await asyncio.gather(waiting_for("a", "b").async_run(), waiting_for("b", "a").async_run()))

    assert [run.status()["state"] for run in asyncio.run(both())] == ["success", "success"]


def test_a_failed_job_is_raised_where_it_is_awaited(b: hb.Batch) -> None:
    b.new_job("bad").command("exit 3")

    with pytest.raises(JobFailedError, match="job 'bad' failed") as caught:
        asyncio.run(b.async_run())
    assert caught.value.returncode == 3


async def cancelled_when_it_runs(b: hb.Batch) -> None:
    task = asyncio.ensure_future(b.async_run())
    while b.last_run is None:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_cancelling_the_task_ends_a_run_of_this_machine(b: hb.Batch, capsys: pytest.CaptureFixture[str]) -> None:
    b.new_job().command(HOLD)

    asyncio.run(cancelled_when_it_runs(b))

    assert b.last_run is not None
    assert b.last_run.status()["state"] == "cancelled"
    assert "Cancelling the run" in capsys.readouterr().out


def test_cancelling_the_task_leaves_a_batch_of_a_service_alone(service: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    service.outcome = None
    b = hb.Batch(backend=ServiceBackend())
    b.new_job()

    asyncio.run(cancelled_when_it_runs(b))

    assert "batch 1 goes on" in capsys.readouterr().out
    assert not service.batches[1]["cancelled"]


def test_a_handle_is_awaited_asked_and_cancelled(b: hb.Batch) -> None:
    b.new_job("one").command("echo hello")
    b.new_job("two").command(HOLD)

    async def inside() -> tuple[Any, ...]:
        run = await b.async_run(wait=False)
        await run.async_wait(job_ids=[1])
        log, job = await run.async_get_job_log(1), await run.async_get_job(1)
        with pytest.raises(TimeoutError, match="it goes on"):
            await run.async_wait(0.01)
        await run.async_cancel()
        status = await run.async_wait(90)
        assert (await run.async_status()) == status
        directory = run.directory
        await run.async_delete()
        return log["main"], job["state"], status["n_cancelled"], directory.exists()

    assert asyncio.run(inside()) == ("hello\n", "Success", 1, False)


def test_an_abandoned_wait_gives_its_thread_back(b: hb.Batch) -> None:
    b.new_job().command(HOLD)
    run = b.run(wait=False)

    async def inside() -> str:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        try:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(run.async_wait(), 0.05)
            return await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 90)
        finally:
            run.cancel()

    assert asyncio.run(inside()) == "free"
    run.wait(90)


def test_a_batch_of_a_service_is_continued_from_a_coroutine(service: Recorder) -> None:
    first = hb.Batch(backend=ServiceBackend())
    first.new_job()
    first.run()

    async def inside() -> Any:
        again = await hb.Batch._async_from_batch_id(1, backend=ServiceBackend())
        again.new_job()
        run = await again._async_run(disable_progress_bar=True)
        await again.backend.async_close()
        return run

    assert asyncio.run(inside()).id == 1
    assert [job["state"] for job in service.batches[1]["jobs"].values()] == ["Success", "Success"]
    with pytest.raises(BatchException, match="needs a batch of a service"):
        asyncio.run(hb.Batch.async_from_batch_id(1))


def test_an_interrupt_leaves_a_batch_of_a_service_alone(service: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    import _thread
    import threading

    service.outcome = None
    b = hb.Batch(backend=ServiceBackend())
    b.new_job()

    def interrupt() -> None:
        wait_until(lambda: service.short.count("GET batches/1") > 1)
        _thread.interrupt_main()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        b.run()
    thread.join()

    assert "Stopped waiting; batch 1 goes on" in capsys.readouterr().out
    assert not service.batches[1]["cancelled"]
