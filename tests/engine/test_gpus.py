from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.core.ports import Gpu
from hail_batch_jupyter.core.spec import Request
from hail_batch_jupyter.engine.gpus import machine_gpus, too_many_gpus
from hail_batch_jupyter.errors import CapabilityError
from hail_batch_jupyter.observe import rundir
from tests.engine.jobs import bash, main_log, run, states

T4, A100 = Gpu("0", "Tesla T4"), Gpu("1", "NVIDIA A100-SXM4-40GB")


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose nvidia-smi tells of two devices."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nprintf '0, {T4.kind}\\n1, {A100.kind}\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return program


def test_devices_are_those_that_nvidia_smi_tells(smi: Path) -> None:
    assert machine_gpus(os.environ) == [T4, A100]


@pytest.mark.parametrize(("visible", "found"), [("1", [A100]), ("1,0", [A100, T4]), ("", []), ("7", [])])
def test_devices_that_this_process_may_not_see_are_left_out(smi: Path, visible: str, found: list[Gpu]) -> None:
    assert machine_gpus({**os.environ, "CUDA_VISIBLE_DEVICES": visible}) == found


def test_without_nvidia_smi_the_device_files_count(tmp_path: Path) -> None:
    for name in ("nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()

    assert machine_gpus({"PATH": str(tmp_path)}, tmp_path) == [Gpu("2"), Gpu("10")]
    assert machine_gpus({"PATH": str(tmp_path)}, tmp_path / "none") == []


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request(gpus=2), None),
        (Request(gpus=1, gpu_kind="a100"), None),
        (Request(gpus=3), r"3 GPUs where there are 2 \(NVIDIA A100-SXM4-40GB, Tesla T4\)"),
        (Request(gpus=2, gpu_kind="T4"), "2 GPUs of kind 'T4' where there are 2"),
    ],
)
def test_what_is_beyond_the_machine_is_said_in_words(request_: Request, words: str | None) -> None:
    said = too_many_gpus(request_, [T4, A100])

    assert said is None if words is None else said is not None and re.match(words, said)


def test_a_machine_without_gpus_refuses_in_one_sentence_and_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    with pytest.raises(CapabilityError, match=r"^job 'job1' asks for 1 GPU where there is none on this machine; ask for less, or run it where there are more$"):
        run(bash(1, ":", request=Request(gpus=1)))

    assert rundir.list_runs() == []


def test_two_jobs_never_share_a_device(smi: Path, tmp_path: Path) -> None:
    mark = f'"{tmp_path}/in-use-$CUDA_VISIBLE_DEVICES"'
    script = f"mkdir {mark}; echo $CUDA_VISIBLE_DEVICES; for i in {{1..2000}}; do :; done; rmdir {mark}"
    one, both = Request(cpu_mcpu=100, gpus=1), Request(cpu_mcpu=100, gpus=2)
    jobs = [bash(number, script, request=one) for number in range(1, 9)]

    running = run(*jobs, bash(9, "echo $CUDA_VISIBLE_DEVICES", request=both), backend=LocalBackend(cores=4))

    assert states(running) == "S" * 9
    assert {main_log(running, number).strip() for number in range(1, 9)} <= {"0", "1"}
    assert sorted(main_log(running, 9).strip().split(",")) == ["0", "1"]
    granted = running.attempts(9)[0].granted
    assert granted is not None
    assert sorted(granted.gpus) == ["0", "1"]
