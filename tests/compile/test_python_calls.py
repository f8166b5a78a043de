from __future__ import annotations

import pickle
import sys
from typing import Any

import dill
import pytest

from hail_batch_jupyter.batch import Batch
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.errors import BatchException


def calls_of(spec: BatchSpec, number: int = 0) -> list[dict[str, Any]]:
    """The calls that were packed for a job."""
    dest = f"${{BATCH_TMPDIR}}/{spec.jobs[number].calls}"
    loaded: list[dict[str, Any]] = pickle.loads(next(upload.data for upload in spec.uploads if upload.dest == dest))
    return loaded


def test_a_job_has_its_calls_and_a_command_for_places_without_a_warm_interpreter() -> None:
    b = Batch()
    p = b.new_python_job("p")
    p.call(abs, -1).as_json()
    p.call_named(dict, ["a", "b"])
    spec = b.compile()
    job = spec.jobs[0]
    first, second = calls_of(spec)

    assert ("python3", "${BATCH_TMPDIR}/functions/call_runner.py", f"${{BATCH_TMPDIR}}/args/{job.directory}.calls") == job.command
    assert tuple(f"{job.directory}/{name}" for name in ("result1", "a", "b")) == job.results
    assert ([f"{job.directory}/result1"], [(0, "json", f"{job.directory}/result1-json.json")], False, "abs") == tuple(
        first[key] for key in ("results", "forms", "named", "title")
    )
    assert (second["names"], second["named"]) == (["a", "b"], True)
    assert first["made_with"] == {"python": f"{sys.version_info[0]}.{sys.version_info[1]}", "dill": dill.__version__}


def test_every_upload_has_a_place_of_its_own() -> None:
    b = Batch()
    for n in range(3):
        b.new_python_job("p").call(lambda x: x, n)
    places = [upload.dest for upload in b.compile().uploads]

    assert len(places) == len(set(places))


def test_a_file_of_another_batch_put_in_later_is_found_when_the_batch_runs() -> None:
    b, other = Batch(), Batch(name="other")
    values: list[Any] = []
    b.new_python_job("p").call(print, values)
    values.append(other.new_python_job().call(abs, 1))

    with pytest.raises(BatchException, match="job 'p' has 'result1' of another batch among its arguments"):
        b.compile()


def test_a_file_put_where_nobody_looks_later_is_refused_when_the_batch_runs() -> None:
    b = Batch()
    values: set[Any] = set()
    p, j = b.new_python_job("p"), b.new_job("j")
    p.call(print, values)
    values.add(j)

    with pytest.raises(BatchException, match=r"job 'p': function 'print' cannot be sent to a job: argument 1 is a set.*pass its files or results"):
        b.compile()


def test_a_function_that_uses_a_global_that_cannot_travel_is_told_which() -> None:
    space: dict[str, Any] = {"__name__": "__main__", "stream": (n for n in [])}
    exec("def f():\n    return next(stream)", space)
    b = Batch()
    b.new_python_job("p").call(space["f"])

    with pytest.raises(
        BatchException, match=r"function 'f' cannot be sent to a job: its global variable 'stream' is a generator.*; make it inside the function"
    ):
        b.compile()
