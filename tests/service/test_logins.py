"""Users whose jobs run under their own accounts of the machine, on a real Slurm and by a real sudo; accounts that every Debian has stand for theirs."""

from __future__ import annotations

import html
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from hail_batch_jupyter.cli import main
from hail_batch_jupyter.observe import owner, rundir
from hail_batch_jupyter.service.accounts import Accounts
from hail_batch_jupyter.service.store.database import FILE, Database
from hail_batch_jupyter.service.store.tables import Store
from hail_batch_jupyter.storage.of_service import PART_BYTES
from tests.conftest import RUNS, wait_until
from tests.engine.jobs import HOLD, Gate
from tests.service.servers import Server, job
from tests.service.test_restart import lines
from tests.slurm_cluster import SlurmCluster
from tests.ssh_server import SshServer
from tests.storage.emulators import key_of

pytestmark = pytest.mark.requires("slurm", "sudo")
LOGINS = {"ann": "games", "bob": "news"}


class User(NamedTuple):
    """A user of the service, with an account of the machine and a folder of that account alone."""

    name: str
    token: str
    login: str
    folder: Path

    @property
    def uid(self) -> int:
        return pwd.getpwnam(self.login).pw_uid

    def post(self, server: Server, *jobs: dict[str, Any]) -> int:
        reply = server.ask("POST", "/batches/create-fast", fast(*jobs), self.token)
        assert reply.status == 200, reply
        return int(reply.json["id"])


class Place(NamedTuple):
    server: Server
    ann: User
    bob: User


@pytest.fixture(scope="module")
def folders() -> Iterator[Path]:
    """A folder of each account alone."""
    folder = Path(tempfile.mkdtemp(prefix="hbj-logins-"))
    folder.chmod(0o755)
    for login in LOGINS.values():
        (folder / login).mkdir(mode=0o700)
        shutil.chown(folder / login, login)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def place(slurm: SlurmCluster, all_runs: Path, folders: Path) -> Iterator[Place]:
    folder = all_runs / "logins"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(RUNS, str(folder))
        folder.mkdir()
        words = ("--slurm", "--logins", "sudo", "--login-directory", f"{folders}/%u/runs", "--login-setup", slurm.login)
        server = Server(folder / "data", words=words).start()
        try:
            yield Place(server, *(_made(server, name, login, folders) for name, login in LOGINS.items()))
        finally:
            server.close()


def _made(server: Server, name: str, login: str, folders: Path) -> User:
    assert main(["serve", "user", "add", name, "--project", "local", "--runs-as", login, "--data", str(server.data)]) == 0
    token = json.loads((server.data / f"tokens-{name}.json").read_text())["default"]
    return User(name, token, login, folders / login)


def test_jobs_run_under_the_account_of_their_user_and_the_service_tells_of_them(place: Place) -> None:
    server, ann = place.server, place.ann
    key = key_of("ann", "http://127.0.0.1:9")
    Accounts(server.data).put("ann", key, anywhere=True)
    (ann.folder / "in").write_text("of ann\n")
    copies = {
        "input_files": [copied(f"file://{ann.folder}/in", "/io/in")],
        "output_files": [copied("/io/out", f"file://{ann.folder}/out")],
    }
    look = "stat -c '%a %U' /io/../../key.json; grep -o ann@lab /io/../../key.json"
    number = ann.post(server, job(1, f"id -un; cat /io/in; {look}; id -u > /io/out", **copies), job(2, "exit 3", [1]))
    own = server.post(job(1, "id -un"))
    server.ended(number)
    server.ended(own)
    Accounts(server.data).remove("ann")

    assert server.states(number) == ["Success", "Failed"]
    assert (server.log(number, 1), server.log(own, 1)) == ("games\nof ann\n600 games\nann@lab\n", f"{pwd.getpwuid(os.getuid()).pw_name}\n")
    part = server.ask("GET", f"/batches/{number}/jobs/1/log/main", token=ann.token, Range="bytes=6-7")
    assert (part.status, part.text, part.headers["Content-Range"]) == (206, "of", "bytes 6-7/31")
    assert (ann.folder / "out").read_text() == f"{ann.uid}\n"
    assert (ann.folder / "out").stat().st_uid == ann.uid
    wait_until(lambda: not list((ann.folder / "runs").glob("*/key.json")))
    secret = key["private_key"].splitlines()[3]
    assert not any(secret in path.read_text(errors="replace") for path in (server.data / "runs").glob("*/*") if path.is_file())


