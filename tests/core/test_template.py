from __future__ import annotations

import pytest

from hail_batch_jupyter.core.files import FileKind, FileRef
from hail_batch_jupyter.core.template import Files, Value, Values, refs_of

BAM = FileRef(FileKind.FILE, 1, "bam")
INDEX = FileRef(FileKind.GROUP, 1, "ref", "fai")
INPUT = FileRef(FileKind.INPUT, 9)


def test_the_files_of_a_command_are_found_in_order_and_once() -> None:
    pieces = ("cat ", BAM, Value("x"), Values(("a", "b")), Files((INPUT, BAM)), INDEX, BAM)

    assert refs_of(pieces) == (BAM, INPUT, INDEX)


@pytest.mark.parametrize(
    ("kind", "made"), [(FileKind.FILE, True), (FileKind.GROUP, True), (FileKind.RESULT, True), (FileKind.INPUT, False), (FileKind.INPUT_GROUP, False)]
)
def test_files_groups_and_results_are_made_by_jobs(kind: FileKind, made: bool) -> None:
    assert FileRef(kind, 1).made_by_job is made


def test_the_whole_of_a_member_is_its_group_and_of_a_file_itself() -> None:
    assert INDEX.whole == FileRef(FileKind.GROUP, 1, "ref")
    assert BAM.whole == BAM
