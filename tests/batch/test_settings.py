from __future__ import annotations

from typing import Any

import pytest

from hail_batch_jupyter.batch import Batch
from hail_batch_jupyter.batch.backend import Backend
from hail_batch_jupyter.core.spec import Request
from hail_batch_jupyter.errors import BatchException, CapabilityError, UnitError


class AnyBackend(Backend[None]):
    """Has every option, and never runs."""

    name = "any"
    capabilities = frozenset({"timeout", "always_copy_output", "regions", "cloudfuse"})

    def submit(self, spec: Any, options: Any) -> None:
        raise AssertionError("describing does not run")


def test_every_setter_gives_the_job_back(b: Batch) -> None:
    j, k = b.new_job(), b.new_job()
    chained = j.storage("1Gi").memory("standard").cpu(2).always_run().n_max_attempts(3).spot(True).image("i").depends_on(k).command("true")

    assert j is chained.env("A", 1).timeout(5).always_copy_output()


def test_none_clears_cpu_memory_storage_and_timeout(b: Batch) -> None:
    b.new_job().cpu(2).memory("1Gi").storage("5G").timeout(5).cpu(None).memory(None).storage(None).timeout(None)
    job = b.compile().jobs[0]

    assert (Request(), None) == (job.request, job.timeout_s)


@pytest.mark.parametrize(
    ("setter", "value", "message"),
    [
        pytest.param("cpu", "junk", "invalid value for cpu: 'junk'; write cores", id="cpu"),
        pytest.param("cpu", 0, "invalid value for cpu", id="no-cpu"),
        pytest.param("memory", "3Gb", "unknown suffix 'Gb'.*Gi.*highmem", id="memory"),
        pytest.param("storage", "much", "storage 'much' is not a size", id="storage"),
        pytest.param("timeout", "soon", "timeout 'soon' is not a duration", id="timeout"),
        pytest.param("timeout", -5, "timeout '-5' is not a duration", id="timeout-below-zero"),
        pytest.param("n_max_attempts", 0, "n_max_attempts 0", id="no-attempts"),
    ],
)
def test_a_malformed_value_is_refused_at_the_call(b: Batch, setter: str, value: object, message: str) -> None:
    j = b.new_job()

    with pytest.raises(UnitError, match=message) as caught:
        getattr(j, setter)(value)

    assert isinstance(caught.value, ValueError)


def test_quantities_reach_the_spec(b: Batch) -> None:
    b.new_job().cpu("250m").memory("500Mi").storage("1G").spot(False).timeout("2m").n_max_attempts(4)
    job = b.compile().jobs[0]

    asked = (("cpu", "250m"), ("memory", "500Mi"), ("storage", "1G"))
    assert Request(250, 500 << 20, 10**9, None, False, asked=asked) == job.request
    assert (job.timeout_s, job.n_max_attempts) == (120.0, 4)


@pytest.mark.parametrize("option", ["regions", "cloudfuse"])
def test_an_option_of_the_service_is_refused_here(b: Batch, option: str) -> None:
    j = b.new_job()
    args = {"regions": (["us"],), "cloudfuse": ("", "/mnt")}[option]

    with pytest.raises(CapabilityError, match=f"A ServiceBackend is required to use the '{option}' option"):
        getattr(j, option)(*args)


def test_options_of_the_service_reach_the_spec_where_they_exist() -> None:
    b = Batch(backend=AnyBackend())
    b.new_job().regions(["r"]).cloudfuse("bucket", "/a").cloudfuse("other", "/b", read_only=False).always_copy_output()
    job = b.compile().jobs[0]

    assert (job.regions, job.cloudfuse, job.always_copy_output) == (("r",), (("bucket", "/a", True), ("other", "/b", False)), True)


def test_cloudfuse_refuses_empty_names_and_gcsfuse_is_its_old_name() -> None:
    j = Batch(backend=AnyBackend()).new_job()

    with pytest.raises(BatchException, match="mount_point cannot be the empty string"):
        j.cloudfuse("bucket", "")
    with pytest.warns(UserWarning, match="cloudfuse"):
        j.gcsfuse("bucket", "/mnt", False)


@pytest.mark.parametrize("name", ["", "A=B", "A\0", 5])
def test_an_impossible_variable_is_refused(b: Batch, name: str) -> None:
    with pytest.raises(BatchException, match="cannot be the name of an environment variable"):
        b.new_job().env(name, "x")


def test_values_of_variables_become_text_and_the_last_counts(b: Batch) -> None:
    b.new_job().env("A", 1).env("A", 2).env("B", "x; y")

    assert b.compile().jobs[0].env == {"A": "2", "B": "x; y"}


@pytest.mark.parametrize("name", ["memory", "storage"])
def test_a_few_bytes_are_remarked_since_gibibytes_were_meant(b: Batch, name: str) -> None:
    with pytest.warns(UserWarning, match=f"{name} 4 is 4 bytes; for gibibytes write '4Gi'") as caught:
        getattr(b.new_job(), name)(4)
    assert caught[0].filename == __file__

    for value in ("4Gi", 4_000_000_000, 0, "lowmem" if name == "memory" else "5M"):
        getattr(b.new_job(), name)(value)