def test_what_is_cancelled_ends_under_the_account(place: Place, slurm: SlurmCluster) -> None:
    gate = Gate(place.ann.folder / "cancelled")
    number = place.ann.post(place.server, job(1, gate.shell), job(2, "true", [1]))
    gate.reached()
    n_tokens = len(tokens_of_runs(place.server))

    assert place.server.ask("PATCH", f"/batches/{number}/cancel", token=place.ann.token).status == 200
    place.server.ended(number)

    assert place.server.states(number) == ["Cancelled", "Cancelled"]
    wait_until(lambda: not queue_of(slurm, place.ann))
    assert n_tokens > 0
    wait_until(lambda: not tokens_of_runs(place.server))


def test_jobs_go_on_when_the_service_and_who_follows_them_are_killed(place: Place) -> None:
    server, ann = place.server, place.ann
    gate, ran = Gate(ann.folder / "killed"), ann.folder / "ran-once"
    number = ann.post(server, job(1, f"echo 1 >> {ran}; {gate.shell}; echo let through"), job(2, f"echo 2 >> {ran}", [1]))
    gate.reached()

    server.kill()
    kill_followers(server)
    server.start()
    gate.let_through()
    server.ended(number)

    assert server.states(number) == ["Success", "Success"]
    assert (lines(ran), server.log(number, 1)) == (["1", "2"], "let through\n")
    assert len(server.get(f"/batches/{number}/jobs/1/attempts")) == 1


def test_a_job_whose_runner_was_killed_too_begins_again_when_the_first_one_is_gone(place: Place, slurm: SlurmCluster) -> None:
    server, ann = place.server, place.ann
    gate, ran, again = Gate(ann.folder / "lost"), ann.folder / "ran-twice", ann.folder / "again"
    script = f"echo x >> {ran}; if [ -e {again} ]; then squeue --noheader --user=$(id -u) --format=%i > {ann.folder}/queue; exit 0; fi; {gate.shell}"
    wait_until(lambda: not queue_of(slurm, ann))
    number = ann.post(server, job(1, script))
    gate.reached()

    server.kill()
    kill_followers(server)
    before = queue_of(slurm, ann)
    kill_runners_there(ann)
    again.touch()
    server.start()
    server.ended(number)

    assert (server.states(number), lines(ran)) == (["Success"], ["x", "x"])
    assert (len(before), set(before) & set(lines(ann.folder / "queue"))) == (1, set())  # never two at once
    attempts = server.get(f"/batches/{number}/jobs/1/attempts")
    assert [attempt["reason"] for attempt in attempts] == ["terminated", "completed"]


def tokens_of_runs(server: Server) -> list[str]:
    """The runs of which the service would take a token now."""
    database = Database(server.data / FILE)
    try:
        return [run_id for (run_id,) in database.all("SELECT run_id FROM run_tokens")]
    finally:
        database.close()


def going_on(user: User) -> list[Path]:
    """The run directories under an account whose runs have not ended; some may be about to."""
    return [path for path in (user.folder / "runs").glob("2*") if not (path / "ended").exists()]


def queue_of(slurm: SlurmCluster, user: User) -> list[str]:
    return slurm.run("squeue", "--noheader", f"--user={user.uid}", "--format=%i").split()


def kill_followers(server: Server) -> None:
    """End who follows runs that live under other accounts."""
    for directory in (server.data / "runs").glob("*"):
        facts = owner.read_owner(directory)
        if (directory / rundir.ELSEWHERE).exists() and facts is not None and owner.owner_alive(directory):
            os.kill(facts["pid"], signal.SIGKILL)
            wait_until(lambda directory=directory: not owner.owner_alive(directory))


