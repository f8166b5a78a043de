"""What the ways to a machine do with commands and files, over a real sshd and a real sudo."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hail_batch_jupyter.cluster import ConnectionParameters, PybatchException
from hail_batch_jupyter.cluster.protocols.local import LocalProtocol
from hail_batch_jupyter.cluster.protocols.paramiko import ChannelStream, ParamikoProtocol
from hail_batch_jupyter.cluster.protocols.shelled import ShelledProtocol
from hail_batch_jupyter.cluster.protocols.ssh import SshProtocol
from tests.cluster.connections import connected
from tests.conftest import wait_until
from tests.ssh_server import SshServer

Any = LocalProtocol | ShelledProtocol
NASTY = ["a b", "$HOME", "it's", "", "a;b", "x\ny", "`id`", '"q"', "~", "!", "*", "a&b|c<d>e", "\\", "ü"]
SHOW = [sys.executable, "-c", "import sys; print(ascii(sys.argv[1:]))"]


def test_every_argument_arrives_as_it_is(protocol: Any) -> None:
    assert protocol.run([*SHOW, *NASTY]).strip() == ascii(NASTY)


@pytest.mark.parametrize("program", ["if", "A=b", "no such"])
def test_the_first_word_is_a_program_and_nothing_else(protocol: Any, program: str) -> None:
    with pytest.raises(PybatchException):
        protocol.run([program])


def test_a_failing_command_tells_code_command_and_stderr(protocol: Any) -> None:
    with pytest.raises(PybatchException, match=r"^Error 3\.") as caught:
        protocol.run(["sh", "-c", "echo out; echo wrong >&2; exit 3"])

    assert caught.value.exit_code == 3
    assert caught.value.stderr == "wrong\n"


def test_an_empty_command_is_refused(protocol: Any) -> None:
    with pytest.raises(PybatchException, match="Empty command."):
        protocol.run([])


def test_a_builtin_does_not_change_the_next_command(remote: ShelledProtocol) -> None:
    before = remote.run(["pwd"])
    remote.run(["cd", "/"])
    with pytest.raises(PybatchException, match="Error 7"):
        remote.run(["exit", "7"])

    assert remote.run(["pwd"]) == before


def test_large_output_on_both_streams_comes_whole(protocol: Any) -> None:
    code = "import sys; sys.stderr.write('e' * 300000); sys.stdout.write('o' * 300000)"

    assert protocol.run([sys.executable, "-c", code]) == "o" * 300000


@pytest.mark.parametrize("name", ["plain.txt", "a b.txt", "it's.txt", "a;b", "-n", "c:d", "[x]*?.txt", "~t"])
def test_text_files_and_copies_keep_name_and_content(protocol: Any, tmp_path: Path, name: str) -> None:
    there, back = tmp_path / "there's a place", tmp_path / "back"
    there.mkdir()
    back.mkdir()
    text = "line\n'quoted' $HOME `id` ü\nno newline at the end"
    protocol.create(str(there / name), text)
    protocol.download([str(there / name)], back)
    protocol.upload([back / name], str(there / "copy"))

    assert (there / name).read_bytes() == text.encode()
    assert protocol.read(str(there / name)) == text
    assert (back / name).read_text() == text
    assert (there / "copy").read_text() == text


def test_directories_are_copied_under_their_own_name(protocol: Any, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "x").write_text("x")
    for name in ("there", "back"):
        (tmp_path / name).mkdir()
    protocol.upload(iter([tmp_path / "in"]), str(tmp_path / "there"))
    protocol.upload(iter([tmp_path / "in"]), str(tmp_path / "there"))
    protocol.download(iter([str(tmp_path / "there" / "in")]), tmp_path / "back")

    assert (tmp_path / "back" / "in" / "deep" / "x").read_text() == "x"
    assert sorted(path.name for path in (tmp_path / "there").rglob("*")) == ["deep", "in", "x"]


def test_nothing_to_copy_is_nothing_done(protocol: Any, tmp_path: Path) -> None:
    protocol.upload([], str(tmp_path / "missing"))
    protocol.download([], tmp_path / "missing")

    assert list(tmp_path.iterdir()) == []


def test_a_missing_source_is_named(protocol: Any, tmp_path: Path) -> None:
    with pytest.raises(PybatchException, match=r"gone.*neither a file, nor a directory"):
        protocol.upload([tmp_path / "gone"], str(tmp_path))
    with pytest.raises(PybatchException, match="gone"):
        protocol.download([str(tmp_path / "gone")], tmp_path)


def test_bytes_that_are_no_text_do_not_fail(protocol: Any, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a\xffb")

    assert protocol.read(str(tmp_path / "f")) == "a\ufffdb"


def test_commands_of_several_threads_run_side_by_side(remote: ShelledProtocol) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: remote.run(["echo", str(number)]).strip(), range(40)))

    assert answers == [str(number) for number in range(40)]


def test_all_commands_go_through_one_shell(remote: ShelledProtocol) -> None:
    pids = {remote.run(["sh", "-c", "ps -o ppid= -p $PPID"]).strip() for _ in range(5)}

    assert len(pids) == 1


def test_a_lost_connection_is_told_and_the_next_command_connects_again(remote: ShelledProtocol) -> None:
    with pytest.raises(PybatchException, match="connection was lost"):
        remote.run(["sh", "-c", "kill -9 $PPID"])

    assert remote.run(["echo", "again"]) == "again\n"


def test_a_copy_of_a_protocol_connects_by_itself(remote: ShelledProtocol) -> None:
    copied = pickle.loads(pickle.dumps(remote))
    try:
        assert copied.run(["echo", "copied"]) == "copied\n"
    finally:
        copied.close()


@pytest.mark.requires("sshd")
@pytest.mark.parametrize("kind", ["ssh", "paramiko"])
def test_a_host_behind_a_jump_host_is_reached(kind: str, sshd: SshServer) -> None:
    protocol = connected(kind, sshd.config, "behind")
    try:
        assert protocol.run(["echo", "through"]) == "through\n"
    finally:
        protocol.close()


@pytest.mark.requires("sshd")
@pytest.mark.parametrize("kind", ["ssh", "paramiko"])
def test_an_unknown_host_key_is_refused_unless_it_is_allowed(kind: str, sshd: SshServer) -> None:
    with pytest.raises(PybatchException, match=r"Failed to open ssh connection to unknown[\s\S]*accept_unknown_hosts"):
        connected(kind, sshd.config, "unknown").run(["true"])
    protocol = connected(kind, sshd.config, "unknown", accept_unknown_hosts=True)
    try:
        assert protocol.run(["echo", "allowed"]) == "allowed\n"
    finally:
        protocol.close()
        (sshd.root / "nobody_known").unlink(missing_ok=True)


@pytest.mark.requires("sshd")
@pytest.mark.parametrize("kind", ["ssh", "paramiko"])
def test_a_key_that_the_host_does_not_take_is_told(kind: str, sshd: SshServer) -> None:
    config = sshd.root / "strangers"
    config.write_text(sshd.config.read_text().replace(f"{sshd.root}/id\n", f"{sshd.root}/other_id\n"))
    with pytest.raises(PybatchException, match=r"Failed to open ssh connection to stranger.*\n[\s\S]*(denied|[Aa]uthentication)"):
        connected(kind, config, "stranger").run(["true"])


@pytest.mark.requires("sshd")
def test_what_came_without_waking_who_waits_is_heard(sshd: SshServer) -> None:
    protocol = connected("paramiko", sshd.config)
    try:
        client = protocol._connected()
        channel = client.get_transport().open_session()
        channel.fileno()  # makes the sign
        channel.exec_command("echo wrong >&2; read wait")
        wait_until(channel.recv_stderr_ready)
        channel._pipe.clear()  # the sign is lost, as when one stream is emptied while the other gets something

        assert ChannelStream(channel).receive(30) == (b"", b"wrong\n")
    finally:
        protocol.close()


@pytest.mark.requires("sshd")
def test_closing_ends_the_connection(sshd: SshServer) -> None:
    protocol = connected("ssh", sshd.config)
    assert isinstance(protocol, SshProtocol)
    protocol.run(["true"])
    folder = protocol._sockets
    sockets = list(Path(folder).iterdir())
    protocol.close()

    assert len(sockets) == 1
    assert not Path(folder).exists()
    assert folder not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_the_ssh_program_takes_no_password() -> None:
    with pytest.raises(PybatchException, match="use ParamikoProtocol"):
        SshProtocol(ConnectionParameters("h", "u", "geheim"))


@pytest.mark.requires("sshd")
def test_a_password_is_in_no_pickle(sshd: SshServer) -> None:
    protocol = ParamikoProtocol(ConnectionParameters("node", "root", "geheim"), config_file=str(sshd.config))
    try:
        assert b"geheim" not in pickle.dumps(protocol)
        assert "geheim" not in repr(protocol.params)
        copied = pickle.loads(pickle.dumps(protocol))
        copied.params.host, copied.config_file = "stranger", str(sshd.root / "none")
        with pytest.raises(PybatchException, match=r"set job\.protocol"):
            copied.run(["true"])
    finally:
        protocol.close()


@pytest.mark.requires("sshd")
def test_kerberos_goes_through_the_ssh_program(sshd: SshServer) -> None:
    protocol = SshProtocol(ConnectionParameters("node", gss_auth=True), config_file=str(sshd.config))
    try:
        assert "GSSAPIAuthentication=yes" in protocol._options()
        assert protocol.run(["echo", "a key did it"]) == "a key did it\n"
    finally:
        protocol.close()
    with pytest.raises(PybatchException, match="use SshProtocol"):
        ParamikoProtocol(ConnectionParameters("node", gss_auth=True), config_file=str(sshd.config))
