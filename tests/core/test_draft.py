"""What jobs share until one of them says more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.core.draft import FileDraft, JobDraft, Refs, one_file, with_entry, with_item, with_ref
from hail_batch_jupyter.core.files import FileKind, FileRef


def job() -> JobDraft:
    return JobDraft(1, "bash", None)


def test_what_one_job_says_is_not_said_by_another_that_began_with_the_same() -> None:
    one, other = job(), job()
    one.env = with_entry(one.env, "A", "1")
    one.env = with_entry(one.env, "B", "2")
    one.files, other.files = one_file("out"), one_file("out")
    one.files = with_entry(one.files, "log", FileDraft("log"))

    assert one.env == {"A": "1", "B": "2"}
    assert not other.env
    assert list(one.files) == ["out", "log"]
    assert list(other.files) == ["out"]


@given(st.lists(st.integers()))
def test_items_and_entries_grow_in_order(numbers: list[int]) -> None:
    items, entries = job().outputs, job().depends_on
    for number in numbers:
        items = with_item(items, number)  # type: ignore[type-var,assignment] # any value will do here
        entries = with_entry(entries, number, str(number))

    assert numbers == list(items)
    assert list(dict.fromkeys(numbers)) == list(entries)


@given(st.sets(st.integers(0, 50)))
def test_few_and_many_references_are_found_and_stay_in_order(owners: set[int]) -> None:
    wanted = [FileRef(FileKind.FILE, owner, "out") for owner in owners]
    refs: Refs = ()
    for ref in wanted:
        assert ref not in refs
        refs = with_ref(refs, ref)

    assert wanted == list(refs)
    assert all(ref in refs for ref in wanted)