def kill_runners_there(user: User) -> None:
    """End the runners of an account and their guards."""
    for directory in (user.folder / "runs").glob("2*"):
        facts = owner.read_owner(directory)
        if facts is not None and owner.owner_alive(directory):
            os.kill(facts["guard"], signal.SIGKILL)
            os.kill(facts["pid"], signal.SIGKILL)
            wait_until(lambda directory=directory: not owner.owner_alive(directory))


def test_files_of_the_storage_are_handed_from_job_to_job_and_belong_to_the_user(place: Place) -> None:
    server, ann = place.server, place.ann
    big = os.urandom(PART_BYTES + 10)
    assert server.ask("PUT", "/files/content?path=ann/in", data=b"of ann\n", token=ann.token).status == 200
    jobs = [
        job(1, f"cat /io/in; mkdir /io/d; echo made > /io/d/f; cp {ann.folder}/big /io/d/", input_files=[copied("hbj://ann/in", "/io/in")]),
        job(2, "cat /io/d/f; cmp /io/d/big /io/big", [1], input_files=[copied("hbj://ann/tmp/d", "/io/d"), copied(f"file://{ann.folder}/big", "/io/big")]),
        job(3, "echo never", [1], input_files=[copied("hbj://ann/nothing", "/io/in")]),
        job(4, "", [2, 3], process={"type": "docker", "image": "", "command": ["hbj-remove", "hbj://ann/tmp"]}, always_run=True),
        job(5, "echo last", [4]),
    ]
    (ann.folder / "big").write_bytes(big)
    shutil.chown(ann.folder / "big", ann.login)
    jobs[0]["output_files"] = [copied("/io/d", "hbj://ann/tmp/d")]
    number = ann.post(server, *jobs)
    server.ended(number)

    assert server.states(number) == ["Success", "Success", "Failed", "Success", "Success"], [
        server.log(number, 1, each) for each in ("input", "main", "output")
    ]
    assert [server.log(number, each) for each in (1, 2, 5)] == ["of ann\n", "made\n", "last\n"]
    assert "does not exist" in server.log(number, 3, "input")
    assert [name for name, *_ in server.ask("GET", "/files/list?path=ann", token=ann.token).json] == ["in"]


def test_another_user_gets_nothing_of_it(place: Place) -> None:
    server, ann, bob = place.server, place.ann, place.bob
    gate = Gate(ann.folder / "beside")
    own = server.get("/userinfo")["username"]
    assert server.ask("PUT", f"/files/content?path={own}/secret", data=b"secret").status == 200
    first = ann.post(server, job(1, f"echo of ann > /io/secret; echo of ann; {gate.shell}"))
    gate.reached()
    (run,) = wait_until(lambda: found if len(found := going_on(ann)) == 1 else None)
    wanted = [run / "scratch" / "1" / "secret", run / "logs" / "1.1.main.log", server.data / "token", server.data / "files" / own / "secret"]
    assert all(path.exists() for path in wanted)

    look = "; ".join(f"cat {path} 2>/dev/null && echo FOUND" for path in wanted)
    steal = [copied(f"file://{server.data}/token", "/io/in")]
    jobs = [
        job(1, f"{look}; id -un; ls {ann.folder} && echo FOUND; echo nothing"),
        job(2, "true", input_files=steal),
        job(3, "ln -s /etc/shadow /io/out", output_files=[copied("/io/out", f"file://{bob.folder}/out")]),
        job(4, "", process={"type": "docker", "image": "", "command": ["hbj-remove", "hbj://bob/x"]}, input_files=steal),
    ]
    second = bob.post(server, *jobs)
    server.ended(second)
    reply = server.ask("POST", "/batches/create-fast", fast(job(1, "true", input_files=[copied("hbj://ann/in", "/io/in")])), bob.token)

    gate.let_through()
    server.ended(first)
    assert [line for line in server.log(second, 1).splitlines() if ":" not in line] == ["news", "nothing"]
    assert server.states(second)[1:] == ["Failed", "Failed", "Failed"]
    assert (reply.status, "is not yours" in reply.text) == (403, True)
    assert server.ask("GET", f"/batches/{first}/jobs/1/log/main", token=bob.token).text == "of ann\n"  # they share a billing project


