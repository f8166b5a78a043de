"""The pages of the batch service in a real browser: with JavaScript and without, by keyboard, and as a screen reader meets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import wait_until
from tests.engine.jobs import HOLD
from tests.requirements import requires
from tests.service.servers import Server, job
from tests.ui.conftest import VIEW

pytestmark = [pytest.mark.browser, pytest.mark.requires("chromium", "built front end")]
VIOLATIONS = """async () => {
  const { violations } = await axe.run();
  return violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => [html, failureSummary])]);
}"""


@pytest.fixture(scope="module")
def served(all_runs: Path) -> Iterator[Server]:
    """A service with a batch that has ended, badly, and one that goes on."""
    server = Server(all_runs / "pages" / "data", card="hail")
    server.data.parent.mkdir(parents=True)
    server.start()
    names = [{"attributes": {"name": name}} for name in ("align", "count", "report")]
    number = server.post(
        job(1, "echo '<b>aligned</b>'", **names[0]),
        job(2, "echo no reads >&2; exit 3", [1], **names[1]),
        job(3, "true", [2], **names[2]),
        attributes={"name": "exome <1>"},
    )
    server.ended(number)
    running = server.post(job(1, f"echo first; {HOLD}", attributes={"name": "slow"}), job(2, "true", [1]), attributes={"name": "going on"})
    wait_until(lambda: server.log(running, 1) == "first\n")
    yield server
    server.close()


@pytest.fixture
def page(browser: Browser, served: Server) -> Iterator[Page]:
    """Logged in; fails at the end when the browser told of errors."""
    context = browser.new_context(viewport=VIEW)
    opened, problems = context.new_page(), list[str]()
    opened.on("console", lambda told: problems.append(told.text) if told.type == "error" and "Failed to load resource" not in told.text else None)
    opened.on("pageerror", lambda error: problems.append(str(error.stack)))
    log_in(opened, served)
    yield opened
    context.close()
    assert problems == []


def log_in(page: Page, served: Server, place: str = "/batches") -> None:
    page.goto(f"http://127.0.0.1:{served.port}{place}")
    page.get_by_label("Token").fill(served.token)
    page.get_by_role("button", name="Log in").press("Enter")
    expect(page.get_by_role("navigation")).to_be_visible()


def test_who_is_not_logged_in_is_asked_for_a_token_and_comes_back(browser: Browser, served: Server) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{served.port}/batches/1")
        page.get_by_label("Token").fill("nobody's")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("nobody's token")
        log_in(page, served, "/batches/1/jobs/2")

        expect(page.get_by_role("heading", name="Job 2: count")).to_be_visible()
        expect(page.get_by_role("log")).to_have_text("no reads\n")
        page.get_by_role("button", name="Log out").click()
        page.goto(f"http://127.0.0.1:{served.port}/user")
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_form_of_another_site_does_nothing(page: Page, served: Server) -> None:
    for form in ({}, {"_csrf": "x"}):
        answer = page.request.post(f"http://127.0.0.1:{served.port}/batches/2/cancel", form=form)
        assert (answer.status, "of this session" in answer.text()) == (401, True)
    assert page.request.delete(f"http://127.0.0.1:{served.port}/api/v1alpha/batches/2").status == 401
    assert served.get("/batches/2")["complete"] is False
    sent = page.request.get(f"http://127.0.0.1:{served.port}/batches").headers
    assert ("frame-ancestors 'none'" in sent["content-security-policy"], sent["cache-control"]) == (True, "no-store")


def test_batches_are_listed_found_and_opened_by_keyboard(page: Page) -> None:
    table = page.get_by_role("table", name="Batches, newest first")
    expect(table.get_by_role("row")).to_have_count(3)
    expect(table).to_contain_text("exome <1>")
    expect(table).to_contain_text("3 of 3 ended, 1 failed, 1 cancelled")
    page.get_by_label("Show batches where").fill("state = nonsense")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("alert")).to_have_text('unknown state "nonsense"')
    page.get_by_label("Show batches where").fill("state = failure")
    page.get_by_role("button", name="Search").click()
    expect(table.get_by_role("row")).to_have_count(2)

    page.get_by_role("link", name="1", exact=True).press("Enter")

    expect(page.get_by_role("heading", name="Batch 1: exome <1>")).to_be_visible()
    expect(page.get_by_role("table", name="Jobs of the batch")).to_contain_text("failed")


def test_a_batch_shows_its_graph_and_a_job_its_logs(page: Page, served: Server) -> None:
    page.goto(f"http://127.0.0.1:{served.port}/batches/1")
    expect(page.locator("#graph .hbj-root")).to_contain_text("count")
    page.get_by_label("Show jobs where").fill("name = count")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("table", name="Jobs of the batch").get_by_role("link", name="2").click()

    expect(page.get_by_role("definition").filter(has_text="1 cpu, standard memory")).to_be_visible()
    expect(page.get_by_role("definition").filter(has_text="1 core, 3.8 GiB memory")).to_be_visible()
    expect(page.get_by_role("table", name="Attempts, the first one first").get_by_role("row")).to_have_count(2)
    with page.expect_download() as begun:
        page.get_by_role("link", name="Download").click()
    assert (begun.value.suggested_filename, begun.value.path().read_text()) == ("batch-1-job-2-main.log", "no reads\n")


def test_a_page_that_is_looked_at_follows_the_batch(page: Page, served: Server) -> None:
    number = served.post(job(1, f"echo one; until [ -e {served.data}/go ]; do sleep 0.05; done; echo two", attributes={"name": "followed"}))
    wait_until(lambda: served.log(number, 1) == "one\n")
    page.goto(f"http://127.0.0.1:{served.port}/batches/{number}/jobs/1")
    expect(page.get_by_role("log")).to_have_text("one\n")
    (served.data / "go").touch()

    expect(page.get_by_role("log")).to_have_text("one\ntwo\n")
    expect(page.locator("#facts .state")).to_have_text("✓ succeeded")

    running = served.post(job(1, HOLD))
    page.goto(f"http://127.0.0.1:{served.port}/batches/{running}")
    page.get_by_role("button", name=f"Cancel batch {running}").click()
    expect(page.locator("#facts .state")).to_have_text("⊘ cancelled")
    page.get_by_role("button", name=f"Delete batch {running}").click()
    expect(page.get_by_role("heading", name="Batches")).to_be_visible()
    page.goto(f"http://127.0.0.1:{served.port}/batches/{number}")
    assert page.request.get(f"http://127.0.0.1:{served.port}/batches/{running}").status == 404


def test_projects_are_made_limited_and_closed_and_what_was_spent_is_a_file(page: Page) -> None:
    page.get_by_role("link", name="Billing").click()
    page.get_by_label("New project").fill("lab-a")
    page.get_by_role("button", name="Make").click()
    section = page.locator("section").filter(has=page.get_by_role("heading", name="lab-a"))
    section.get_by_label("Limit in dollars").fill("12.5")
    section.get_by_role("button", name="Set").click()
    expect(section).to_contain_text("limit $12.50")
    section.get_by_label("Add a user").fill("nobody")
    section.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("User nobody does not exist.")
    page.get_by_role("link", name="Billing").click()
    page.get_by_role("button", name="Close lab-a").click()
    expect(section).to_contain_text("closed")
    with page.expect_download() as begun:
        page.get_by_role("link", name="As CSV").click()
    lines = begun.value.path().read_text().splitlines()
    assert lines[0] == "billing_project,user,resource,cost_usd"
    assert any(line.startswith("local,") and ",service-fee/1," in line for line in lines)


@pytest.mark.requires("axe-core")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(browser: Browser, served: Server, scheme: str, screenshots: Path) -> None:
    with browser.new_context(viewport={"width": 1100, "height": 700}, color_scheme=scheme, bypass_csp=True) as context:  # type: ignore[arg-type]  # one of the two
        page = context.new_page()
        log_in(page, served)
        for name, path in {
            "batches": "/batches",
            "batch": "/batches/1",
            "running": "/batches/2",
            "job": "/batches/1/jobs/2",
            "billing": "/billing",
            "you": "/user",
            "missing": "/batches/999",
            "login": "/login",
        }.items():
            page.goto(f"http://127.0.0.1:{served.port}{path}")
            if name in ("batch", "running"):
                expect(page.locator("#graph .hbj-root")).to_be_visible()
            page.evaluate(Path(requires("axe-core")).read_text())
            assert page.evaluate(VIOLATIONS) == [], (name, scheme)
            if scheme == "light" and name in ("batches", "batch", "job", "billing", "you"):
                page.screenshot(path=screenshots / f"service-{name}.png", animations="disabled")
