from __future__ import annotations

import pytest

from hail_batch_jupyter.compile.bash import INLINE_BYTES, bash_command, readable, script, shell_words
from hail_batch_jupyter.compile.paths import Paths
from hail_batch_jupyter.core.draft import BatchDraft, JobDraft
from hail_batch_jupyter.core.files import FileKind, FileRef
from hail_batch_jupyter.core.template import Files, Template, Value, Values
from hail_batch_jupyter.errors import BatchException, TemplateError

FILE = FileRef(FileKind.FILE, 1, "o")


def job(*commands: Template, shell: str | None = None) -> JobDraft:
    """A job of these commands."""
    return JobDraft(1, "bash", "j", {}, commands=list(commands), shell=shell)


def test_each_command_is_a_group_on_lines_of_its_own() -> None:
    assert script(job(("a",), ("b # c",)), str) == "set -e\n{\na\n}\n{\nb # c\n}\n"


def test_a_command_of_comments_gets_something_to_do() -> None:
    assert script(job(("# a\n\n # b",)), str) == "set -e\n{\n:\n# a\n\n # b\n}\n"


def test_files_are_paths_below_scratch() -> None:
    assert script(job(("cat ", FILE)), lambda ref: f"d/{ref.name}") == 'set -e\n{\ncat "${BATCH_TMPDIR}"/d/o\n}\n'


def test_an_error_in_a_command_names_its_job() -> None:
    with pytest.raises(TemplateError, match="job 'j': "):
        script(job(("echo ", Value("\0"))), str)


@pytest.mark.parametrize(("size", "inline"), [(INLINE_BYTES - 12, True), (INLINE_BYTES - 11, False)])
def test_a_long_script_lies_in_a_file(size: int, inline: bool) -> None:
    draft = job(("é" * (size // 2) + "x" * (size % 2),))
    command, upload = bash_command(draft, Paths(BatchDraft(1, jobs={1: draft})))

    assert inline == (upload is None)
    assert command[:2] == ("/bin/bash", "-c")


def test_a_shell_may_have_words_of_its_own() -> None:
    assert shell_words(job(shell="/bin/bash -euo pipefail")) == ("/bin/bash", "-euo", "pipefail")
    with pytest.raises(BatchException, match="cannot be split into words"):
        shell_words(job(shell="/bin/bash 'x"))


def test_people_read_values_and_names() -> None:
    template: Template = ("a ", FILE, " ", Files((FILE, FILE)), " ", Value("$x"), " ", Values(("1", "2")))

    assert readable(template, lambda ref: ref.name) == "a {o} {o} {o} $x 1 2"
