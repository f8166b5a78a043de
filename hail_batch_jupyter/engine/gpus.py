"""Which GPUs this machine lets this process use."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from hail_batch_jupyter.core.ports import VISIBLE_GPUS, Gpu
from hail_batch_jupyter.core.spec import Request

_ASK_S = 20.0
"""nvidia-smi wakes sleeping devices, which takes seconds."""


def machine_gpus(env: Mapping[str, str], devices: Path = Path("/dev")) -> list[Gpu]:
    """NVIDIA's devices in the order of their numbers, those of `CUDA_VISIBLE_DEVICES` where that is set; kinds as `nvidia-smi` tells them.

    Source: nvidia-smi(1), --query-gpu; the device files of NVIDIA's driver.
    """
    found = _asked(env.get("PATH", os.defpath)) or _device_files(devices)
    if VISIBLE_GPUS not in env:
        return found
    wanted = [word.strip() for word in env[VISIBLE_GPUS].split(",") if word.strip()]
    by_number = {gpu.number: gpu for gpu in found}
    return [by_number[word] for word in wanted if word in by_number]


def _asked(path: str) -> list[Gpu]:
    import shutil  # most batches ask for no GPUs
    import subprocess

    program = shutil.which("nvidia-smi", path=path)
    if program is None:
        return []
    try:
        answer = subprocess.run(
            [program, "--query-gpu=index,name", "--format=csv,noheader"], capture_output=True, text=True, timeout=_ASK_S, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return []
    pairs = [line.partition(",") for line in answer.stdout.splitlines() if "," in line]
    return [Gpu(number.strip(), kind.strip()) for number, _, kind in pairs]


def _device_files(devices: Path) -> list[Gpu]:
    try:
        names = os.listdir(devices)
    except OSError:
        return []
    numbers = sorted(int(match.group(1)) for name in names if (match := re.fullmatch(r"nvidia(\d+)", name)))
    return [Gpu(str(number), "") for number in numbers]


def too_many_gpus(request: Request, gpus: Sequence[Gpu]) -> str | None:
    """What a request asks for beyond the machine's GPUs, in words; None when they suffice."""
    fitting = [gpu for gpu in gpus if request.gpu_kind is None or request.gpu_kind.lower() in gpu.kind.lower()]
    if request.gpus <= len(fitting):
        return None
    kind = f" of kind {request.gpu_kind!r}" if request.gpu_kind else ""
    asked = f"{request.gpus} GPU{'s' if request.gpus > 1 else ''}{kind}"
    if not gpus:
        return f"{asked} where there is none"
    kinds = ", ".join(sorted({gpu.kind for gpu in gpus if gpu.kind}))
    return f"{asked} where there {'is' if len(gpus) == 1 else 'are'} {len(gpus)}" + (f" ({kinds})" if kinds else "")
