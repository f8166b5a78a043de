from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.compile.paths import Paths, base_name, safe_name
from hail_batch_jupyter.core.draft import BatchDraft, FileDraft, GroupDraft, InputDraft, JobDraft
from hail_batch_jupyter.core.files import FileKind, FileRef


def batch(*names: str | None) -> BatchDraft:
    """Jobs of these names, numbered from 1."""
    return BatchDraft(1, jobs={uid: JobDraft(uid, "bash", name, {}) for uid, name in enumerate(names, 1)})


@given(st.text())
def test_a_safe_name_is_short_and_harmless(name: str) -> None:
    safe = safe_name(name)

    assert len(safe.encode()) <= 245
    assert all(char.isalnum() or char in "-_" for char in safe)


def test_jobs_have_folders_of_their_own() -> None:
    draft = batch("a b", "a_b", "a b", None, None, "")
    paths = Paths(draft)
    folders = [paths.directory(uid) for uid in draft.jobs]

    assert [folder[:-6] for folder in folders[:3]] == ["a_b", "a_b", "a_b"]
    assert [len(folder) for folder in folders[3:]] == [5, 5, 5]
    assert len(folders) == len(set(folders))


def test_twenty_thousand_unnamed_jobs_have_folders_of_their_own() -> None:
    draft = batch(*[None] * 20_000)
    paths = Paths(draft)

    assert len({paths.directory(uid) for uid in draft.jobs}) == 20_000


def test_a_folder_does_not_change_when_jobs_are_added_or_put_in_another_order() -> None:
    draft = batch("a", "b", "a")
    before = Paths(draft).directory(3)
    draft.jobs = {3: draft.jobs[3], 1: draft.jobs[1], 4: JobDraft(4, "bash", "a", {}), 2: draft.jobs[2]}

    assert before == Paths(draft).directory(3)


def test_files_groups_and_results_lie_in_the_folder_of_their_job() -> None:
    draft = batch("j")
    draft.jobs[1].files = {"o": FileDraft("o", ".txt")}
    draft.jobs[1].groups = {"g": GroupDraft("g", {"x": "p_{root}.x"}, {"x": ".gz"})}
    paths = Paths(draft)
    names = [
        paths.of(FileRef(*ref))[len(paths.directory(1)) + 1 :]
        for ref in [(FileKind.FILE, 1, "o"), (FileKind.FILE, 1, "new"), (FileKind.GROUP, 1, "g"), (FileKind.GROUP, 1, "g", "x"), (FileKind.RESULT, 1, "r")]
    ]

    assert names == ["o.txt", "new", "g", "p_g.x.gz", "r"]


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["/x/d", "/y/d", "/x/2", "/y/2", "/x/3"]), min_size=1))
def test_members_of_an_input_group_keep_their_base_names_and_never_collide(members: dict[str, str]) -> None:
    draft = BatchDraft(1, inputs={1: InputDraft(1, members=members)})
    staged = Paths(draft).staged(1)
    places = {member: staged.paths[member] for member in members}

    assert len(set(places.values())) == len(members)
    assert all(base_name(members[member]) == base_name(place) for member, place in places.items())
    assert not any(one != other and other.startswith(one + "/") for one in places.values() for other in places.values())


def test_base_names_are_those_of_the_source() -> None:
    sources = ["/a/b.txt", "/a/b/", "gs://b/o.x", "https://a.blob.core.windows.net/c/o.x?sas=1", "/"]

    assert [base_name(source) for source in sources] == ["b.txt", "b", "o.x", "o.x", "root"]
