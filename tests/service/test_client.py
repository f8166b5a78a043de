"""Batches of our own client, from the description to the files, on a real service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.backends.service.backend import ServiceBackend, connect
from hail_batch_jupyter.backends.service.open import open_batch
from hail_batch_jupyter.batch.batch_pool_executor import BatchPoolExecutor
from hail_batch_jupyter.client.calls import Call
from hail_batch_jupyter.client.transport import Transport
from hail_batch_jupyter.core.spec import Edge
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import BatchException, CapabilityError, ServiceError
from hail_batch_jupyter.jupyter.display import key_of
from hail_batch_jupyter.jupyter.run import attach_batch
from tests.conftest import wait_until
from tests.engine.jobs import HOLD, LONG_S, Gate
from tests.service.servers import Server

pytestmark = pytest.mark.usefixtures("server")


@pytest.fixture
def b() -> hb.Batch:
    return hb.Batch(name="b", backend=ServiceBackend())


def states(run: Any) -> dict[str, str]:
    return {job["name"]: job["state"] for job in run.jobs()}


def test_files_go_from_job_to_job_and_out(b: hb.Batch, tmp_path: Path, server: Server) -> None:
    (tmp_path / "in.txt").write_text("a b\nc\n")
    before = set((server.data / "files" / "by-path").glob("*"))  # what batches of other tests have not cleared yet
    count = b.new_job("count")
    count.command(f"wc -w < {b.read_input(str(tmp_path / 'in.txt'))} > {count.n}")
    last = b.new_job("last")
    last.command(f"echo words: $(cat {count.n}) > {last.o}; echo printed")
    b.write_output(last.o, str(tmp_path / "out.txt"))

    run = b.run(wait=False)
    status = run.wait(LONG_S)

    assert (status["state"], status["n_succeeded"], status["cost"]) == ("success", 3, 0.0)
    assert (tmp_path / "out.txt").read_text() == "words: 3\n"
    assert run.get_job_log(2)["main"] == "printed\n"
    assert set((server.data / "files" / "by-path").iterdir()) <= before


def test_a_python_job_gives_its_result(b: hb.Batch, tmp_path: Path) -> None:
    result = b.new_python_job("sum").call(lambda *numbers: sum(numbers), 1, 2, 39)
    b.write_output(result.as_str(), str(tmp_path / "out.txt"))

    assert b.run(wait=False).wait(LONG_S)["state"] == "success"
    assert (tmp_path / "out.txt").read_text().strip() == "42"


def test_a_failed_job_cancels_its_children_but_not_always_run(b: hb.Batch) -> None:
    bad = b.new_job("bad")
    bad.command("echo because >&2; exit 7")
    for name in ("child", "always"):
        b.new_job(name).command(f"echo {name}").depends_on(bad)
    b.job_named("always").always_run()  # type: ignore[union-attr]  # it is there

    run = b.run(wait=False)
    status = run.wait(LONG_S)

    assert states(run) == {"bad": "Failed", "child": "Cancelled", "always": "Success"}
    assert (status["state"], status["n_failed"], status["n_cancelled"]) == ("failure", 1, 1)
    assert (run.get_job(1)["exit_code"], run.get_job(1).exit_code(run.get_job(1)), run.get_job(1)["status"]["state"]) == (7, 7, "failed")
    assert "because" in str(run.error())
    assert run.get_job(1).attempts()[0]["reason"] == "completed"
    assert run.get_job(2).attempts() == []


def test_cancelling_ends_what_runs_and_what_waits(b: hb.Batch, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    first = b.new_job("first").command(gate.shell)
    b.new_job("second").depends_on(first)
    run = b.run(wait=False)
    gate.reached()
    assert (run.status()["state"], run.status()["complete"]) == ("running", False)

    run.cancel()
    status = run.wait(LONG_S)

    assert (status["state"], states(run)) == ("cancelled", {"first": "Cancelled", "second": "Cancelled"})
    assert run.get_job(1).attempts()[0]["reason"] == "cancelled"


def test_a_log_is_read_while_the_job_runs(b: hb.Batch) -> None:
    b.new_job("j").command(f"echo here; {HOLD}")
    run = b.run(wait=False)

    wait_until(lambda: run.get_job_log(1)["main"] == "here\n")

    wait_until(lambda: run.get_job(1)["status"]["container_statuses"]["main"]["state"] == "running")
    run.cancel()


def test_what_jobs_were_given_and_used_is_known_to_our_client(b: hb.Batch) -> None:
    hungry = b.new_job("hungry").cpu(0.5).memory("2Gi").command("python3 -c 'import time; block = b\"x\" * (60 << 20)'")
    b.new_job("fails").depends_on(hungry).always_run().command("exit 3")
    run = b.run(wait=False)
    run.wait(LONG_S)

    for known in (run, attach_batch(run.id)):
        frame = known.attempts_frame()
        first, second = (row for _, row in frame.iterrows())
        assert (first["attempt"], first["cores_granted"], first["memory_granted_bytes"], second["exit_code"]) == (1, 0.5, 2 << 30, 3)
        assert first["max_rss_bytes"] > 60 << 20
        assert first["cores_used"] > 0
        assert list(known.jobs_frame()["max_rss_bytes"].notna()) == [True, True]


def test_a_timeout_is_an_error(b: hb.Batch) -> None:
    b.new_job("slow").command(HOLD).timeout(0.3)

    run = b.run(wait=False)
    run.wait(LONG_S)

    assert states(run) == {"slow": "Error"}
    assert run.get_job(1)["status"]["container_statuses"]["main"]["short_error"] == "timed out"
    assert run.snapshot().jobs[0].reason == "timed out"


def test_jobs_are_appended_and_wait_for_jobs_that_still_run(b: hb.Batch, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    first = b.new_job("first").command(f"{gate.shell}; echo one >> {tmp_path}/order")
    run = b.run(wait=False)
    gate.reached()
    b.new_job("second").command(f"echo two >> {tmp_path}/order").depends_on(first)
    free = b.new_job("free").command(f"touch {tmp_path}/free")
    again = b.run(wait=False)

    wait_until((tmp_path / "free").exists)
    assert states(again)["second"] == "Pending"
    gate.let_through()

    assert again.wait(LONG_S)["n_succeeded"] == 3
    assert (again.id, free._job_id) == (run.id, 3)
    assert (tmp_path / "order").read_text() == "one\ntwo\n"


def test_a_batch_of_another_time_is_attached_and_deleted(b: hb.Batch) -> None:
    b.new_job("j").command("echo hi")
    run = b.run(wait=False)
    run.wait(LONG_S)

    assert ServiceBackend().attach(run.id).attributes == {"name": "b"}
    run.delete()

    with pytest.raises(ServiceError, match="404"):
        run.status()
    run.delete()


def test_more_jobs_than_a_page_and_than_a_bunch(b: hb.Batch) -> None:
    for number in range(60):
        b.new_job(f"j{number}").command("true").env("LARGE", "x" * 20_000)
    b.new_job("bad").command("exit 1").always_run()

    run = b.run(wait=False)
    status = run.wait(LONG_S)

    assert (status["n_jobs"], status["n_succeeded"], status["n_failed"]) == (61, 60, 1)
    assert not run.used_fast_path
    assert [job["job_id"] for job in run.jobs()] == list(range(1, 62))
    assert [job["name"] for job in run.jobs("bad")] == ["bad"]
    assert [job["name"] for job in run.jobs("name = j7\nstate = success", version=2)] == ["j7"]


def test_the_service_tells_of_regions_and_a_job_that_is_not_there() -> None:
    backend = ServiceBackend()
    assert (backend.regions, backend.supported_regions()) == (["local"], ["local"])
    b = hb.Batch(backend=backend)
    b.new_job("j").command("true").regions(["mars"])
    with pytest.raises(ServiceError, match=r"invalid regions specified: \{'mars'\}. Choose from \{'local'\}"):
        b.run()

    b = hb.Batch(backend=backend)
    b.new_job("j").command("true")
    run = b.run(wait=False)
    with pytest.raises(BatchException, match="9"):
        run.get_job(9)
    run.wait(LONG_S)


def test_groups_are_counted_cancelled_and_appended_to(b: hb.Batch, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    study = b.new_group("study", attributes={"kind": "s"})
    shards = study.new_group("shards", cancel_after_n_failures=1)
    shards.new_job("held").command(gate.shell)
    study.new_job("quick").command("true")
    b.new_job("free").command("true")
    run = b.run(wait=False)
    gate.reached()
    late = b.new_group("late")
    late.new_job("new").command("true")
    shards.new_job("bad").command("exit 1")
    again = b.run(wait=False)

    assert again.wait(LONG_S)["n_jobs"] == 5

    assert states(again) == {"held": "Cancelled", "quick": "Success", "free": "Success", "new": "Success", "bad": "Failed"}
    assert (again.group_numbers, again.used_fast_path) == ({1: 1, 2: 2, 3: 3}, True)
    run.wait(LONG_S)
    assert [run.group(name).status()["n_jobs"] for name in ("study", "shards")] == [2, 1]


def test_a_group_is_cancelled_alone_and_too_deep_ones_are_refused(b: hb.Batch, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    b.new_group("g").new_job("held").command(gate.shell)
    b.new_job("free").command(f"touch {tmp_path}/free")
    run = b.run(wait=False)
    gate.reached()

    run.group("g").cancel()

    run.wait(LONG_S)
    assert states(run) == {"held": "Cancelled", "free": "Success"}

    b.new_group("a").new_group("b").new_group("c").new_job("j")
    with pytest.raises(CapabilityError, match="'c' is in a group of a group"):
        b.run()


def test_more_jobs_than_one_request_takes_come_with_their_groups(b: hb.Batch) -> None:
    group = b.new_group("many")
    for number in range(60):
        group.new_job(f"j{number}").command("true").env("LARGE", "x" * 20_000)

    run = b.run(wait=False)

    assert (run.wait(LONG_S)["n_succeeded"], run.used_fast_path, run.group("many").status()["n_succeeded"]) == (60, False, 60)


def test_kept_files_are_read_after_the_batch(b: hb.Batch) -> None:
    j = b.new_job("j")
    j.command(f"echo text > {j.o}")
    b.new_job("k").command(f"cat {j.o}")
    value = b.new_python_job("p").call(lambda: {"a": 1})

    b.run(wait=False, delete_scratch_on_exit=False)

    assert j.o.path().read_text() == "text\n"
    assert value.result() == {"a": 1}


def test_a_part_of_a_log_is_all_that_is_sent(b: hb.Batch) -> None:
    b.new_job("j").command("printf 0123456789")
    run = b.run(wait=False)
    run.wait(LONG_S)
    transport = run._service.transport
    sent = []

    def send(call: Call) -> bytes:
        sent.append(Transport.send(transport, call))
        return sent[-1]

    transport.send = send
    parts = [run.log(1, start=start, length=length) for start, length in ((0, 3), (-4, None), (-4, 2), (8, 5), (20, 1), (0, None), (0, 0))]

    assert parts == sent == [b"012", b"6789", b"67", b"89", b"", b"0123456789", b""]
    assert [run.log_size(1), run.log_size(1, "input")] == [10, 0]
    del transport.send
    sizes = [run.log_size(1), run.log_size(1, attempt=1), run.log_size(1, attempt=2), run.log_size(1, "input")]
    assert sizes == [10, 10, 0, 0]
    assert (run.log(1, attempt=1), run.log(1, attempt=2)) == (b"0123456789", b"")
    assert (run.log_size(1, attempt=1), run.log_size(1, attempt=2)) == (10, 0)


def test_money_is_told_by_project_and_by_resource(server: Server) -> None:
    backend = ServiceBackend()

    assert [project["billing_project"] for project in backend.billing_projects()] == ["local"]
    assert (backend.spent("01/01/2026", "01/02/2026"), backend.spent("01/01/2026", "01/02/2026", by_resource=True)) == ([], [])
    assert isinstance(backend.spent(), list)


def test_a_batch_is_opened_with_its_jobs_and_then_asked_for_news_only(b: hb.Batch, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    ready = [b.new_job(f"j{number}").command("true") for number in range(60)]
    b.new_job("held").depends_on(*ready[:2]).command(gate.shell)
    first = b.run(wait=False)
    gate.reached()
    first.wait(LONG_S, list(range(1, 61)))

    opened = attach_batch(first.id)
    assert [(job.name, job.parents) for job in opened.spec.jobs][::60] == [("j0", ()), ("held", (Edge(1), Edge(2)))]
    assert opened._port._known.counts()[JobState.SUCCESS] == 60

    b.new_job("later").command("true")
    again = b.run(wait=False)
    assert len({key_of(run) for run in (first, opened, again)}) == 2
    gate.let_through()
    assert opened.wait(LONG_S)["n_succeeded"] == 62
    assert [view.state for view in opened.snapshot().jobs] == [JobState.SUCCESS] * 61


def test_a_page_of_jobs_is_as_long_as_was_asked_for(b: hb.Batch, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(75):
        b.new_job(f"j{number}").command("true")
    number = b.run(wait=False).id

    sizes = {limit: len(server.get(f"/batches/{number}/jobs?limit={limit}")["jobs"]) for limit in (1, 60, 100_000)}

    assert sizes == {1: 1, 60: 60, 100_000: 75}
    monkeypatch.setattr("hail_batch_jupyter.client.session.MOST_A_PAGE", 60)
    assert [job.name for job in attach_batch(number).spec.jobs][::60] == ["j0", "j60"]
    with pytest.raises(CapabilityError, match=r"has 75 jobs, and up to 70 are shown here; look at http://here"):
        open_batch(connect(None), number, "http://here", 70)


def test_calls_of_a_pool_give_their_values_and_leave_nothing(server: Server) -> None:
    kept = server.data / "files" / "by-path"
    before = set(kept.glob("*"))
    with BatchPoolExecutor(backend=ServiceBackend()) as pool:
        assert list(pool.map(lambda x: x * x, range(3))) == [0, 1, 4]
        with pytest.raises(ValueError, match="ZeroDivisionError: integer division"):
            pool.submit(lambda: 1 // 0).result()

    assert set(kept.glob("*")) - before == set()


def test_a_call_whose_batch_was_deleted_is_lost_and_the_next_one_is_not(server: Server, tmp_path: Path) -> None:
    here, gate = str(tmp_path / "here"), str(tmp_path / "gate")
    with BatchPoolExecutor(backend=ServiceBackend()) as pool:
        call = pool.submit(_stand_at, here, gate)
        wait_until(Path(here).exists)
        number = pool._pool.batches[0].last_run.id
        server.ask("DELETE", f"/batches/{number}")
        with pytest.raises(ValueError, match=f"batch {number} cannot be asked any more"):
            call.result(LONG_S)
        assert pool.submit(abs, -3).result(LONG_S) == 3


def _stand_at(here: str, gate: str) -> None:
    """Say that it runs, and wait for a file."""
    import time
    from pathlib import Path

    Path(here).touch()
    while not Path(gate).exists():
        time.sleep(0.02)
