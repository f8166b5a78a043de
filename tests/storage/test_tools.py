from __future__ import annotations

import json
import subprocess

import pytest

from hail_batch_jupyter.storage.router import file_system
from hail_batch_jupyter.storage.tools import own_tool

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
