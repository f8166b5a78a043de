from __future__ import annotations

import json
import pickle

import pytest

from hail_batch_jupyter.batch import Batch, PythonResult, Resource, ResourceFile, ResourceGroup
from hail_batch_jupyter.batch.resource import InputResourceFile, JobResourceFile
from hail_batch_jupyter.errors import BatchException


def test_a_file_is_one_object_under_its_name(b: Batch) -> None:
    j = b.new_job()

    assert j.o is j["o"] is j.o
    assert all(isinstance(j.o, kind) for kind in (str, JobResourceFile, ResourceFile, Resource))
    assert j.o.source() is j


def test_names_of_methods_are_files_in_brackets(b: Batch) -> None:
    assert isinstance(b.new_job()["command"], JobResourceFile)


def test_resources_say_where_they_come_from(b: Batch) -> None:
    p = b.new_python_job()
    r, i, g = p.call(abs, 1), b.read_input("x"), b.read_input_group(a="x")

    assert [isinstance(r, PythonResult), isinstance(i, InputResourceFile), isinstance(g, ResourceGroup), isinstance(g, str)] == [True, True, True, False]
    assert [r.source(), i.source(), g.source()] == [p, None, None]


def test_a_token_survives_json(b: Batch) -> None:
    j = b.new_job()

    assert str(j.o) == json.loads(json.dumps({"a": j.o}))["a"]


def test_a_group_has_members_only(b: Batch) -> None:
    g = b.read_input_group(ref="x", source_file="y")

    assert g.ref is g["ref"]
    assert not hasattr(g, "nope")
    assert not hasattr(g, "_repr_html_")
    with pytest.raises(BatchException, match=r"'nope' not found in the resource group.*'ref', 'source_file'"):
        _ = g.nope
    with pytest.raises(BatchException, match=r"not found in the resource group"):
        g["nope"]


def test_a_group_is_no_sequence_and_is_true(b: Batch) -> None:
    g = b.read_input_group()

    assert g
    with pytest.raises(TypeError):
        iter(g)  # type: ignore[call-overload]  # what is tested
    with pytest.raises(TypeError):
        len(g)  # type: ignore[arg-type]  # what is tested


def test_a_group_joins_with_text_only(b: Batch) -> None:
    g = b.read_input_group(a="x")

    assert f"--b={g}.a" == "--b=" + (g + ".a")
    with pytest.raises(TypeError):
        g + 5  # type: ignore[operator]  # what is tested


def test_an_input_group_in_an_f_string_is_a_dependency(b: Batch) -> None:
    g = b.read_input_group(bed="/d/x.bed")
    b.new_job().command("plink " + ("--bfile=" + g))

    assert [copy.source for copy in b.compile().jobs[0].inputs] == ["/d/x.bed", "/d/x.bed"]


def test_a_result_cannot_be_called(b: Batch) -> None:
    with pytest.raises(TypeError, match=r"its value after the run is .result\(\)"):
        b.new_python_job().call(abs, 1)()


@pytest.mark.parametrize("what", ["job", "file", "result", "input"])
def test_handles_refuse_to_be_pickled_in_words(b: Batch, what: str) -> None:
    p = b.new_python_job("p")
    handle = {"job": p, "file": p.o, "result": p.call(abs, 1), "input": b.read_input("x.txt")}[what]

    with pytest.raises(BatchException, match=r"cannot be pickled.*pass"):
        pickle.dumps(handle)


@pytest.mark.parametrize("extension", ["", 5, "/x"])
def test_an_extension_ends_a_file_name(b: Batch, extension: str) -> None:
    with pytest.raises(BatchException, match=r"cannot end a file name"):
        b.new_job().o.add_extension(extension)


def test_many_files_of_a_job_are_each_made_once() -> None:
    j = Batch().new_job()
    files = [j[f"out{number}"] for number in range(30)]

    assert all(j[f"out{number}"] is file for number, file in enumerate(files))
    assert len(set(files)) == 30


def test_a_group_takes_the_place_of_a_file_that_was_only_looked_at() -> None:
    j = Batch().new_job()
    others = [j[f"out{number}"] for number in range(3)]
    assert isinstance(j.pair, JobResourceFile)
    j.declare_resource_group(pair={"a": "{root}.a"})

    assert isinstance(j.pair, ResourceGroup)
    assert [j.out0, j.out1, j.out2] == others


def test_extensions_of_jobs_with_files_of_one_name_stay_apart() -> None:
    b = Batch()
    one, other = b.new_job(), b.new_job()
    for j in (one, other):
        j.command(f"echo > {j.out}")
    one.out.add_extension(".txt")
    b.write_output(one.out, "/x/one")
    b.write_output(other.out, "/x/other")
    sources = [job.outputs[0].source.rsplit("/", 1)[-1] for job in b.compile().jobs]

    assert sources == ["out.txt", "out"]


def test_attributes_of_a_job_are_its_own() -> None:
    b = Batch()
    one, other = b.new_job(), b.new_job()
    one.attributes["lab"] = "north"

    assert (one.attributes, other.attributes) == ({"lab": "north"}, {})
    assert dict(b.compile().jobs[0].attributes) == {"lab": "north"}
