"""Other accounts of this machine, by a real sudo: whose files and commands they are, and what it takes."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hail_batch_jupyter.backends.far.ship import shipment
from hail_batch_jupyter.cluster import ConnectionParameters, PybatchException
from hail_batch_jupyter.cluster.protocols.record import protocol_from, protocol_record
from hail_batch_jupyter.cluster.protocols.sudo import SudoProtocol

pytestmark = pytest.mark.requires("sudo")
SUDOERS = Path("/etc/sudoers.d")


@pytest.fixture
def games() -> Iterator[SudoProtocol]:
    with SudoProtocol(ConnectionParameters(user="games")) as protocol:
        yield protocol


@pytest.fixture
def refused() -> Iterator[str]:
    """An account that root may not become here."""
    rule = SUDOERS / f"hbj-test-{os.getpid()}"
    rule.write_text("root ALL=(sys) !ALL\n")
    yield "sys"
    rule.unlink()


def test_commands_and_files_are_those_of_the_account(games: SudoProtocol, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of root")
    folder = games.run(["mktemp", "-d"]).strip()
    try:
        games.upload([secret], f"{folder}/copy")

        assert games.run(["id", "-un"]) == "games\n"
        assert games.run(["sh", "-c", "echo $HOME"]).strip() == pwd.getpwnam("games").pw_dir
        assert (Path(folder) / "copy").stat().st_uid == pwd.getpwnam("games").pw_uid
        with pytest.raises(PybatchException, match="no such file"):
            games.read(str(secret))
    finally:
        games.run(["rm", "-rf", folder])


def test_it_is_written_down_and_made_again(games: SudoProtocol) -> None:
    record = json.loads(json.dumps(protocol_record(games)))

    again = protocol_from(record)

    assert isinstance(again, SudoProtocol)
    assert again.run(["id", "-un"]) == "games\n"
    again.close()


def test_an_account_that_is_not_there_is_named() -> None:
    with pytest.raises(PybatchException, match="there is no account 'nobody-of-this-name' on this machine; make it, or name another one"):
        SudoProtocol(ConnectionParameters(user="nobody-of-this-name")).run(["true"])


@pytest.mark.parametrize("name", [None, "", "#0", "-u", "a b", "a;b"])
def test_what_is_no_name_of_an_account_never_reaches_sudo(name: str | None) -> None:
    with pytest.raises(PybatchException, match="is no name of an account"):
        SudoProtocol(ConnectionParameters(user=name))


def test_where_sudo_refuses_the_line_that_it_needs_is_told(refused: str) -> None:
    with pytest.raises(PybatchException, match=r"cannot be used by 'root'.*the line `root ALL=\(sys\) NOPASSWD: /bin/sh` in a file of /etc/sudoers.d"):
        SudoProtocol(ConnectionParameters(user=refused)).run(["true"])


AS_NEWS = """
import sys
sys.path.insert(0, sys.argv[1])
from hail_batch_jupyter.cluster import ConnectionParameters
from hail_batch_jupyter.cluster.protocols.sudo import SudoProtocol
protocol = SudoProtocol(ConnectionParameters(user="games"))
print(protocol.run(["id", "-un"]).strip())
protocol.upload([sys.argv[1]], sys.argv[2])
protocol.close()
try:
    SudoProtocol(ConnectionParameters(user="root")).run(["true"])
except Exception as error:
    print(error)
"""


def test_the_line_is_enough_for_a_service_that_is_not_root(games: SudoProtocol) -> None:
    rule, folder = SUDOERS / f"hbj-test-line-{os.getpid()}", games.run(["mktemp", "-d"]).strip()
    package = Path(folder) / "package.pyz"  # where the account sees it, wherever the tests lie
    games.run(["chmod", "755", folder])
    try:
        package.write_bytes(shipment().data)
        package.chmod(0o644)
        rule.write_text("news ALL=(games) NOPASSWD: /bin/sh\n")
        command = ["sudo", "-n", "-u", "news", "--", "python3", "-c", AS_NEWS, str(package), f"{folder}/copy"]
        said = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/", timeout=60).stdout

        assert said.startswith("games\naccount 'root' cannot be used by 'news'")
        assert "the line `news ALL=(root) NOPASSWD: /bin/sh`" in said
        assert (Path(folder) / "copy").read_bytes() == package.read_bytes()
    finally:
        rule.unlink(missing_ok=True)
        games.run(["rm", "-rf", folder])
        shutil.rmtree(folder, ignore_errors=True)


def test_without_sudo_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PybatchException, match="sudo is not installed; install it on this machine"):
        SudoProtocol(ConnectionParameters(user="games")).run(["true"])
