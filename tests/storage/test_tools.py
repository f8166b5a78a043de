from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from hail_batch_jupyter.storage.router import file_system
from hail_batch_jupyter.storage.tools import on_node, own_tool
from tests.requirements import ROOT

HEAD = ("python3", "-m")


@pytest.mark.requires("fake-gcs-server")
def test_what_hails_tools_copy_and_delete_is_copied_and_deleted(bucket: str) -> None:
    files = file_system(bucket)
    files.write(f"{bucket}/a/x", b"x")
    pairs = json.dumps([{"from": f"{bucket}/a/x", "to": f"{bucket}/b/y"}])

    for words in (("hailtop.aiotools.copy", "null", pairs), ("hailtop.aiotools.copy", '"lab-1"', pairs), ("hailtop.aiotools.delete", f"{bucket}/a")):
        assert subprocess.run(own_tool([*HEAD, *words]), capture_output=True, timeout=180, check=False).returncode == 0

    assert (files.read(f"{bucket}/b/y"), files.exists(f"{bucket}/a")) == (b"x", False)


def test_the_project_that_pays_is_handed_on() -> None:
    pairs = '[{"from": "gs://b/a", "to": "gs://b/c"}]'

    assert own_tool([*HEAD, "hailtop.aiotools.copy", '"lab-1"', pairs])[-3:] == ("copy", "lab-1", pairs)
    assert own_tool([*HEAD, "hailtop.aiotools.copy", "null", pairs])[-3:] == ("copy", "", pairs)


@pytest.mark.parametrize(
    "words",
    [
        ("hailtop.aiotools.delete", "/etc"),
        ("hailtop.aiotools.delete", "gs://b/a", "file:///etc"),
        ("hailtop.aiotools.copy", "null", '[{"from": "gs://b/a", "to": "/etc/passwd"}]'),
        ("hailtop.aiotools.copy", "null", "no json"),
        ("hailtop.aiotools.copy", "null", '[{"from": 1}]'),
        ("hailtop.aiotools.delete",),
        ("pytest", "gs://b/a"),
    ],
)
def test_other_commands_and_files_of_the_machine_are_left_to_containers(words: tuple[str, ...]) -> None:
    assert own_tool([*HEAD, *words]) == ()


def test_a_node_without_the_environment_of_the_service_says_so() -> None:
    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(on_node(command), capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)})

    none, there = run("/no/such/python", "-m", "x"), run(sys.executable, "-c", "print('a  b')")

    assert (none.returncode, none.stdout) == (1, "")
    assert "has no /no/such/python with hail_batch_jupyter" in none.stderr and "install the service where the nodes see it" in none.stderr
    assert (there.returncode, there.stdout, there.stderr) == (0, "a  b\n", "")
    assert on_node(()) == ()
