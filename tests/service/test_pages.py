"""The pages of the service without a browser: forgery, names that are HTML, logs of any size and content, and whose files are shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.service.accounts import Accounts
from hail_batch_jupyter.service.store.database import FILE, Database
from hail_batch_jupyter.service.store.tables import Store
from hail_batch_jupyter.service.ui.files import shown_name
from hail_batch_jupyter.service.ui.html import tag
from hail_batch_jupyter.service.ui.job import command_shown
from hail_batch_jupyter.service.ui.routes import PAGES
from hail_batch_jupyter.service.ui.terminal import painted
from tests.service.servers import Server, job

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><b id=evil>&lt;/title>"
NAMES = {"b": "1", "j": "1", "c": "main", "file": "page.css"}
LOG_BYTES = 200_000_000
OTHER = "zoe"


class Seen(HTMLParser):
    """What a browser makes of a page: texts, values of attributes, and what it would run or load."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self.values: list[str] = []
        self.runs: list[str] = []
        self.feed(source)
        self.close()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.values += [value or "" for value in given.values()]
        if tag in ("script", "img", "iframe", "object", "b") or any(name.startswith("on") for name in given):
            self.runs.append(f"{tag} {given}")


@pytest.fixture(scope="module")
def served(all_runs: Path) -> Iterator[Server]:
    """A service with a batch whose every name is HTML, and another user."""
    server = Server(all_runs / "plain-pages" / "data", card="hail")
    server.data.parent.mkdir(parents=True)
    server.start()
    group = {"job_group_id": 1, "in_update_parent_id": 0, "attributes": {"name": EVIL}}
    batch = {"billing_project": "local", "token": "t", "n_jobs": 2, "n_job_groups": 1, "attributes": {"name": EVIL, EVIL: EVIL}}
    jobs = [job(1, f"echo {quote(EVIL)!r} >&2; printf '%s' '{EVIL.replace(chr(39), '')}'", attributes={"name": EVIL, EVIL: EVIL}), job(2, EVIL, [1])]
    assert server.ask("POST", "/batches/create-fast", {"bunch": jobs, "job_groups": [group], "batch": batch}).status == 200
    server.ended(1)
    store = Store(Database(server.data / FILE))
    store.put_user(OTHER, hashlib.sha256(b"of zoe").digest(), OTHER, "user")
    store.close()
    yield server
    server.close()


def session_of(server: Server, token: str = "") -> requests.Session:
    session = requests.Session()
    found = session.post(f"http://127.0.0.1:{server.port}/login", data={"token": token or server.token}, allow_redirects=False)
    assert (found.status_code, "session" in session.cookies) == (302, True)
    return session


def bearer(server: Server) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.token}"}


def get(server: Server, session: requests.Session, path: str, **headers: str) -> requests.Response:
    return session.get(f"http://127.0.0.1:{server.port}{path}", headers=headers)


def word_of(server: Server, session: requests.Session) -> str:
    found = re.search(r'name="csrf" content="(\w+)"', get(server, session, "/user").text)
    assert found
    return found[1]


@pytest.mark.parametrize("path", [route.path for route in PAGES if route.method == "POST" and route.path != "/login"])
def test_no_form_is_taken_without_the_word_of_its_session(served: Server, path: str) -> None:
    session, other = session_of(served), session_of(served)
    address = f"http://127.0.0.1:{served.port}" + re.sub(r"{(\w+)}", lambda part: NAMES.get(part[1], "local"), path)

    for word in ({}, {"_csrf": ""}, {"_csrf": "x"}, {"_csrf": word_of(served, other)}, {"_csrf": session.cookies["session"]}):
        answer = session.post(address, data={"name": "made", "role": "admin", "path": "x", "limit": "1", **word}, allow_redirects=False)
        assert (answer.status_code, "not of this session" in answer.text, "Log out" in answer.text) == (401, True, True)
    anonymous = requests.post(address, data={"name": "made"}, allow_redirects=False, timeout=90)
    assert anonymous.status_code == 401
    assert (served.get("/batches/1")["state"], get(served, session, "/user").status_code) == ("failure", 200)


