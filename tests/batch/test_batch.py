from __future__ import annotations

import copy
from pathlib import Path

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.batch.job import BashJob, Job, PythonJob
from hail_batch_jupyter.errors import BatchException, ConfigError, UnitError


def test_the_package_exposes_the_names_of_hailtop_that_exist() -> None:
    for name in hb.__all__:
        assert getattr(hb, name).__name__ == name


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"Bach"):
        _ = hb.Bach


def test_name_is_no_attribute_of_a_batch() -> None:
    with pytest.raises(BatchException, match=r"'name' is not a valid attribute"):
        hb.Batch(attributes={"name": "x"})


def test_without_a_backend_a_batch_takes_the_local_one(b: hb.Batch) -> None:
    assert isinstance(b.backend, hb.LocalBackend)


def test_the_environment_names_the_backend_and_an_unknown_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_BATCH_BACKEND", "nonsense")

    with pytest.raises(ConfigError, match=r"'nonsense' is not known; use one of: .*local") as caught:
        hb.Batch()

    assert isinstance(caught.value, ValueError)


def test_default_images_go_to_their_kind_of_job() -> None:
    b = hb.Batch(default_image="i", default_python_image="p")

    assert (b.new_job().job_draft.image, b.new_python_job().job_draft.image) == ("i", "p")


def test_defaults_are_applied_when_a_job_is_made() -> None:
    b = hb.Batch(default_cpu=2, default_memory="1Gi", default_storage="5Gi", default_timeout=60, default_shell="/bin/sh", default_spot=True)
    draft, other = b.new_job().job_draft, b.new_python_job().job_draft

    assert (draft.cpu, draft.memory, draft.storage, draft.timeout_s, draft.shell, draft.spot) == ("2", "1Gi", "5Gi", 60.0, "/bin/sh", True)
    assert (other.cpu, other.shell) == ("2", None)


def test_default_regions_are_refused_by_a_backend_without_regions() -> None:
    b = hb.Batch(default_regions=[])

    with pytest.raises(NotImplementedError, match=r"A ServiceBackend is required to use the 'regions' option"):
        b.new_job()


def test_the_project_is_deprecated() -> None:
    with pytest.warns(UserWarning, match=r"requester_pays_project"):
        hb.Batch(project="p")


@pytest.mark.parametrize("limit", [0, -1, "3"])
def test_a_failure_limit_is_a_number_of_jobs(limit: int) -> None:
    with pytest.raises(UnitError, match=r"cancel_after_n_failures"):
        hb.Batch(cancel_after_n_failures=limit)


def test_select_jobs_matches_the_start_of_names_only(b: hb.Batch) -> None:
    first = b.new_job("qc1")
    b.new_job("my-qc")
    b.new_job()
    renamed = b.new_job("other")
    renamed.name = "qc-late"

    assert [first, renamed] == b.select_jobs("qc")


def test_jobs_and_batches_have_short_representations_and_opaque_text(b: hb.Batch) -> None:
    j = b.new_job("fit")

    assert (repr(j), repr(b)) == ("<BashJob fit>", "<Batch b: 1 jobs>")
    assert str(j) != str(b.new_job())


def test_new_job_is_new_bash_job(b: hb.Batch) -> None:
    assert isinstance(b.new_job(), BashJob)
    assert isinstance(b.new_bash_job(), BashJob)
    assert isinstance(b.new_python_job(), PythonJob)


def test_attributes_of_jobs_are_theirs_alone(b: hb.Batch) -> None:
    given = {"a": "1"}
    j = b.new_job(attributes=given)
    given["a"] = "2"

    assert {"a": "1"} == dict(b.compile().jobs[0].attributes) == j.attributes


@pytest.mark.parametrize("bad", [5, None, "ftp://h/x", "http://h/x", "https://example.com/x", ""])
def test_an_input_of_an_unknown_kind_is_a_value_error(b: hb.Batch, bad: str) -> None:
    with pytest.raises(ValueError, match=r"path|url"):
        b.read_input(bad)


@pytest.mark.parametrize("good", ["a.txt", Path("a.txt"), "file:///a", "gs://bucket/a", "s3://bucket/a", "https://account.blob.core.windows.net/c/a?sas"])
def test_inputs_of_known_kinds_are_accepted_unseen(b: hb.Batch, good: str | Path) -> None:
    assert b.read_input(good).source() is None


