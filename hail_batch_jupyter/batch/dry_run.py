"""A run as text for people, before it is made."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from hail_batch_jupyter.core.spec import BatchSpec, JobSpec, Transfer
from hail_batch_jupyter.storage.uris import shown


def preview(spec: BatchSpec) -> str:
    """What each job of the spec would do, one after the other, ended by a line end; '' for no jobs.

    Values of environment variables are not shown.
    """
    parts = [_job(job) for job in spec.jobs]
    if spec.external:
        parts.insert(0, "# inputs that are written out\n" + _copies("cp", spec.external))
    return "\n".join(parts)


def _job(job: JobSpec) -> str:
    head = f"# {job.job_id}: {job.name or ''}".rstrip() + "\n"
    if job.parents:
        head += f"# after {', '.join(str(edge.job_id) for edge in job.parents)}\n"
    if job.image:
        head += f"# in {job.image}\n"
    if job.env:
        head += f"# with {', '.join(job.env)} set\n"
    text = head + _copies("ln -s", job.inputs) + f"cd {_quoted('${BATCH_TMPDIR}/' + job.directory)}\n"
    text += " ".join(_quoted(word) for word in job.command) + "\n"
    if job.kind == "python" and job.user_code:
        text += "".join(f"# {line}".rstrip() + "\n" for line in job.user_code.splitlines())
    return text + _copies("cp", job.outputs)


def _copies(tool: str, transfers: Iterable[Transfer]) -> str:
    return "".join(f"{tool} {_quoted(shown(copy.source))} {_quoted(shown(copy.dest))}\n" for copy in transfers)


def _quoted(text: str) -> str:
    scratch = "${BATCH_TMPDIR}"
    if text.startswith(scratch):
        rest = text[len(scratch) :]
        return f'"{scratch}"' + (shlex.quote(rest) if rest else "")
    return shlex.quote(text)