def test_cookies_that_other_programs_left_at_this_host_keep_nobody_out(served: Server) -> None:
    session, address = requests.Session(), f"http://127.0.0.1:{served.port}"
    session.cookies.update({"_xsrf": "2|of jupyter", "username-127-0-0-1-8888": "x", "session": "of.another.program"})

    entered = session.post(f"{address}/login", data={"token": served.token}, allow_redirects=False)
    own = entered.cookies["session"]
    session.cookies.update({"session": own})
    changed = session.post(f"{address}/billing_limits/local/edit", data={"limit": "", "_csrf": word_of(served, session)}, allow_redirects=False)
    by_token = requests.post(
        f"{address}/api/v1alpha/billing_limits/local/edit", json={"limit": None}, cookies={"_xsrf": "x"}, headers=bearer(served), timeout=30
    )

    assert (entered.status_code, changed.status_code, by_token.status_code) == (302, 302, 200)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_of_other_sites_let_nobody_in_and_change_nothing(served: Server, site: str) -> None:
    session, address = session_of(served), f"http://127.0.0.1:{served.port}"
    sent = {"headers": {"Sec-Fetch-Site": site}, "allow_redirects": False, "timeout": 30}

    entered = requests.post(f"{address}/login", data={"token": served.token}, **sent)  # the attacker's own token, for instance
    changed = session.post(f"{address}/batches/1/delete", data={"_csrf": word_of(served, session)}, **sent)

    assert [(answer.status_code, "another site" in answer.text, answer.cookies.get("session")) for answer in (entered, changed)] == [(401, True, None)] * 2
    assert served.get("/batches/1")["id"] == 1


def test_names_that_are_html_are_texts_on_every_page(served: Server) -> None:
    session, home = session_of(served), served.get("/files")["remote_tmpdir"].removesuffix("/tmp")
    name = EVIL.replace("/", "|")
    assert served.ask("PUT", f"/files/content?path={quote(f'{home}/{name}/{name}', safe='')}", data=b"x").status == 200
    pages = [
        "/billing",
        "/user",
        "/users",
        "/batches?q=",
        "/batches/1",
        "/batches/1/resources",
        "/batches/1/jobs/1",
        "/batches/1/jobs/2",
        "/batches/1/jobs/1/log/main/part",
        "/files",
    ]
    pages += [
        f"/files?path={quote(name, safe='')}",
        f"/batches?q={quote(EVIL)}",
        f"/billing?start={quote(EVIL)}",
        f"/{quote(EVIL)}",
        f"/files?path={quote(EVIL)}",
    ]
    pages += [f"/login?next={quote(EVIL)}", f"/batches/1/jobs/1/log/main/part?at={quote(EVIL)}", f"/batches/1/jobs/1/log/{quote('<b>')}"]

    for path in pages:
        answer = get(served, session, path)
        seen = Seen(answer.text)
        assert answer.headers["Content-Type"].startswith("text/html"), path
        assert [told for told in seen.runs if "/static/page.js" not in told] == [], path
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    seen = Seen(get(served, session, "/batches/1/jobs/1").text)
    assert f"{EVIL}: {EVIL}" in " ".join(seen.texts)
    session.close()


def test_a_project_is_changed_by_its_forms_whatever_its_name_is(served: Server) -> None:
    session, name = session_of(served), "<b>\"'?#&%2e"
    word = {"_csrf": word_of(served, session)}
    address = f"http://127.0.0.1:{served.port}"
    assert session.post(f"{address}/billing_projects/create", data={**word, "name": name}, allow_redirects=False).status_code == 302

    actions = [unescape(action) for action in re.findall(r'action="([^"]*)"', get(served, session, "/billing").text)]
    own = [action for action in actions if quote(name, safe="") in action]
    assert sorted(action.rpartition("/")[2] for action in own) == ["add", "close", "edit", "remove"]
    for end, field in (("edit", {"limit": "12"}), ("add", {"user": OTHER}), ("remove", {}), ("close", {})):
        action = next(action for action in own if action.endswith(f"/{end}"))
        assert session.post(address + action, data={**word, **field}, allow_redirects=False).status_code == 302, action
    found = served.ask("GET", f"/billing_projects/{quote(name, safe='')}", token="of zoe").json
    assert (found["billing_project"], found["limit"], found["users"], found["status"]) == (name, 12.0, [OTHER], "closed")
    session.close()


def test_who_is_removed_on_a_page_leaves_no_token_and_no_key(served: Server) -> None:
    store = Store(Database(served.data / FILE))
    store.put_user("leaver", hashlib.sha256(b"of leaver").digest(), "leaver", "user")
    store.close()
    token, key = served.data / "tokens-leaver.json", Accounts(served.data).key_file("leaver")
    key.parent.mkdir(parents=True)
    for path in (token, key):
        path.write_text("{}")
    session = session_of(served)
    for name, status in (("leaver", 302), ("leaver", 404), (served.get("/userinfo")["username"], 403)):
        answer = session.post(f"http://127.0.0.1:{served.port}/users/{name}/remove", data={"_csrf": word_of(served, session)}, allow_redirects=False)
        assert answer.status_code == status

    assert (token.exists(), key.exists(), served.ask("GET", "/userinfo", token="of leaver").status) == (False, False, 401)
    session.close()


