"""Money: what the documentation of the first service worked out, and projects with members, limits and reports."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from hail_batch_jupyter.client.port import ServicePort
from hail_batch_jupyter.client.session import Service
from hail_batch_jupyter.client.transport import Transport
from hail_batch_jupyter.core.events import AttemptView
from hail_batch_jupyter.cost.card import load_card
from hail_batch_jupyter.cost.money import amount_text, dollars, rate_text
from hail_batch_jupyter.service.api.resources import granted
from hail_batch_jupyter.service.pricing import billed_ms
from tests.conftest import wait_until
from tests.engine.jobs import HOLD, Gate
from tests.service.servers import Server, job
from tests.service.test_pages import get as page_text
from tests.service.test_pages import session_of
from tests.service.test_restart import kill_runners

MINUTE_MS = 60_000
CLASSIC = load_card("hail-classic")
HEAD = {"billing_project": "local", "n_jobs": 0, "n_job_groups": 0}


def hourly(**resources: str) -> dict[str, Fraction]:
    return CLASSIC.by_resource(granted(resources, "(1, 1)", CLASSIC)[1], 60 * MINUTE_MS)


def test_a_core_hour_costs_what_its_four_parts_say() -> None:
    parts = hourly()

    assert [f"{float(parts[name]):.6g}" for name in ("compute", "disk", "ip-network", "service")] == ["0.01", "0.00145448", "0.00025", "0.01"]
    assert amount_text(parts["disk"]) == "0.001454"
    assert rate_text(sum(parts.values(), Fraction(0))) == "0.02170"


@pytest.mark.parametrize(("cpu", "memory", "cores"), [("1", "3.75G", 1), ("1", "7G", 2), ("1", "10G", 3), ("4", "7G", 4), ("0.5", "1G", 0.5)])
def test_who_asks_for_more_memory_than_the_cores_have_is_given_and_charged_more_cores(cpu: str, memory: str, cores: float) -> None:
    resources, grant = granted({"cpu": cpu, "memory": memory}, "(1, 1)", CLASSIC)

    assert (resources["cores_mcpu"], grant.cpu_mcpu) == (cores * 1000, cores * 1000)
    assert hourly(cpu=cpu, memory=memory) == {name: usd * Fraction(cores) for name, usd in hourly().items()}


def test_two_minutes_before_the_machine_was_lost_and_five_after_cost_seven() -> None:
    attempts = [AttemptView(1, 0, 2 * MINUTE_MS, main_ms=0), AttemptView(2, 9 * MINUTE_MS, 14 * MINUTE_MS, main_ms=9 * MINUTE_MS)]

    assert sum(billed_ms(CLASSIC, attempt, 0) for attempt in attempts) == 7 * MINUTE_MS
    assert amount_text(sum(hourly().values(), Fraction(0)) * 7 / 60) == "0.002532"


def test_copying_is_free_on_the_first_card_and_not_on_the_present_one() -> None:
    attempt = AttemptView(1, 0, 10 * MINUTE_MS, main_ms=2 * MINUTE_MS, output_ms=9 * MINUTE_MS)

    assert billed_ms(CLASSIC, attempt, 0) == 7 * MINUTE_MS
    assert billed_ms(CLASSIC, attempt._replace(main_ms=None, output_ms=None), 0) == 0
    assert billed_ms(load_card("hail"), attempt, 0) == 10 * MINUTE_MS


@pytest.fixture(scope="module")
def paid(all_runs: Path) -> Iterator[Server]:
    """A service where jobs cost something."""
    server = Server(all_runs / "paid" / "data", card="hail-classic")
    server.data.parent.mkdir(parents=True)
    yield server.start()
    server.close()


def spent(attempts: list[dict[str, int]], cores: int = 1) -> Fraction:
    """What these attempts cost, exactly."""
    return sum(hourly().values(), Fraction(0)) * cores * sum(attempt["duration_ms"] for attempt in attempts) / (60 * MINUTE_MS)


def test_every_attempt_is_charged_until_it_ended_and_the_bill_outlives_the_batch(paid: Server, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    before = Fraction(paid.get("/billing_projects/local")["accrued_cost"])
    number = paid.post(job(1, f"if [ -e {tmp_path}/again ]; then exit 0; fi; {gate.shell}", resources={"memory": "7G"}))
    gate.reached()
    wait_until(lambda: paid.get(f"/batches/{number}")["cost"] > 0)
    (tmp_path / "again").touch()
    kill_runners(paid)
    batch = paid.ended(number)

    attempts = paid.get(f"/batches/{number}/jobs/1/attempts")
    exact = spent(attempts, cores=2)
    found = paid.get(f"/batches/{number}/jobs/1")
    assert (len(attempts), found["spec"]["resources"]["cores_mcpu"]) == (2, 2000)
    assert batch["cost"] == found["cost"] == paid.get(f"/batches/{number}/job-groups/0")["cost"] == float(exact)
    assert [part["resource"] for part in batch["cost_breakdown"]] == ["compute", "disk", "ip-network", "service"]
    paid.ask("DELETE", f"/batches/{number}")
    wait_until(lambda: not list((paid.data / "runs").glob(f"*-batch-{number}-*")))
    paid.stop()
    paid.start()
    assert paid.get("/billing_projects/local")["accrued_cost"] == pytest.approx(float(before + exact))


def test_what_was_spent_is_told_by_project_user_and_resource(paid: Server) -> None:
    paid.ended(paid.post(job(1, "true")))
    today = datetime.now(UTC).strftime("%m/%d/%Y")

    whole = paid.get("/billing")
    parts = paid.get(f"/billing_breakdown?start=01/01/2020&end={today}")
    accrued = paid.get("/billing_projects/local")["accrued_cost"]

    assert [line["billing_project"] for line in whole] == ["local"]
    assert sum(part["cost"] for part in parts) == pytest.approx(accrued)
    assert whole[0]["total_spent"] == pytest.approx(accrued)
    assert (paid.get("/billing?start=x"), paid.get("/billing?start=02/02/2020&end=01/01/2020"), paid.get("/billing?start=01/01/2020&end=01/02/2020")) == (
        [],
        [],
        [],
    )
    for query, words in [
        ("", "start is required."),
        ("start=01/01/2020", "end is required."),
        ("start=2020&end=01/01/2020", "Invalid start '2020'; must be MM/DD/YYYY."),
        ("start=01/02/2020&end=01/01/2020", "start must be earlier than or equal to end."),
    ]:
        assert paid.ask("GET", f"/billing_breakdown?{query}").reason == words


def test_a_project_is_made_filled_closed_reopened_and_deleted(paid: Server) -> None:
    user = paid.get("/userinfo")["username"]
    member = f"/billing_projects/lab/users/{user}"

    assert [paid.ask("POST", f"/billing_projects/{name}/create").json for name in ("lab", "lab")] == ["lab", "lab"]
    assert paid.get("/billing_projects/lab") == {"billing_project": "lab", "status": "open", "users": [], "limit": None, "accrued_cost": 0.0}
    assert "lab" in [project["billing_project"] for project in paid.get("/billing_projects")]
    assert paid.ask("GET", "/billing_projects/none").reason == "Unknown Hail Batch billing project none."
    assert paid.ask("POST", "/batches/create", {**HEAD, "billing_project": "lab", "token": "x"}).status == 403
    assert paid.ask("POST", "/billing_projects/lab/users/nobody/add").reason == "User nobody does not exist."
    assert [paid.ask("POST", f"{member}/add").json for _ in range(2)] == [{"billing_project": "lab", "user": user}] * 2
    assert paid.get("/billing_projects/lab")["users"] == [user]
    number = paid.post(job(1, HOLD), billing_project="lab")
    assert paid.ask("POST", "/billing_projects/lab/close").reason == "Billing project lab has running batches."
    paid.ask("PATCH", f"/batches/{number}/cancel")
    paid.ended(number)
    assert paid.ask("POST", "/billing_projects/lab/delete").reason == "Billing project lab is open and cannot be deleted."
    assert [paid.ask("POST", "/billing_projects/lab/close").status for _ in range(2)] == [200, 200]
    assert paid.ask("POST", "/batches/create", {**HEAD, "billing_project": "lab", "token": "x"}).reason == "Billing project lab is closed or deleted."
    assert paid.ask("POST", f"{member}/add").reason == "Billing project lab is closed and cannot be modified."
    assert paid.ask("POST", f"{member}/remove").reason == "Billing project lab has been closed or deleted and cannot be modified."
    assert paid.ask("POST", "/billing_limits/lab/edit", {"limit": 1}).reason == "Billing project lab is closed and cannot be modified."
    assert [project["billing_project"] for project in paid.get("/billing_projects?status=closed")] == ["lab"]
    assert paid.ask("GET", "/billing_projects?status=x").reason == "Invalid value for status 'x'; must be 'open' or 'closed'."
    assert paid.ask("POST", "/billing_projects/lab/reopen").json == "lab"
    assert paid.ask("POST", f"{member}/remove").status == 200
    assert [paid.ask("POST", f"/billing_projects/lab/{deed}").status for deed in ("close", "delete", "delete")] == [200, 200, 200]
    assert paid.ask("POST", "/billing_projects/lab/reopen").reason == "Billing project lab has been deleted and cannot be reopened."
    assert paid.ask("POST", f"{member}/add").reason == "Billing project lab does not exist."
    assert paid.ask("POST", "/billing_projects/LAB/create").status == 200
    assert paid.ask("POST", "/billing_projects/LAB/close").reason == "Billing project LAB does not exist."


def test_a_limit_that_is_reached_refuses_new_batches_and_ends_those_that_run(paid: Server, tmp_path: Path) -> None:
    limits, user = "/billing_limits/tight/edit", paid.get("/userinfo")["username"]
    for path in ("create", f"users/{user}/add"):
        paid.ask("POST", f"/billing_projects/tight/{path}")
    for bad in (-1, "x", [], True, "1/0", "1/3", "nan", "9" * 50, "1e999999999", 1e30, "\u0661", "1_0"):
        refused = paid.ask("POST", limits, {"limit": bad})
        assert (refused.status, refused.text.startswith("400: Invalid billing_limit ")) == (400, True), bad
    assert [paid.ask("POST", limits, {"limit": limit}).json["limit"] for limit in ("2.5", None, "None", 0)] == ["2.5", None, "None", 0]
    refused = paid.ask("POST", "/batches/create", {**HEAD, "billing_project": "tight", "token": "x"})
    assert (refused.status, refused.reason) == (403, "billing project tight has exceeded the budget; accrued=$0.000000 limit=$0.000000")

    paid.ask("POST", limits, {"limit": "0.0000001"})
    number = paid.post(job(1, HOLD), billing_project="tight")

    assert paid.ended(number)["state"] == "cancelled"
    assert "has exceeded the budget" in paid.ask("POST", "/batches/create", {**HEAD, "billing_project": "tight", "token": "y"}).reason


def test_a_project_with_little_left_says_so_to_clients_and_on_its_pages(paid: Server, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    user = paid.get("/userinfo")["username"]
    for path in ("create", f"users/{user}/add"):
        paid.ask("POST", f"/billing_projects/nearly/{path}")
    number = paid.post(job(1, gate.shell, resources={"cpu": "16"}), billing_project="nearly")
    wait_until(lambda: paid.get(f"/batches/{number}")["cost"] > 1e-5)
    gate.let_through()
    assert "budget" not in paid.ended(number)
    spent = paid.get("/billing_projects/nearly")["accrued_cost"]
    port = ServicePort(Service(Transport(f"http://127.0.0.1:{paid.port}", lambda: {"Authorization": f"Bearer {paid.token}"})), number, [1])

    paid.ask("POST", "/billing_limits/nearly/edit", {"limit": f"{spent * 1.1:.12f}"})

    low = f"has spent {dollars(spent)} of {dollars(spent * 1.1)}"
    assert paid.get(f"/batches/{number}")["budget"] == f"billing project nearly {low}"
    assert [event.reason for event in port.events(0, 5) if event.phase == "note"] == [f"billing project nearly {low}"]
    session = session_of(paid)
    for page in ("/billing", "/user", f"/batches/{number}"):
        assert low in page_text(paid, session, page).text, page
    session.close()
    paid.ask("POST", "/billing_limits/nearly/edit", {"limit": f"{spent * 1.3:.12f}"})
    assert "budget" not in paid.get(f"/batches/{number}")
    paid.ask("POST", "/billing_limits/nearly/edit", {"limit": f"{spent / 2:.12f}"})
    assert paid.get(f"/batches/{number}")["budget"].endswith(": its batches are cancelled and no new one is taken")
