from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hail_batch_jupyter.observe import owner, procfs


def change(directory: Path, **facts: object) -> None:
    path = directory / "owner"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


def test_nobody_owns_a_run_without_a_note(tmp_path: Path) -> None:
    assert owner.read_owner(tmp_path) is None
    assert not owner.owner_alive(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_a_note_that_cannot_be_read_is_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "owner").write_text(text)

    assert not owner.owner_alive(tmp_path)


def test_a_living_owner_is_alive_and_an_ended_one_is_not_even_as_a_zombie(tmp_path: Path) -> None:
    process = subprocess.Popen(["/bin/sleep", "1000"])
    owner.write_owner(tmp_path, process.pid)
    seen = [owner.owner_alive(tmp_path)]
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    seen.append(owner.owner_alive(tmp_path))
    process.wait()
    seen.append(owner.owner_alive(tmp_path))

    assert seen == [True, False, False]


def test_another_process_with_the_number_of_the_owner_is_not_the_owner(tmp_path: Path) -> None:
    owner.write_owner(tmp_path, os.getpid())
    change(tmp_path, ticks=procfs.start_ticks(os.getpid()) - 1)

    assert not owner.owner_alive(tmp_path)


def test_an_owner_of_an_earlier_boot_of_this_host_is_dead(tmp_path: Path) -> None:
    owner.write_owner(tmp_path, os.getpid())
    change(tmp_path, boot="another")

    assert not owner.owner_alive(tmp_path)


@pytest.mark.parametrize(("age_s", "alive"), [(0, True), (owner.SILENT_S - 5, True), (owner.SILENT_S + 5, False)])
def test_an_owner_on_another_host_lives_as_long_as_his_heart_beats(tmp_path: Path, age_s: float, alive: bool) -> None:
    owner.write_owner(tmp_path, os.getpid())
    change(tmp_path, host="elsewhere", boot="another")
    then = time.time() - age_s
    os.utime(tmp_path / "owner", (then, then))

    assert owner.owner_alive(tmp_path) is alive
    owner.beat(tmp_path)
    assert owner.owner_alive(tmp_path)


def test_only_one_takes_a_dead_run_over(tmp_path: Path) -> None:
    owner.write_owner(tmp_path, 1)

    note = owner.take_over(tmp_path)

    assert note is not None
    assert note.exists()
    assert owner.take_over(tmp_path) is None


def test_the_note_of_a_runner_replaces_an_older_one_in_one_step(tmp_path: Path) -> None:
    owner.write_owner(tmp_path, 1)
    with (tmp_path / "owner").open() as reader:
        owner.write_owner(tmp_path, 2, guard=os.getpid())

        assert json.load(reader)["pid"] == 1
    assert os.listdir(tmp_path) == ["owner"]
    assert json.loads((tmp_path / "owner").read_text())["pid"] == 2


def test_the_note_of_a_maker_gives_way_to_that_of_the_runner(tmp_path: Path) -> None:
    owner.write_owner(tmp_path, 2, guard=os.getpid())
    owner.write_owner(tmp_path, 1)

    assert os.listdir(tmp_path) == ["owner"]
    assert json.loads((tmp_path / "owner").read_text())["pid"] == 2


def test_a_guard_is_known_by_number_and_start(tmp_path: Path) -> None:
    guard = subprocess.Popen(["/bin/sleep", "1000"])
    try:
        owner.write_owner(tmp_path, 1)
        seen = [owner.guard_alive(tmp_path)]
        owner.write_owner(tmp_path, 1, guard=guard.pid)
        seen.append(owner.guard_alive(tmp_path))
        change(tmp_path, guard_ticks=1)
        seen.append(owner.guard_alive(tmp_path))
    finally:
        guard.kill()
        guard.wait()

    assert seen == [False, True, False]


def test_the_facts_of_a_process_are_read_whatever_its_name(tmp_path: Path) -> None:
    program = tmp_path / "a b) (c"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(program), "1000"], start_new_session=True, env={"COLOUR": "blue"})
    try:
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        facts = procfs.stat(process.pid)
        environment = procfs.environment(process.pid)
        ours = procfs.processes_of("COLOUR", "blue")
    finally:
        process.kill()
        process.wait()

    assert facts is not None
    assert (facts.parent, facts.session, facts.zombie) == (os.getpid(), process.pid, False)
    assert abs(procfs.started_ms(facts) - time.time() * 1000) < 60_000
    assert environment == {b"COLOUR": b"blue", b"": b""} or environment[b"COLOUR"] == b"blue"
    assert ours == [process.pid]
    assert procfs.stat(process.pid) is None
    assert procfs.environment(process.pid) == {}
