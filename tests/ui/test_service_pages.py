"""The pages of the batch service in a real browser: with JavaScript and without, by keyboard, and as a screen reader meets them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from hail_batch_jupyter.service.store.database import FILE, Database
from hail_batch_jupyter.service.store.tables import Store
from tests.conftest import wait_until
from tests.engine.jobs import HOLD
from tests.requirements import requires
from tests.service.servers import Server, job
from tests.ui.conftest import VIEW

pytestmark = [pytest.mark.browser, pytest.mark.requires("chromium", "built front end")]
USERS = ("ann", "ben")
ODD_NAMES = ("<img src=x onerror=alert(1)>", "a\"b'c", "new\nline", "ünï")
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
    store = Store(Database(server.data / FILE))  # the service itself adds no users where jobs are processes
    for name in USERS:
        store.put_user(name, hashlib.sha256(f"of {name}".encode()).digest(), f"of-{name}", "user")
    store.close()
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


def log_in(page: Page, served: Server, place: str = "/batches", token: str = "") -> None:
    page.goto(f"http://127.0.0.1:{served.port}{place}")
    page.get_by_label("Token").fill(token or served.token)
    page.get_by_role("button", name="Log in").press("Enter")
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()


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

    resources = page.get_by_role("table", name="Resources asked for, granted and used")
    expect(resources.get_by_role("row").nth(1)).to_have_text(re.compile(r"Cores11[\d.]+ on average, [\d.]+ s in all"))
    expect(resources.get_by_role("row").nth(2)).to_have_text(re.compile(r"Memorystandard3.8 GiB(under )?[\d.]+ MiB at its peak"))
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
    page.get_by_label(f"Why you cancel batch {running}").fill("a <b>typo</b>")
    page.get_by_role("button", name=f"Cancel batch {running}").click()
    expect(page.get_by_role("table", name="What was done to the batch")).to_contain_text("cancelled italla <b>typo</b>")
    expect(page.locator("#facts .state")).to_have_text("⊘ cancelled")


@pytest.mark.parametrize("scripts", [True, False], ids=["JavaScript", "no JavaScript"])
def test_who_deletes_a_batch_is_asked_twice_and_may_say_why(browser: Browser, served: Server, scripts: bool) -> None:
    number = served.post(job(1, HOLD), attributes={"name": "to be deleted"})
    with browser.new_context(java_script_enabled=scripts) as context:
        page = context.new_page()
        log_in(page, served, "/batches")
        expect(page.get_by_role("button", name=f"Delete batch {number}")).to_be_hidden()
        page.get_by_label(f"Delete… batch {number}").press("Enter")
        page.get_by_label(f"Why you delete batch {number}").fill("the wrong panel,  <b>ünï</b>")
        if scripts:  # the page is put up to date meanwhile, and keeps what was opened and written
            page.get_by_label(f"Delete… batch {number}").focus()
            other = served.post(job(1, "true"), attributes={"name": "made meanwhile"})
            expect(page.get_by_role("link", name=str(other), exact=True)).to_be_visible()
            expect(page.get_by_label(f"Why you delete batch {number}")).to_have_value("the wrong panel,  <b>ünï</b>")
        page.get_by_label(f"Why you delete batch {number}").press("Enter")
        expect(page.get_by_role("heading", name="Batches")).to_be_visible()
        expect(page.get_by_text("to be deleted")).to_have_count(0)
        gone = page.goto(f"http://127.0.0.1:{served.port}/batches/{number}")
        owner = served.get("/userinfo")["username"]
        assert gone is not None and gone.status == 404
        expect(page.get_by_role("alert")).to_have_text(
            re.compile(rf"Batch {number} does not exist any more: {re.escape(owner)} deleted it at 20[-\dT:.]+Z \(the wrong panel, <b>ünï</b>\)\.")
        )


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


def test_files_are_looked_at_kept_and_removed_whatever_they_are_called(browser: Browser, served: Server) -> None:
    home = served.get("/files")["remote_tmpdir"].removesuffix("/tmp")
    for name in ODD_NAMES:
        assert served.ask("PUT", f"/files/content?path={quote(f'{home}/odd/{name}', safe='')}", data=name.encode()).status == 200
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        log_in(page, served, "/files")
        page.get_by_role("table", name="Files and folders").get_by_role("link", name="odd/").click()
        rows = page.get_by_role("table", name="Files and folders").get_by_role("row")
        assert [row.split("\t")[0] for row in rows.all_inner_texts()] == ["Name", *sorted(name.replace("\n", "\\n") for name in ODD_NAMES)]
        for name in ODD_NAMES:
            with page.expect_download() as begun:
                page.get_by_role("link", name=name.replace("\n", "\\n"), exact=True).click()
            assert begun.value.path().read_bytes() == name.encode()
            page.get_by_label(f"Remove… {name}".replace("\n", "\\n")).press("Enter")
            page.get_by_role("button", name=f"Remove {name}".replace("\n", "\\n")).press("Enter")
            expect(page.get_by_role("link", name="hbj://")).to_be_visible()
        expect(page.get_by_text("Nothing is here yet.")).to_be_visible()
        assert served.get(f"/files/list?path={home}/odd") == []
        for path in ("/files?path=../ann", "/files?path=%2Fetc", "/files/content?path=odd/none", "/files/content?path=..%2F..%2Ftoken"):
            page.goto(f"http://127.0.0.1:{served.port}{path}")
            expect(page.get_by_role("alert")).to_be_visible()
            expect(page.get_by_role("link", name="To your batches")).to_be_visible()


def test_administrators_change_roles_and_tokens_and_others_see_themselves(browser: Browser, page: Page, served: Server) -> None:
    address = f"http://127.0.0.1:{served.port}"
    with browser.new_context(java_script_enabled=False) as context:
        other = context.new_page()
        log_in(other, served, "/user", "of ann")
        expect(other.get_by_role("definition").get_by_text("user", exact=True)).to_be_visible()
        expect(other.get_by_role("table", name="Your billing projects")).to_contain_text("of-ann")
        expect(other.get_by_role("link", name="Users")).to_have_count(0)
        other.goto(f"{address}/users")
        expect(other.get_by_role("alert")).to_contain_text("only administrators")
        other.goto(f"{address}/billing")
        expect(other.get_by_role("button", name="Add")).to_have_count(0)
        other.goto(f"{address}/batches/1")
        expect(other.get_by_role("alert")).to_have_text("Batch 1 does not exist.")

        page.get_by_role("link", name="Users").click()
        page.get_by_label("Name").fill("eve")
        page.get_by_role("button", name="Make").click()
        expect(page.get_by_role("alert")).to_contain_text("run jobs in containers")
        page.go_back()
        page.get_by_label("Role of ann", exact=True).select_option("admin")
        page.get_by_role("button", name="Set the role of ann").click()
        other.goto(f"{address}/users")
        expect(other.get_by_role("table", name="Users of the service")).to_contain_text("of-ben")

        page.get_by_label("New token… for ann").press("Enter")
        page.get_by_role("button", name="New token for ann").press("Enter")
        token = page.locator("#token").inner_text()
        other.goto(f"{address}/users")
        expect(other.get_by_role("heading", name="Log in")).to_be_visible()
        log_in(other, served, "/user", token)
        page.goto(f"{address}/users")
        assert token not in page.content()
        page.get_by_label("Remove… ann").press("Enter")
        page.get_by_role("button", name="Remove ann").press("Enter")
        expect(page.get_by_role("table", name="Users of the service")).not_to_contain_text("of-ann")
        other.goto(f"{address}/user")
        expect(other.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_log_that_grows_faster_than_it_is_read_is_followed_at_its_end(page: Page, served: Server) -> None:
    gate = served.data / "flood"
    flood = "yes 'a line that is written again and again' | head -c 200000000; printf '\\033[31mred\\033[0m \\001 <i>end</i>\\n'"
    number = served.post(job(1, f"echo begun; until [ -e {gate} ]; do sleep 0.05; done; {flood}; {HOLD}", attributes={"name": "floods"}))
    wait_until(lambda: served.log(number, 1) == "begun\n")
    page.goto(f"http://127.0.0.1:{served.port}/batches/{number}/jobs/1")
    log = page.get_by_role("log")
    expect(log).to_have_text("begun\n")
    gate.touch()

    expect(log).to_contain_text("red \ufffd <i>end</i>")

    assert log.evaluate("element => [element.textContent.length <= 262144, element.querySelectorAll('i').length]") == [True, 0]
    expect(log.locator(".hbj-ansi")).to_have_text("red")
    page.reload()
    page.get_by_role("link", name="Read in parts").click()
    page.get_by_role("link", name="Later").click()
    expect(page.locator("#place")).to_have_text(re.compile(r"Bytes 262,144 to 524,288 of 200,000,\d+\."))
    page.get_by_label("From byte").fill("199999990")
    page.get_by_role("button", name="Show").click()
    expect(log).to_contain_text("red \ufffd <i>end</i>")
    page.goto(f"http://127.0.0.1:{served.port}/batches/{number}")
    page.get_by_role("button", name=f"Cancel batch {number}").click()
    expect(page.locator("#facts .state")).to_have_text("⊘ cancelled")


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
            "stages": "/batches/1/resources",
            "log": "/batches/1/jobs/2/log/main/part",
            "none": "/batches?q=user+%3D+nobody",
            "files": "/files",
            "billing": "/billing",
            "you": "/user",
            "users": "/users",
            "missing": "/batches/999",
            "login": "/login",
        }.items():
            page.goto(f"http://127.0.0.1:{served.port}{path}")
            if name in ("batch", "running"):
                expect(page.locator("#graph .hbj-root")).to_be_visible()
            page.evaluate(Path(requires("axe-core")).read_text())
            assert page.evaluate(VIOLATIONS) == [], (name, scheme)
            page.screenshot(path=screenshots / f"service-{name}-{scheme}.png", animations="disabled")
            page.set_viewport_size({"width": 480, "height": 700})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, "is wider than a narrow window")
            page.set_viewport_size({"width": 1100, "height": 700})