def test_who_meddles_with_a_journal_ends_the_own_run_and_nothing_else(place: Place) -> None:
    server, ann, bob = place.server, place.ann, place.bob
    gate = Gate(ann.folder / "meddles")
    number = ann.post(server, job(1, f"{gate.shell}; echo meddled >> /io/../../events.jsonl; {HOLD}"), job(2, "true", [1]))
    wait_until(lambda: server.states(number)[0] == "Running")
    gate.let_through()
    server.ended(number)
    other = bob.post(server, job(1, "echo well"))
    server.ended(other)

    assert server.states(number) == ["Error", "Error"]
    assert "the journal under that account is not as a runner writes it" in server.ask("GET", f"/batches/{number}/jobs/1").text
    assert (server.states(other), server.log(other, 1)) == (["Success"], "well\n")
    wait_until(lambda: not going_on(ann))


def test_a_run_may_ask_for_files_of_its_user_only_and_only_while_it_goes_on(place: Place) -> None:
    server = place.server
    store = Store(Database(server.data / FILE))
    try:
        token = store.run_tokens.make("some-run", "ann")
        assert server.ask("PUT", "/files/content?path=ann/by-run", data=b"x", token=token).status == 200
        assert server.ask("GET", "/files/list?path=ann/by-run", token=token).status == 200
        refused = [("GET", "/files/list?path=bob"), ("GET", "/userinfo"), ("GET", "/batches"), ("DELETE", "/files/content?path=ann/by-run"), ("GET", "/files")]
        assert [server.ask(method, path, token=token).status for method, path in refused] == [403, 401, 401, 401, 401]
        store.run_tokens.end("some-run")

        assert server.ask("GET", "/files/list?path=ann/by-run", token=token).status == 401
    finally:
        store.close()


def test_while_an_account_cannot_be_used_its_jobs_wait_and_say_why(place: Place, folders: Path) -> None:
    server, eve = place.server, _made(place.server, "eve", "sys", folders)
    (folders / "sys").write_text("no folder")
    first, second = (eve.post(server, job(1, f"echo x >> {eve.folder}/ran")) for _ in range(2))
    for number in (first, second):
        wait_until(lambda number=number: "the work directory cannot be made" in server.get(f"/batches/{number}/jobs/1").get("waits_for", ""))
    server.ask("PATCH", f"/batches/{second}/cancel")
    server.ended(second)

    server.kill()
    kill_followers(server)
    (folders / "sys").unlink()
    (folders / "sys").mkdir(mode=0o700)
    shutil.chown(folders / "sys", "sys")
    server.start()
    server.ended(first)

    assert (server.states(first), server.states(second), lines(eve.folder / "ran")) == (["Success"], ["Cancelled"], ["x"])
    assert server.get(f"/batches/{first}/jobs/1").get("waits_for") is None


