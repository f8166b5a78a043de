from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.core.retry import Retry
from hail_batch_jupyter.core.spec import SPEC_VERSION, BatchSpec, Budget, Edge, JobSpec, Request, Transfer, Upload, from_json, to_json

SECRET = "correct-horse-battery-staple"
words = st.text(st.characters(codec="utf-8"), max_size=6)
names = st.text("abcdefgh", min_size=1, max_size=6)
paths = st.lists(words, max_size=3).map(tuple)
transfers = st.lists(st.builds(Transfer, words, words, words), max_size=2).map(tuple)
requests = st.builds(
    Request,
    cpu_mcpu=st.none() | st.integers(1, 10**6),
    memory_bytes=st.none() | st.integers(0, 2**50),
    storage_bytes=st.none() | st.integers(0, 2**50),
    machine_type=st.none() | words,
    spot=st.none() | st.booleans(),
    gpus=st.integers(0, 8),
)
jobs = st.builds(
    JobSpec,
    job_id=st.just(1),
    key=words,
    name=st.none() | words,
    kind=st.sampled_from(["bash", "python"]),
    command=paths,
    directory=words,
    env=st.dictionaries(names, st.just(SECRET), max_size=2),
    image=st.none() | words,
    inputs=transfers,
    outputs=transfers,
    needs=paths,
    promises=paths,
    results=paths,
    calls=st.none() | words,
    parents=st.lists(st.builds(Edge, st.integers(1, 99), st.sampled_from(["success", "end"])), max_size=3).map(tuple),
    request=requests,
    always_run=st.booleans(),
    always_copy_output=st.booleans(),
    n_max_attempts=st.integers(1, 30),
    timeout_s=st.none() | st.floats(0.1, 1e6),
    regions=st.none() | st.lists(words, max_size=2).map(tuple),
    cloudfuse=st.lists(st.tuples(words, words, st.booleans()), max_size=2).map(tuple),
    attributes=st.dictionaries(words, words, max_size=2),
    user_code=words,
    uid=st.integers(0, 99),
    retry=st.none()
    | st.builds(
        Retry,
        st.integers(2, 9),
        delay_s=st.floats(0, 60),
        growth=st.floats(1, 4),
        max_delay_s=st.floats(60, 3600),
        memory_factor=st.floats(1, 4),
        no_spot_after=st.none() | st.integers(1, 9),
    ),
)
specs = st.builds(
    BatchSpec,
    card=st.none() | st.dictionaries(words, words | st.integers() | st.booleans(), max_size=3),
    budget=st.none() | st.builds(Budget, st.floats(0.01, 1e9), st.lists(st.integers(0, 1 << 40), max_size=3).map(tuple)),
    name=st.none() | words,
    jobs=st.lists(jobs, max_size=3).map(lambda made: tuple(job._replace(job_id=index) for index, job in enumerate(made, 1))),
    attributes=st.dictionaries(words, words, max_size=2),
    uploads=st.just((Upload("${BATCH_TMPDIR}/x", SECRET.encode()),)),
    external=transfers,
    previous_run=st.none() | words,
    lineage=words,
    cancel_after_n_failures=st.none() | st.integers(1, 9),
    callback=st.none() | words,
    token=st.none() | words,
    billing_project=st.none() | words,
    requester_pays_project=st.none() | words,
    done=st.dictionaries(st.integers(1, 9), st.sampled_from(["Success", "Failed"]), max_size=2),
)


def without_secrets(spec: BatchSpec) -> BatchSpec:
    cleaned = tuple(job._replace(env=dict.fromkeys(job.env, "")) for job in spec.jobs)
    return spec._replace(jobs=cleaned, uploads=())


@given(specs)
def test_a_spec_comes_back_from_json_without_values_of_env_and_without_uploads(spec: BatchSpec) -> None:
    text = json.dumps(to_json(spec))

    assert from_json(json.loads(text)) == without_secrets(spec)


@given(specs)
def test_values_of_env_and_bytes_of_uploads_are_never_in_json(spec: BatchSpec) -> None:
    assert SECRET not in json.dumps(to_json(spec))


@given(specs)
def test_writing_a_spec_twice_gives_the_same_text(spec: BatchSpec) -> None:
    assert json.dumps(to_json(spec)) == json.dumps(to_json(spec))


def test_the_version_comes_first() -> None:
    assert next(iter(to_json(BatchSpec(None, ())).items())) == ("version", SPEC_VERSION)


def test_a_spec_that_is_read_is_hashable_where_it_was() -> None:
    job = JobSpec(1, "k", None, "bash", ("true",), "d", parents=(Edge(3, "end"),), cloudfuse=(("b", "/b", True),), regions=("r",))

    read = from_json(json.loads(json.dumps(to_json(BatchSpec(None, (job,)))))).jobs[0]

    assert read == job
    assert {read.parents, read.command, read.cloudfuse, read.regions} == {job.parents, job.command, job.cloudfuse, job.regions}


def test_a_job_is_found_by_its_number() -> None:
    jobs_of_later_run = tuple(JobSpec(job_id, "k", None, "bash", (), "d") for job_id in (5, 6))
    spec = BatchSpec(None, jobs_of_later_run)

    assert spec.job(6).job_id == 6
    for missing in (0, 4, 7, -1):
        with pytest.raises(KeyError, match=str(missing)):
            spec.job(missing)
    with pytest.raises(KeyError, match="1"):
        BatchSpec(None, ()).job(1)


def test_a_job_without_a_name_is_shown_by_its_number() -> None:
    job = JobSpec(7, "k", None, "bash", (), "d")

    assert job.display_name == "job 7"
    assert job._replace(name="fit").display_name == "fit"