def test_pages_lead_to_what_people_ask_next(served: Server) -> None:
    number = served.post(job(1, "exit 3", attributes={"name": "align"}), job(2, "true", [1]), attributes={"name": "led"})
    served.ended(number)
    session, path = session_of(served), f"/batches/{number}"
    shown = get(served, session, f"{path}/jobs/2").text

    assert f'<nav aria-label="Part of" class="above"><a href="{path}">Batch {number}: led</a>' in shown
    needs = re.search(r"<dt>Needs</dt><dd>(.*?)</dd>", shown)
    assert needs is not None
    assert "".join(Seen(needs[1]).texts) == "✗ failed align"
    assert f'href="{path}/jobs/1"' in needs[1]
    assert ("It never ran." in shown, "Nothing was written." in shown) == (True, True)
    assert "<td>failed</td><td>3</td>" in get(served, session, f"{path}/jobs/1").text
    gone = get(served, session, f"{path}/jobs/99")
    assert (gone.status_code, f'href="{path}">To batch {number}</a>' in gone.text) == (404, True)
    assert "To batch" not in get(served, session, "/batches/9999/jobs/1").text
    session.close()


def test_questions_that_are_often_asked_are_links_and_who_finds_nothing_is_told(served: Server) -> None:
    session, owner = session_of(served), served.get("/userinfo")["username"]

    for path, marked in (("/batches", "Yours"), ("/batches?q=", "All"), ("/batches?q=state+%3D+running", "Running"), ("/batches/1", "All")):
        assert re.findall(r'aria-current="true">(\w+)</a>', get(served, session, path).text) == [marked], path
    assert "No batch matches." in get(served, session, f"/batches?q=user+%3D+{owner}%0Aname+%3D+none").text
    assert "No job matches." in get(served, session, "/batches/1?q=state+%3D+running").text
    wrong = get(served, session, "/batches?q=state+%3D+nonsense").text
    assert ("unknown state" in wrong, "No batch" in wrong) == (True, False)
    sent = requests.get(f"http://127.0.0.1:{served.port}/batches?q=state+%3D+running", allow_redirects=False, timeout=30)
    assert sent.headers["Location"] == f"/login?next={quote('/batches?q=state+%3D+running', safe='')}"
    session.close()


def test_administrators_see_all_projects_and_which_have_spent_their_limit(served: Server) -> None:
    session = session_of(served)
    assert served.ask("POST", "/billing_projects/of-others/create").status == 200
    for limit, shown in ((2500000, "2500000"), (1e-7, "0.0000001"), (0, "0")):
        assert served.ask("POST", "/billing_limits/of-others/edit", {"limit": limit}).status == 200
        assert f'inputmode="decimal" value="{shown}"' in get(served, session, "/billing").text
    assert "its batches are cancelled and no new one is taken" in get(served, session, "/billing").text
    assert "of-others" not in get(served, session, "/user").text
    assert "of-others" not in get(served, session_of(served, "of zoe"), "/billing").text
    session.close()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00")))
def test_any_text_is_text_and_any_value_a_value(text: str) -> None:
    seen = Seen(tag("p", text, title=text, data_x=[text]))

    assert ("".join(seen.texts), seen.values, seen.runs) == (text, [text, str([text])], [])


@given(st.binary(max_size=300))
def test_any_bytes_are_a_log_without_signs_that_steer_and_without_html(data: bytes) -> None:
    seen = Seen(painted(data))

    assert seen.runs == []
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "".join(seen.texts))


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"plain <b>\n", "plain &lt;b&gt;\n"),
        (b"\x1b[31mred\x1b[0m \x1b[1;92mbold\x1b[22m green", [("1", False, "red"), ("2", True, "bold"), ("2", False, " green")]),
        (b"\x1b[38;5;196mother\x1b[39m\x1b[2K", "other"),
        (b"10%\r50%\r100%\r\ndone\r", "100%\ndone"),
        (b"\x1b]0;title\x07text\x1b[", "text"),
        (b"\x00\xff\x07ok\xc3\xa9", "\ufffd\ufffd\ufffdok\u00e9"),
        (b"\x1b[999999999999999m!", "!"),
    ],
)
def test_a_log_is_shown_as_a_terminal_would_show_it(data: bytes, shown: str | list[tuple[str, bool, str]]) -> None:
    if isinstance(shown, list):
        found = re.findall(r'<span class="hbj-ansi" data-colour="(\d)"( data-bold)?>([^<]*)</span>', painted(data))
        assert [(colour, bool(bold), text) for colour, bold, text in found] == shown
    else:
        assert painted(data) == shown


def test_the_owner_is_told_whose_credentials_reach_stores(served: Server) -> None:
    session = session_of(served)

    assert "reached by the credentials of the service" in get(served, session, "/user").text
    session.close()


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["/bin/bash", "-c", "set -e\necho 'a  b'"], ["/bin/bash -c", "set -e\necho 'a  b'"]),
        (["python3", "-m", "this", "a b"], ["python3 -m this 'a b'"]),
    ],
)
def test_a_script_is_shown_as_it_was_written(command: list[str], shown: list[str]) -> None:
    assert re.findall(r"<(?:code|pre)[^>]*>(.*?)</", "".join(map(str, command_shown(command))), re.DOTALL) == [escape(text) for text in shown]


