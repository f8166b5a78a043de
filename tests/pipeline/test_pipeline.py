"""The former names: a script written for them runs, and says once that they are former."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hail_batch_jupyter.batch import Batch
from hail_batch_jupyter.batch.job import BashJob
from hail_batch_jupyter.errors import BatchException

NAME = "hail_batch_jupyter.pipeline"


@pytest.fixture(scope="module")
def hp() -> ModuleType:
    """The package, imported as a script does."""
    for known in [name for name in sys.modules if name == NAME or name.startswith(f"{NAME}.")]:
        del sys.modules[known]
    with pytest.warns(DeprecationWarning, match=r"use 'hail_batch_jupyter.batch'"):
        return importlib.import_module(NAME)


@pytest.fixture(autouse=True)
def no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.delenv("HAIL_BATCH_BACKEND", raising=False)


def test_the_hello_of_the_old_documentation_runs(hp: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    p = hp.Pipeline(backend=hp.LocalBackend(), name="test")
    t = p.new_task(name="hello")
    t.command('echo "hello world"')
    p.run(open=False)

    assert "hello world" in p.last_run.log_tail(1)
    assert capfd.readouterr().out.endswith("completed successfully!\n")


def test_a_scatter_and_gather_with_old_names_runs(hp: ModuleType, tmp_path: Path) -> None:
    p = hp.Pipeline(name="scatter-gather")
    tasks = []
    for name in ("Alice", "Bob", "Dan"):
        t = p.new_task(name=name)
        t.command(f"echo hello {name} > {t.ofile}")
        tasks.append(t)
    both = p.new_task("both")
    both.declare_resource_group(out={"txt": "{root}.txt"})
    both.command(f"cat {hp.concatenate(p, [t.ofile for t in tasks])} > {both.out.txt}")
    p.write_output(both.out, str(tmp_path / "greetings"))
    p.run(dry_run=False, verbose=False, delete_scratch_on_exit=True, wait=True)

    assert (tmp_path / "greetings.txt").read_text() == "hello Alice\nhello Bob\nhello Dan\n"
    assert p.select_tasks("Al") == [tasks[0]]


def test_numbers_are_gigabytes_and_the_rest_is_as_it_was_said(hp: ModuleType) -> None:
    p = hp.Pipeline(default_memory=5, default_cpu=2, default_storage="1Gi", default_image="ubuntu", default_timeout=60)
    said = {memory: p.new_task().memory(memory).job_draft.memory for memory in (3, 3.75, "7", "500Mi", "highmem", None)}

    assert p.new_task().job_draft.memory == "5G"
    assert said == {3: "3G", 3.75: "3.75G", "7": "7G", "500Mi": "500Mi", "highmem": "highmem", None: None}
    draft = p.new_task().job_draft
    assert (draft.cpu, draft.storage, draft.image, draft.timeout_s) == ("2", "1Gi", "ubuntu", 60)


def test_an_input_gets_an_extension_where_tasks_see_it(hp: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x\n")
    p = hp.Pipeline()
    t = p.new_task()
    file = p.read_input(tmp_path / "data", extension=".tsv")
    t.command(f"basename {file} > {t.o}; cat {file} >> {t.o}")
    p.write_output(t.o, tmp_path / "out")
    p.run()

    assert (tmp_path / "out").read_text() == "data.tsv\nx\n"
    with pytest.raises(BatchException, match=r"already has a file extension"):
        file.add_extension(".txt")
    with pytest.raises(BatchException, match=r"cannot end a file name"):
        p.read_input(tmp_path / "data", extension="a/b")


def test_classes_and_submodules_have_their_former_names(hp: ModuleType) -> None:
    assert issubclass(hp.Pipeline, Batch)
    assert issubclass(hp.Task, BashJob)
    assert hp.PipelineException is BatchException
    assert isinstance(hp.Pipeline().new_task().o, hp.TaskResourceFile)
    for name in ("pipeline", "task", "resource", "backend", "utils"):
        assert isinstance(getattr(hp, name), ModuleType)
    assert hp.utils.arg_max() > 0
    for name in hp.__all__:
        assert getattr(hp, name) is not None
    with pytest.raises(AttributeError, match=r"Pipe"):
        _ = hp.Pipe


def test_the_former_variables_stand_in_for_missing_arguments(hp: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HAIL_PIPELINE_EXTRA_DOCKER_RUN_FLAGS", "--network=none")
    monkeypatch.setenv("HAIL_PIPELINE_GSA_KEY_FILE", str(tmp_path / "key.json"))
    old = hp.LocalBackend()

    assert (old.extra_docker_run_flags, old.gsa_key_file) == ("--network=none", str(tmp_path / "key.json"))
    assert hp.LocalBackend(extra_docker_run_flags="").extra_docker_run_flags == ""


def test_the_backend_of_the_service_is_asked_for_by_its_present_name(hp: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"service|remote_tmpdir"):
        hp.BatchBackend("test")


def test_the_import_warns_once() -> None:
    code = f"import {NAME}, {NAME}.task\nfrom {NAME} import Pipeline"
    done = subprocess.run([sys.executable, "-W", "default", "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr.count("DeprecationWarning") == 1
    assert "<string>:1" in done.stderr
