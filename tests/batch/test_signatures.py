"""Names, order, defaults and kinds of parameters, as scripts for hailtop rely on them."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from typing import Any

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.batch import backend, hail_genetics_images
from hail_batch_jupyter.batch import globals as constants
from hail_batch_jupyter.batch.batch import Batch
from hail_batch_jupyter.batch.job import BashJob, Job, PythonJob
from hail_batch_jupyter.batch.resource import InputResourceFile, JobResourceFile, PythonResult, Resource, ResourceFile, ResourceGroup

SETTERS = {
    "always_copy_output": "always_copy_output=True",
    "always_run": "always_run=True",
    "cloudfuse": "bucket, mount_point, *, read_only=True",
    "cpu": "cores",
    "depends_on": "*jobs",
    "env": "variable, value",
    "gcsfuse": "bucket, mount_point, read_only=True",
    "memory": "memory",
    "n_max_attempts": "n_max_attempts",
    "regions": "regions",
    "spot": "is_spot",
    "storage": "storage",
    "timeout": "timeout",
}

SIGNATURES: dict[Any, dict[str, str]] = {
    Batch: {
        "__init__": "name=None, backend=None, attributes=None, requester_pays_project=None, default_image=None, default_memory=None, default_cpu=None, "
        "default_storage=None, default_regions=None, default_timeout=None, default_shell=None, default_python_image=None, default_spot=None, "
        "project=None, cancel_after_n_failures=None, *, default_retry=None",
        "new_bash_job": "name=None, attributes=None, shell=None",
        "new_job": "name=None, attributes=None, shell=None",
        "new_python_job": "name=None, attributes=None",
        "read_input": "path",
        "read_input_group": "**kwargs",
        "run": "dry_run=False, verbose=False, delete_scratch_on_exit=True, **backend_kwargs",
        "select_jobs": "pattern",
        "write_output": "resource, dest",
    },
    Job: SETTERS,
    BashJob: {**SETTERS, "command": "command", "declare_resource_group": "**mappings", "image": "image"},
    PythonJob: {**SETTERS, "call": "unapplied, /, *args, **kwargs", "image": "image"},
    Resource: {"source": ""},
    ResourceGroup: {"source": ""},
    InputResourceFile: {"source": ""},
    JobResourceFile: {"source": "", "add_extension": "extension"},
    PythonResult: {"source": "", "as_str": "", "as_json": "", "as_repr": ""},
    hb.Backend: {"close": "", "async_close": "", "validate_file": "uri, requester_pays_config=None"},
}

FUNCTIONS = {
    "concatenate": "b, files, image=None, branching_factor=100",
    "plink_merge": "b, bfiles, image=None, branching_factor=100",
    "build_python_image": "fullname, requirements=None, python_version=None, slim=True, _tmp_dir='/tmp', *, show_docker_output=False",
}

MODULES = {
    "batch": ["Batch"],
    "job": ["BashJob", "Job", "PythonJob"],
    "resource": ["InputResourceFile", "JobResourceFile", "PythonResult", "Resource", "ResourceFile", "ResourceGroup", "ResourceType"],
    "backend": ["Backend", "HAIL_GENETICS_HAILTOP_IMAGE", "HAIL_GENETICS_HAIL_IMAGE", "LocalBackend", "RunningBatchType"],
    "docker": ["build_python_image"],
    "utils": ["concatenate", "needs_tokens_mounted", "plink_merge"],
    "exceptions": ["BatchException"],
    "globals": ["DEFAULT_SHELL", "arg_max"],
    "hail_genetics_images": ["HAIL_GENETICS", "HAIL_GENETICS_IMAGES", "hailgenetics_hail_image_for_current_python_version"],
}


def parameters(function: Any) -> str:
    """The parameters without annotations, without `self` for a method."""
    given = [one.replace(annotation=inspect.Parameter.empty) for one in inspect.signature(function).parameters.values() if one.name != "self"]
    return str(inspect.Signature(given))[1:-1]


METHODS = [pytest.param(owner, name, said, id=f"{owner.__name__}.{name}") for owner, names in SIGNATURES.items() for name, said in names.items()]


@pytest.mark.parametrize(("owner", "name", "said"), METHODS)
def test_methods_take_what_scripts_pass(owner: Any, name: str, said: str) -> None:
    assert parameters(getattr(owner, name)) == said


def test_the_local_backend_takes_its_first_arguments_by_place() -> None:
    assert parameters(hb.LocalBackend.__init__).startswith("tmp_dir='/tmp/', gsa_key_file=None, extra_docker_run_flags=None, *, ")


@pytest.mark.parametrize(("name", "said"), FUNCTIONS.items())
def test_functions_take_what_scripts_pass(name: str, said: str) -> None:
    assert parameters(getattr(hb, name)) == said


@pytest.mark.parametrize(("module", "names"), MODULES.items())
def test_submodules_have_their_names_and_are_names_of_the_package(module: str, names: list[str]) -> None:
    found = importlib.import_module(f"hail_batch_jupyter.batch.{module}")

    assert getattr(hb, module) is found
    assert [name for name in names if not hasattr(found, name)] == []


def test_submodules_need_no_import_of_their_own() -> None:
    code = f"import hail_batch_jupyter.batch as hb\nfor name in {list(MODULES)}: getattr(hb, name)\nhb.job.BashJob, hb.globals.arg_max"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_package_offers_what_scripts_import() -> None:
    expected = {"Backend", "Batch", "BatchException", "LocalBackend", "PythonResult", "Resource", "ResourceFile", "ResourceGroup", *FUNCTIONS}

    assert expected <= set(hb.__all__)


def test_files_and_results_are_strings_and_groups_are_not() -> None:
    assert [issubclass(kind, str) for kind in (ResourceFile, InputResourceFile, JobResourceFile, PythonResult, ResourceGroup)] == [True] * 4 + [False]
    assert all(issubclass(kind, Resource) for kind in (ResourceFile, PythonResult, ResourceGroup))
    assert hasattr(hb.Backend, "__class_getitem__")


def test_setters_give_the_job_and_run_has_a_coroutine_form(b: Batch) -> None:
    j = b.new_job()

    assert j.env("A", "1") is j
    assert inspect.iscoroutinefunction(Batch._async_run)
    assert inspect.iscoroutinefunction(hb.Backend.async_close)
    assert inspect.iscoroutinefunction(hb.Backend.validate_file)


def test_constants_have_the_values_that_scripts_compare_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_GENETICS_HAIL_IMAGE", "mine/hail:1")
    monkeypatch.delenv("HAIL_GENETICS_HAILTOP_IMAGE", raising=False)
    images = [f"hailgenetics/{name}" for name in ("hail", "hailtop", "genetics", "python-dill", "vep-grch37-85", "vep-grch38-95")]

    assert ("/bin/bash", "hailgenetics/", images) == (constants.DEFAULT_SHELL, hail_genetics_images.HAIL_GENETICS, hail_genetics_images.HAIL_GENETICS_IMAGES)
    assert backend.HAIL_GENETICS_HAIL_IMAGE == "mine/hail:1"
    assert backend.HAIL_GENETICS_HAILTOP_IMAGE.startswith("hailgenetics/hailtop:")
    assert constants.arg_max() >= 4096


@pytest.mark.parametrize(("minor", "tail"), [(10, "-py3.10"), (11, ""), (12, "-py3.12"), (13, "-py3.13")])
def test_the_image_of_hail_is_that_of_this_python(monkeypatch: pytest.MonkeyPatch, minor: int, tail: str) -> None:
    class Version(tuple[int, ...]):
        minor = 0

    Version.minor = minor
    monkeypatch.setattr(hail_genetics_images.sys, "version_info", Version((3, minor)))
    monkeypatch.delenv("HAIL_GENETICS_HAIL_IMAGE", raising=False)

    assert f"hailgenetics/hail:{hail_genetics_images.HAIL_VERSION}{tail}" == backend.HAIL_GENETICS_HAIL_IMAGE
    Version.minor = 14
    with pytest.raises(ValueError, match=r"name an image with Python 3\.14 and dill"):
        hail_genetics_images.hailgenetics_hail_image_for_current_python_version()
    assert hail_genetics_images.hailtop_image().startswith("hailgenetics/hailtop:")
