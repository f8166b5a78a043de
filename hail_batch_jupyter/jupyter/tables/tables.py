"""Tables of what is known: the jobs of a run, and the runs of this machine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.jupyter.words import REUSED, STATE_WORDS, waits_text, word_of
from hail_batch_jupyter.observe.blame import reasons
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.observe.usage import Figures, figures, hint, last_figures

if TYPE_CHECKING:
    import pandas as pd

    from hail_batch_jupyter.core.events import BatchSnapshot, JobView
    from hail_batch_jupyter.core.spec import BatchSpec
    from hail_batch_jupyter.jupyter.tables.jobsframe import JobsFrame
    from hail_batch_jupyter.observe.rundir import RunInfo


def jobs_frame(running: RunningBatch, q: str | None = None) -> JobsFrame:
    """The jobs of a run as they are now, see `frame_of`."""
    import hail_batch_jupyter.jupyter.tables.jobsframe  # noqa: F401 - pandas takes a second the first time; the states must not be of the time before

    snapshot = running.snapshot()
    frame = frame_of(running.spec, snapshot, q, {view.job_id: waits_text(running, view) for view in snapshot.jobs} if running.waits_for else {})
    frame.source = running
    return frame


def frame_of(spec: BatchSpec, snapshot: BatchSnapshot, q: str | None = None, waits: Mapping[int, str] = MappingProxyType({})) -> JobsFrame:
    """One row a job, in the order of their numbers, with the columns that `Looking.jobs_frame` lists; `waits` says of jobs by number what they wait for."""
    import pandas as pd

    from hail_batch_jupyter.jupyter.tables.jobsframe import COLUMNS, JobsFrame

    pairs = [pair for pair in zip(spec.jobs, snapshot.jobs, strict=True) if _wanted(q, pair[0].name or "", pair[1])]
    jobs, views = [job for job, _ in pairs], [view for _, view in pairs]
    why = {view.job_id: reason for view, reason in zip(snapshot.jobs, reasons(spec, snapshot), strict=True)}
    now_ms = int(time.time() * 1000)
    columns: dict[str, Any] = {
        "job_id": pd.array([job.job_id for job in jobs], dtype="int64"),
        "name": pd.array([job.name or "" for job in jobs], dtype="string"),
        "state": pd.Categorical([view.state.value for view in views], categories=[state.value for state in JobState]),
        "attempt": pd.array([str(view.attempt) if view.attempt else None for view in views], dtype="string"),
        "start": _times([view.started_ms for view in views]),
        "end": _times([view.ended_ms for view in views]),
        "duration_s": pd.array([_duration_s(view.started_ms, view.ended_ms, now_ms) for view in views], dtype="float64"),
        "exit_code": pd.array([view.exit_code for view in views], dtype="Int64"),
        "reason": pd.array([why[view.job_id] or waits.get(view.job_id, "") for view in views], dtype="string"),
        "cores": pd.array([(job.request.cpu_mcpu or 1000) / 1000 for job in jobs], dtype="float64"),
        "cost_usd": pd.array([view.cost_usd for view in views], dtype="float64"),
        "parents": pd.Series([[edge.job_id for edge in job.parents] for job in jobs], dtype="object"),
        "reused": pd.array([view.reused for view in views], dtype="bool"),
        **_usage_columns([last_figures(job.request, view) for job, view in pairs]),
        "group": pd.array([spec.groups[job.group - 1].name if job.group else "" for job in jobs], dtype="string"),
        "hint": pd.array([hint(job.request, view) for job, view in pairs], dtype="string"),
    }
    frame = JobsFrame(columns, columns=list(COLUMNS))
    frame.name_of = {job.job_id: job.display_name for job in spec.jobs}
    frame.source = None
    return frame


def _usage_columns(figures: Sequence[Figures]) -> dict[str, Any]:
    import pandas as pd

    return {
        "cores_granted": pd.array([facts.cores_granted for facts in figures], dtype="float64"),
        "cores_used": pd.array([float("nan") if facts.cores_used is None else facts.cores_used for facts in figures], dtype="float64"),
        "memory_bytes": pd.array([facts.asked_bytes for facts in figures], dtype="Int64"),
        "memory_granted_bytes": pd.array([facts.granted_bytes for facts in figures], dtype="Int64"),
        "gpus": pd.array([",".join(facts.gpus) for facts in figures], dtype="string"),
        "max_rss_bytes": pd.array([facts.peak_bytes for facts in figures], dtype="Int64"),
        "max_rss_at_most": pd.array([facts.at_most for facts in figures], dtype="bool"),
    }


def attempts_frame(running: RunningBatch, q: str | None = None) -> pd.DataFrame:
    """One row an attempt, in the order of the jobs, with the columns that `Looking.attempts_frame` lists; `q` as in `jobs_frame`."""
    import pandas as pd

    from hail_batch_jupyter.jupyter.tables.jobsframe import ATTEMPT_COLUMNS, AttemptsFrame

    pairs = [pair for pair in zip(running.spec.jobs, running.snapshot().jobs, strict=True) if _wanted(q, pair[0].name or "", pair[1])]
    rows = [(job, attempt) for job, view in pairs for attempt in view.attempts]
    attempts, now_ms = [attempt for _, attempt in rows], int(time.time() * 1000)
    figures_of = [figures(job.request, attempt) for job, attempt in rows]
    columns: dict[str, Any] = {
        "job_id": pd.array([job.job_id for job, _ in rows], dtype="int64"),
        "name": pd.array([job.name or "" for job, _ in rows], dtype="string"),
        "attempt": pd.array([attempt.number for attempt in attempts], dtype="int64"),
        "start": _times([attempt.started_ms for attempt in attempts]),
        "end": _times([attempt.ended_ms for attempt in attempts]),
        "duration_s": pd.array([_duration_s(attempt.started_ms, attempt.ended_ms, now_ms) for attempt in attempts], dtype="float64"),
        "exit_code": pd.array([attempt.exit_code for attempt in attempts], dtype="Int64"),
        "reason": pd.array([attempt.reason for attempt in attempts], dtype="string"),
        "cores": pd.array([(job.request.cpu_mcpu or 1000) / 1000 for job, _ in rows], dtype="float64"),
        **_usage_columns(figures_of),
        "node": pd.array([attempt.node for attempt in attempts], dtype="string"),
    }
    frame = AttemptsFrame(columns, columns=list(ATTEMPT_COLUMNS))
    frame.source = running
    return frame


def known_words() -> frozenset[str]:
    """The words that a filter may be besides a part of a name: states as people read them, and as the wire has them."""
    return frozenset({REUSED, *STATE_WORDS.values(), *_WIRE_WORDS})


def _wanted(q: str | None, name: str, view: JobView) -> bool:
    """A state by the word that people read, or by the wire's."""
    wanted = (q or "").lower()
    if wanted in STATE_WORDS.values() or wanted == REUSED:
        return wanted in (word_of(view), STATE_WORDS[view.state])
    if wanted in _WIRE_WORDS:
        return view.state.value.lower() == wanted
    return wanted in name.lower()