def test_each_read_input_makes_a_resource_of_its_own(b: hb.Batch) -> None:
    assert b.read_input("x") != b.read_input("x")


def test_only_resources_can_be_written_out(b: hb.Batch) -> None:
    j = b.new_job()
    j.command(f"touch {j.o}")

    with pytest.raises(BatchException, match=r"'write_output' only accepts Resource inputs"):
        b.write_output(str(j.o) + "", "f")  # type: ignore[arg-type]  # a token is no resource


def test_a_file_that_nobody_makes_cannot_be_written_out(b: hb.Batch) -> None:
    with pytest.raises(BatchException, match=r"undefined resource 'never'"):
        b.write_output(b.new_job().never, "f")


def test_a_file_of_another_batch_cannot_be_written_out(b: hb.Batch) -> None:
    other = hb.Batch(name="other")
    j = other.new_job().command("true")
    j.command(f"touch {j.o}")

    with pytest.raises(BatchException, match=r"batch 'other', not to batch 'b'"):
        b.write_output(j.o, "f")


def test_destinations_are_resolved_when_they_are_named(b: hb.Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    j = b.new_job()
    j.command(f"touch {j.o}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/u")
    b.write_output(j.o, "relative.txt")
    b.write_output(j.o, Path("~/of-home.txt"))
    b.write_output(j.o, "gs://bucket/x")
    b.write_output(j.o, "relative.txt")
    monkeypatch.chdir("/")

    assert [f"{tmp_path}/relative.txt", "/home/u/of-home.txt", "gs://bucket/x"] == [copy.dest for copy in b.compile().jobs[0].outputs]


def test_copying_a_job_works_and_copying_a_file_gives_the_same(b: hb.Batch) -> None:
    j = b.new_job("fit")

    assert copy.copy(j).name == "fit"
    assert copy.copy(j.o) is j.o
    assert copy.deepcopy([j.o]) == [j.o]


def test_a_loop_over_a_job_is_refused(b: hb.Batch) -> None:
    with pytest.raises(TypeError, match=r"not iterable"):
        list(b.new_job())  # type: ignore[call-overload]  # what is tested


@pytest.mark.parametrize("probe", ["_repr_html_", "_ipython_display_", "__array__", "_private"])
def test_names_with_a_leading_underscore_are_no_files(b: hb.Batch, probe: str) -> None:
    assert not hasattr(b.new_job(), probe)


def test_looking_at_names_does_not_make_files(b: hb.Batch) -> None:
    j = b.new_job()
    hasattr(j, "shape")

    assert j.job_draft.files == {}


def test_a_misspelt_method_is_said_to_be_one(b: hb.Batch) -> None:
    with pytest.raises(TypeError, match=r"no method 'commnad', did you mean 'command'?"):
        b.new_job().commnad("x")


def test_depends_on_refuses_what_is_no_job_of_this_batch(b: hb.Batch) -> None:
    j = b.new_job("j")

    with pytest.raises(BatchException, match=r"depends_on takes jobs"):
        j.depends_on("k")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(BatchException, match=r"job 'j' of batch 'b' cannot depend on job 'k' of batch 'other'"):
        j.depends_on(hb.Batch(name="other").new_job("k"))


def test_names_of_hailtop_that_existing_code_touches(b: hb.Batch) -> None:
    j, k = b.new_job("j"), b.new_job("k")
    j.command(f"touch {j.o}")
    k.command(f"cat {j.o}").cpu(1).memory("1Gi").storage("2Gi").image("i").spot(False)
    setattr(k, "_machine_type", "n1")  # noqa: B010 - as code for hailtop does it, whose name is private

    of_batch = {"_jobs": [j, k], "_backend": b.backend, "_unsubmitted_jobs": [j, k]}
    of_j = {"_mentioned": {j.o}, "_internal_outputs": {j.o}, "_external_outputs": set(), "_client_job": None, "_job_id": None, "_submitted": False}
    of_k = {"_dependencies": {j}, "_inputs": {j.o}, "_cpu": "1", "_memory": "1Gi", "_storage": "2Gi", "_image": "i", "_preemptible": False, "_regions": None}
    for owner, names in ((b, of_batch), (j, of_j), (k, of_k)):
        assert {name: getattr(owner, name) for name in names} == names
    assert b.compile().jobs[1].request.machine_type == "n1"


def test_job_classes_are_one_family() -> None:
    assert issubclass(BashJob, Job)
    assert issubclass(PythonJob, Job)
