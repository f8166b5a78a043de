"""Connections that the user opens by hand; what asks for a key in these tests may ask for a code elsewhere."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hail_batch_jupyter.cli import main
from hail_batch_jupyter.cluster import PybatchException
from tests.cluster.connections import connected
from tests.ssh_server import SshServer

pytestmark = pytest.mark.requires("sshd")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with a short path, for that of a socket may not be long."""
    with tempfile.TemporaryDirectory(prefix="hbj-home-") as folder:
        monkeypatch.setenv("HOME", folder)
        yield Path(folder)


def test_a_connection_that_the_user_opened_is_used_until_it_ends(sshd: SshServer, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config"
    config.write_text("".join(line for line in sshd.config.read_text().splitlines(keepends=True) if "IdentityFile" not in line))
    words = ["node", "--config", str(config)]
    with connected("ssh", config) as protocol:
        with pytest.raises(PybatchException, match="`hail-batch-jupyter cluster login HOST` on this machine"):
            protocol.run(["true"])

        assert main(["cluster", "login", "node", "--config", str(sshd.config)]) == 0
        assert main(["cluster", "login", *words]) == 0
        assert protocol.run(["echo", "here"]) == "here\n"
        protocol.create(str(tmp_path / "file"), "text")
        protocol.download([str(tmp_path / "file")], tmp_path / "copy")
        protocol.close()
        assert protocol.run(["echo", "again"]) == "again\n"

        assert main(["cluster", "logout", *words]) == 0
        with pytest.raises(PybatchException):
            protocol.run(["true"])
        assert main(["cluster", "logout", *words]) == 0

    said = capsys.readouterr().out.splitlines()
    assert [line.split(";")[0] for line in said] == [
        "Connected to node",
        "There is a connection already to node",
        "Logged out",
        "there was no connection to node",
    ]
    assert (tmp_path / "copy").read_text() == "text"
    assert list((home / ".ssh").glob("hbj-*")) == []


def test_a_login_that_fails_is_told(sshd: SshServer, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "login", "unknown", "--config", str(sshd.config)]) == 1

    said = capfd.readouterr().err
    assert "Host key verification failed" in said
    assert "no connection to unknown was opened; look at what ssh said" in said