_WIRE_WORDS = {state.value.lower() for state in JobState}


def _times(times_ms: Sequence[int | None]) -> Any:  # a pandas array
    import pandas as pd

    values = pd.Series(pd.array(times_ms, dtype="Int64"))
    return values.astype("datetime64[ms]").dt.tz_localize("UTC").array


def _duration_s(started_ms: int | None, ended_ms: int | None, now_ms: int) -> float:
    if started_ms is None:
        return float("nan")
    return max(0, (ended_ms or now_ms) - started_ms) / 1000


def runs_frame(runs: Sequence[RunInfo]) -> pd.DataFrame:
    """One row a run, newest first.

    run string · name string · state category (running, succeeded, failed, cancelled, stopped: its runner ended before it, ended: not known how) ·
    started, ended datetime64[ms, UTC] · duration_s float64, until now while it runs · jobs int64 · backend string · notebook string, its path
    """
    import pandas as pd

    from hail_batch_jupyter.jupyter.tables.jobsframe import RUN_COLUMNS, RunsFrame
    from hail_batch_jupyter.observe.rundir import RUN_WORDS

    now_ms = int(time.time() * 1000)
    columns: dict[str, Any] = {
        "run": pd.array([run.run_id for run in runs], dtype="string"),
        "name": pd.array([run.name for run in runs], dtype="string"),
        "state": pd.Categorical([run.word for run in runs], categories=list(RUN_WORDS)),
        "started": _times([run.created_ms for run in runs]),
        "ended": _times([run.ended_ms for run in runs]),
        "duration_s": pd.array([_run_duration_s(run, now_ms) for run in runs], dtype="float64"),
        "jobs": pd.array([run.n_jobs for run in runs], dtype="int64"),
        "backend": pd.array([run.backend for run in runs], dtype="string"),
        "notebook": pd.array([run.notebook for run in runs], dtype="string"),
    }
    return RunsFrame(columns, columns=list(RUN_COLUMNS))


def _run_duration_s(run: RunInfo, now_ms: int) -> float:
    return float("nan") if run.state == "dead" else _duration_s(run.created_ms, run.ended_ms, now_ms)
