"""The program that measures, in a container, what a job used: putting it into scratch, and reading what it says; what it does stands in `meter.c`."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from hail_batch_jupyter.core.events import Usage
from hail_batch_jupyter.core.ports import Attempt

FOLDER = ".meter"
"""In scratch: the programs, and `12.1` with what the first attempt of job 12 used."""
MACHINES = ("x86_64", "aarch64")
"""As `uname -m` calls them; containers of other machines are not measured."""
_REPORT = re.compile(rb" *([0-9]{1,18}) +([0-9]{1,18})\n")
_REPORT_BYTES = 48


def put_meters(scratch: str) -> None:
    """Write the programs into scratch, which every container sees under the same path; raises OSError where that is not possible."""
    import pkgutil

    os.makedirs(f"{scratch}/{FOLDER}", mode=0o700, exist_ok=True)
    for machine in MACHINES:
        data = pkgutil.get_data(__package__ or "", f"meter-{machine}")  # this package may be in a zip file
        assert data is not None
        fd = os.open(meter_path(scratch, machine), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o755)
        with os.fdopen(fd, "wb") as file:
            file.write(data)


def meter_here(scratch: str) -> str:
    """The program of this machine, '' where there is none or it cannot be started from scratch, as on a disk that lets no program run."""
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in MACHINES:
        return ""
    try:
        put_meters(scratch)
        path = meter_path(scratch, machine)
        return "" if subprocess.run([path], stdin=subprocess.DEVNULL, check=False).returncode else path
    except OSError:
        return ""


def meter_path(scratch: str, machine: str) -> str:
    """Where the program for a machine is."""
    return f"{scratch}/{FOLDER}/meter-{machine}"


def report_path(scratch: str, attempt: Attempt) -> str:
    """Where an attempt's container writes what was used."""
    return f"{scratch}/{FOLDER}/{attempt.attempt_id}"


def measured(attempt: Attempt, meter: str, scratch: str) -> Attempt:
    """The attempt with its command behind the program; as it is where there is no program."""
    return attempt._replace(argv=(meter, report_path(scratch, attempt), *attempt.argv)) if meter else attempt


def read_report(path: str) -> Usage | None:
    """What was used in a container that is gone; None where nothing was written, or something else.

    A job can write there what it likes, and put what it likes there.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = _REPORT.fullmatch(os.read(fd, _REPORT_BYTES))
        finally:
            os.close(fd)
    except OSError:
        return None
    return Usage(int(found[1]), round(int(found[2]) / 1e6, 3)) if found else None