def test_names_of_files_are_shown_with_all_their_signs() -> None:
    assert [shown_name(name) for name in ("a b", "a\nb", "\u202etxt.exe", "\udcff", "ü")] == ["a b", "a\\nb", "\\u202etxt.exe", "\\udcff", "ü"]


def test_nobody_sees_takes_or_removes_files_of_others(served: Server) -> None:
    owner = served.get("/userinfo")["username"]
    assert served.ask("PUT", f"/files/content?path={owner}/mine/secret", data=b"secret").status == 200
    session = session_of(served, "of zoe")
    folder = served.data / "files" / OTHER
    folder.mkdir()
    (folder / "way out").symlink_to(served.data)
    (folder / "way to file").symlink_to(served.data / "token")
    (folder / b"\xff".decode(errors="surrogateescape")).write_bytes(b"x")

    listed = get(served, session, "/files")
    assert (listed.status_code, "way to file" in listed.text, "its name is no text" in listed.text) == (200, True, True)
    for path in ("way out", "way out/files", f"../{owner}/mine", f"{owner}/mine", "mine", "way to file/x", "%00", "a%0Ab/../.."):
        answer = get(served, session, f"/files?path={path}")
        assert (answer.status_code // 100, "secret" in answer.text) == (4, False), path
    for path in ("way to file", f"../{owner}/mine/secret", f"{owner}/mine/secret", "way out/token", "mine/secret"):
        answer = get(served, session, f"/files/content?path={path}")
        assert (answer.status_code // 100, served.token in answer.text) == (4, False), path
        word = {"_csrf": word_of(served, session), "path": quote(path)}
        session.post(f"http://127.0.0.1:{served.port}/files/remove", data=word, allow_redirects=False)
    listed_by_client = served.ask("GET", f"/files/list?path={OTHER}", token="of zoe").json
    assert sorted(name for name, *_ in listed_by_client) == ["way to file", "\udcff"]
    assert served.ask("GET", f"/files/content?path={owner}/mine/secret").text == "secret"
    assert (served.data / "token").exists()
    session.close()


def test_a_folder_is_shown_in_pages_of_names(served: Server) -> None:
    home = served.data / "files" / served.get("/userinfo")["username"] / "many"
    (home / "deep" / "er").mkdir(parents=True)
    for number in range(250):
        (home / f"{number:03d}").write_bytes(b"x" * number)
    (home / "deep" / "er" / "file").write_bytes(b"x" * 4096)
    session = session_of(served)

    first = get(served, session, "/files?path=many").text
    more = re.search(r'href="(/files\?[^"]*after[^"]*)" rel="next"', first)
    assert more
    second = get(served, session, more[1].replace("&amp;", "&")).text

    assert (first.count("<tr>"), second.count("<tr>")) == (201, 52)
    assert "4.0 KiB" in second
    session.close()


def test_a_long_log_is_read_in_parts_and_sent_whole_and_is_never_all_in_memory(served: Server) -> None:
    number = served.post(job(1, f"yes 'a line that is written again and again' | head -c {LOG_BYTES}; printf 'the end'"))
    served.ended(number)
    session, path, size = session_of(served), f"/batches/{number}/jobs/1", LOG_BYTES + len("the end")
    assert served.process is not None
    process = Path(f"/proc/{served.process.pid}")
    (process / "clear_refs").write_text("5")  # the peak is counted from now on
    before = _memory_bytes(process, "VmRSS")

    shown = get(served, session, path).text
    assert ("the end</pre>" in shown, "/log/main/part?at=0" in shown, "As text" in shown) == (True, True, False)
    part = get(served, session, f"{path}/log/main/part?at=100000000").text
    assert "Bytes 100,000,000 to 100,262,144 of 200,000,007." in part
    piece = get(served, session, f"{path}/log/main", Range="bytes=-7")
    assert (piece.status_code, piece.text, piece.headers["Content-Range"]) == (206, "the end", f"bytes {size - 7}-{size - 1}/{size}")
    with session.get(f"http://127.0.0.1:{served.port}{path}/log/main?download=1", stream=True) as answer:
        assert answer.headers["Content-Disposition"] == f'attachment; filename="batch-{number}-job-1-main.log"'
        assert sum(len(data) for data in answer.iter_content(1 << 20)) == size
    assert served.ask("GET", f"{path}/log").text.startswith("400: the logs of job 1 are too long for one answer")

    assert _memory_bytes(process, "VmHWM") - before < 40 << 20
    session.close()


def _memory_bytes(process: Path, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", (process / "status").read_text())
    assert found
    return int(found[1]) << 10
