"""Batches whose results are taken over, with outputs in an object store that others write to, too."""

from __future__ import annotations

from pathlib import Path

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.storage.router import file_system
from hail_batch_jupyter.storage.uris import joined

FILES = [f"many/{number}" for number in range(9)]
FOLDER = ["folder/a", "folder/deep/b"]


def run(place: str, folder: Path, previous: RunningBatch | None) -> RunningBatch:
    """A batch that writes FILES and FOLDER."""
    b = hb.Batch(backend=hb.LocalBackend(str(folder)))
    for name in FILES:
        j = b.new_job(name=name)
        j.command(f"echo {name} > {j.o}")
        b.write_output(j.o, joined(place, name))
    j = b.new_job(name="folder")
    j.command(f"mkdir -p {j.o}/deep; echo folder/a > {j.o}/a; echo folder/deep/b > {j.o}/deep/b")
    b.write_output(j.o, joined(place, "folder"))
    spec = b.compile()._replace(previous_run=None if previous is None else str(previous.id))
    running: RunningBatch = b.backend.submit(spec, SubmitOptions(keep_files=True))
    running.wait()
    assert [view.reused for view in running.snapshot().jobs] == [previous is not None] * 10
    return running


def versions(place: str) -> dict[str, str]:
    return {found.name: found.version for found in file_system(place).files(place)}


def check_reused(place: str, folder: Path) -> None:
    """Run four times: only what others have overwritten or removed between the second and the third is written again."""
    files = file_system(place)
    first = run(place, folder, None)
    written = versions(place)
    assert sorted(written) == sorted([*FILES, *FOLDER])

    second = run(place, folder, first)
    assert versions(place) == written

    files.write(joined(place, FILES[3]), b"many/x\n")  # as long as it was
    files.write(joined(place, FOLDER[1]), b"of others\n")
    files.remove(joined(place, FILES[4]))
    third = run(place, folder, second)
    again = versions(place)
    assert {name for name in written if again[name] != written[name]} == {FILES[3], FILES[4], *FOLDER}
    assert [files.read(joined(place, name)).decode() for name in again] == [f"{name}\n" for name in again]

    run(place, folder, third)
    assert versions(place) == again