@pytest.mark.parametrize(
    ("login", "told"),
    [
        pytest.param("root", "never run as 'root', which may read everything", id="root"),
        pytest.param("nobody-there", "there is no account 'nobody-there' on this machine", id="missing"),
        pytest.param("games", "account 'games' is that of the user 'ann', and jobs of both would read each other's files", id="of-another"),
        pytest.param("#0", "is no name of an account", id="number"),
    ],
)
def test_an_account_that_jobs_cannot_have_is_refused_by_the_command_on_the_page_and_when_a_job_is_posted(
    place: Place, login: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server, data = place.server, str(place.server.data)
    statuses = [main(["serve", "user", "add", "kim", "--runs-as", login, "--data", data]), main(["serve", "user", "login", "bob", login, "--data", data])]
    said = capsys.readouterr().err.splitlines()
    page = page_of(server, "/users/bob/login", login=login)
    store = Store(Database(server.data / FILE))
    try:
        store.logins.put("bob", login)
        reply = server.ask("POST", "/batches/create-fast", fast(job(1, "true")), place.bob.token)
    finally:
        store.logins.put("bob", place.bob.login)
        store.close()

    assert (statuses, [told in line for line in said]) == ([1, 1], [True, True]), said
    assert (page.status_code, told[1:] in html.unescape(page.text)) == (400, True)
    assert (reply.status, told in reply.text) == (403, True)


def test_the_account_is_told_and_changed_on_pages(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    server, bob = place.server, place.bob

    assert server.ask("GET", "/userinfo", token=bob.token).json["login"] == "news"
    assert server.get("/userinfo")["login"] is None
    assert "other users under their own accounts by sudo" in server.said
    assert "Jobs run as" in page_of(server, "/users").text
    assert "<dd>news</dd>" in page_of(server, "/user", token=bob.token).text
    assert page_of(server, "/users/bob/login", login="uucp").status_code == 302
    assert server.ask("GET", "/userinfo", token=bob.token).json["login"] == "uucp"
    statuses = [main(["serve", "user", *words, "--data", str(server.data)]) for words in (("login", "bob", "news"), ("list",))]

    said = capsys.readouterr().out
    assert (statuses, "jobs of 'bob' run as 'news' from now on" in said, "bob\tuser\tlocal\tas news\n" in said) == ([0, 0], True, True)


@pytest.fixture
def account(folders: Path) -> Iterator[str]:
    """An account that may log in by ssh, as none of the system's may."""
    name = f"hbj{os.getpid()}"
    words = ["--no-create-home", "--home-dir", str(folders / name), "--shell", "/bin/sh", "--password", "*", name]
    wait_until(lambda: subprocess.run(["useradd", *words], check=False, capture_output=True).returncode == 0)  # somebody else may hold the file
    try:
        (folders / name).mkdir(mode=0o700)
        shutil.chown(folders / name, name)
        yield name
    finally:
        wait_until(lambda: subprocess.run(["userdel", name], check=False, capture_output=True).returncode == 0)


@pytest.mark.requires("sshd")
def test_by_ssh_jobs_run_as_who_has_logged_in(slurm: SlurmCluster, sshd: SshServer, account: str, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (runs / "bin").mkdir()
    for name in ("ssh", "scp"):
        (runs / "bin" / name).write_text(f'#!/bin/sh\nexec {shutil.which(name)} -F {sshd.config} "$@"\n')
        (runs / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{runs}/bin:{os.environ['PATH']}")
    server = Server(runs / "data", words=("--slurm", "--logins", "node", "--login-setup", slurm.login)).start()
    try:
        user = _made(server, "ann", account, Path(pwd.getpwnam(account).pw_dir).parent)
        assert server.ask("PUT", "/files/content?path=ann/in", data=b"by ssh\n", token=user.token).status == 200
        number = user.post(server, job(1, "id -un; cat /io/in", input_files=[copied("hbj://ann/in", "/io/in")]))
        server.ended(number)

        assert server.log(number, 1) == f"{account}\nby ssh\n"
        assert list(user.folder.glob(".local/state/hail_batch_jupyter/cluster/2*"))
        assert server.ask("DELETE", f"/batches/{number}", token=user.token).status == 200
        wait_until(lambda: not list(user.folder.glob(".local/state/hail_batch_jupyter/cluster/2*")))
    finally:
        server.close()


def page_of(server: Server, path: str, token: str = "", **words: str) -> requests.Response:
    """A page for who has a token, or what posting these words to it gives."""
    header = {"Authorization": f"Bearer {token or server.token}"}
    return requests.request("POST" if words else "GET", f"http://127.0.0.1:{server.port}{path}", data=words, headers=header, allow_redirects=False, timeout=30)


def copied(source: str, dest: str) -> dict[str, str]:
    return {"from": source, "to": dest}


def fast(*jobs: dict[str, Any]) -> dict[str, Any]:
    return {"bunch": list(jobs), "batch": {"billing_project": "local", "token": os.urandom(8).hex(), "n_jobs": len(jobs)}}
