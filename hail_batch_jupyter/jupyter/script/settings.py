"""What is said of a batch and its jobs beside what they do, as calls of the setters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hail_batch_jupyter.core.retry import DEFAULT_MAX_DELAY_S

if TYPE_CHECKING:
    from hail_batch_jupyter.core.draft import BatchDraft, JobDraft, JobGroupDraft
    from hail_batch_jupyter.core.retry import Retry

_ATTEMPTS = 20


def batch_arguments(draft: BatchDraft) -> list[str]:
    """Arguments of `Batch`, without the backend."""
    given = {
        "name": draft.name,
        "attributes": draft.attributes or None,
        "requester_pays_project": draft.requester_pays_project,
        "cancel_after_n_failures": draft.cancel_after_n_failures,
    }
    return [f"{name}={value!r}" for name, value in given.items() if value is not None]


def group_arguments(group: JobGroupDraft) -> list[str]:
    """Arguments of `new_group`."""
    given = {"attributes": group.attributes or None, "cancel_after_n_failures": group.cancel_after_n_failures, "at_most": group.at_most}
    return [repr(group.name), *[f"{name}={value!r}" for name, value in given.items() if value is not None]]


def setters(job: JobDraft, jobs_text: Callable[[list[int]], str], env_text: Callable[[str, str], str]) -> Iterator[str]:
    """Calls such as `cpu('2')`; `env_text` gives the expression for a value of the environment, which stands in no script."""
    plain: dict[str, object] = {"cpu": job.cpu, "memory": job.memory, "storage": job.storage, "image": job.image}
    plain.update({"spot": job.spot, "regions": job.regions, "timeout": _short(job.timeout_s)})
    yield from [f"{name}({value!r})" for name, value in plain.items() if value is not None]
    yield from [f"env({name!r}, {env_text(name, value)})" for name, value in job.env.items()]
    if job.always_run:
        yield "always_run()"
    if job.always_copy_output:
        yield "always_copy_output()"
    if job.n_max_attempts != _ATTEMPTS:
        yield f"n_max_attempts({job.n_max_attempts})"
    if job.gpus:
        yield f"gpu({job.gpus}{f', kind={job.gpu_kind!r}' if job.gpu_kind else ''})"
    if job.retry is not None:
        yield _retry(job.retry)
    for bucket, mount_point, read_only in job.cloudfuse:
        yield f"cloudfuse({bucket!r}, {mount_point!r}, read_only={read_only!r})"
    for how, method in (("success", "depends_on"), ("end", "after")):
        uids = [uid for uid, on in job.depends_on.items() if on == how]
        if uids:
            yield f"{method}({jobs_text(uids)})"


def _short(seconds: float | None) -> float | None:
    return int(seconds) if seconds is not None and seconds == int(seconds) else seconds


def _retry(retry: Retry) -> str:
    words = [str(retry.attempts), f"on={(*retry.on, *retry.exit_codes)!r}"]
    words += [f"delay={_short(retry.delay_s)!r}", f"growth={_short(retry.growth)!r}"] if retry.delay_s else []
    words += [f"max_delay={_short(retry.max_delay_s)!r}"] if retry.max_delay_s != DEFAULT_MAX_DELAY_S else []
    words += [f"memory_factor={_short(retry.memory_factor)!r}"]
    words += [f"no_spot_after={retry.no_spot_after}"] if retry.no_spot_after is not None else []
    return f"retry({', '.join(words)})"
