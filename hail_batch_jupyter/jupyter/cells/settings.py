"""What the lines of `%%batch_job` and `%%batch_python` say about a job, and those of `%batch` about all: the options, and their values checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from IPython.core.error import UsageError

from hail_batch_jupyter.batch.groups import checked_count
from hail_batch_jupyter.batch.policies import retry_policy
from hail_batch_jupyter.core.retry import CAUSES
from hail_batch_jupyter.core.units import check_memory, parse_bytes, parse_cpu, parse_duration
from hail_batch_jupyter.jupyter.cells.options import Magic, Parsed
from hail_batch_jupyter.jupyter.declare import argument

_CAUSES = f"{', '.join(cause.replace(' ', '-') for cause in CAUSES)}, or an exit code"

SETTINGS = (
    argument("--cpu", metavar="CORES", help="cores: 2, 0.5 or 250m"),
    argument("--memory", metavar="SIZE", help="memory: 500Mi, 3.75G, or lowmem, standard, highmem"),
    argument("--storage", metavar="SIZE", help="disk: 20Gi"),
    argument("--image", help="container image that the job runs in"),
    argument("--env", action="append", default=[], metavar="NAME=VALUE", help="environment variable of the job; its value is shown nowhere; may be repeated"),
    argument("--each", action="append", default=[], metavar="VAR=ITEMS", help="one job an item: alpha=alphas, seed=range(5), x=[0.1, 1]; may be repeated"),
    argument("--cross", action="store_true", help="every combination of several --each; without it they go side by side"),
    argument("--after", action="extend", nargs="+", default=[], metavar="JOB", help="wait for these jobs, too; a stage, or fit[3], or a variable in braces"),
    argument("--timeout", metavar="TIME", help="kill the job after this time: 90, 15m, 2h"),
    argument("--always-run", action="store_true", help="run even if a job before it failed"),
    argument("--spot", dest="spot", action="store_true", default=None, help="machines that may be taken away"),
    argument("--no-spot", dest="spot", action="store_false", help="machines that stay"),
    argument("--region", action="extend", nargs="+", default=[], metavar="REGION", help="where the job may run, on a batch service: us-central1"),
    argument("--retry", type=int, metavar="N", help="tries in all when the job does not succeed"),
    argument("--retry-on", action="extend", nargs="+", default=[], metavar="CAUSE", help=f"which ends are tried again: {_CAUSES}; without it all but lost"),
    argument("--retry-delay", metavar="TIME", help="wait so long before the second try, and twice as long before each later one"),
    argument("--retry-memory", type=float, metavar="FACTOR", help="after running out of memory ask for so many times as much (2)"),
    argument("--no-spot-after", type=int, metavar="N", help="when so many machines were lost: one that stays"),
    argument("--attempts", type=int, metavar="N", help="tries in all, when a machine is lost"),
    argument("--group", metavar="GROUP", help="put the job into this group, which is made if there is none: counted, limited and cancelled together"),
    argument("--at-most", type=int, metavar="N", help="with --group: no more of its jobs than this at once"),
    argument("--output", action="append", default=[], metavar="NAME=DEST", help="write the job's file or result NAME to DEST; may be repeated"),
    argument("--replace", action="store_true", help="take the variable NAME even if something else is in it"),
    argument("--dry-run", action="store_true", help="show what the job would be, and define nothing"),
    argument("--run", action="store_true", help="define the job and run it with what it needs"),
)

DEFAULTS = (
    argument("--default-cpu", metavar="CORES", help="cores of jobs that name none"),
    argument("--default-memory", metavar="SIZE", help="memory of jobs that name none"),
    argument("--default-storage", metavar="SIZE", help="disk of jobs that name none"),
    argument("--default-image", metavar="IMAGE", help="container image of bash jobs that name none"),
    argument("--default-python-image", metavar="IMAGE", help="container image of Python jobs that name none"),
    argument("--default-timeout", metavar="TIME", help="longest time of jobs that name none"),
    argument(
        "--default-region",
        dest="default_regions",
        action="extend",
        nargs="+",
        metavar="REGION",
        help="regions of jobs that name none",
    ),
    argument("--default-shell", metavar="SHELL", help="shell of bash jobs that name none"),
    argument("--default-spot", dest="default_spot", action="store_true", default=None, help="machines that may be taken away, for jobs that do not say"),
    argument("--default-no-spot", dest="default_spot", action="store_false", help="machines that stay, for jobs that do not say"),
    argument("--default-retry", type=int, metavar="N", help="tries in all of jobs that do not succeed, and do not say"),
    argument("--cancel-after-n-failures", type=int, metavar="N", help="cancel the rest of a run when so many jobs have failed"),
    argument("--at-most", type=int, metavar="N", help="no more jobs than this at once, however many cores there are"),
)
_DEFAULT_NAMES = (
    *("default_cpu", "default_memory", "default_storage", "default_image", "default_python_image", "default_timeout"),
    *("default_regions", "default_shell", "default_spot", "default_retry", "cancel_after_n_failures", "at_most"),
)
_QUANTITIES: dict[str, Callable[[Any], object]] = {
    "cpu": parse_cpu,
    "memory": check_memory,
    "storage": lambda value: parse_bytes(value, "storage"),
    "timeout": parse_duration,
}


def job_settings(magic: Magic) -> Magic:
    """Adds the options that both kinds of job cells have."""
    return _with(SETTINGS, magic)


def batch_defaults(magic: Magic) -> Magic:
    """Adds the options of a new batch."""
    return _with(DEFAULTS, magic)


def _with(arguments: Sequence[Callable[[Magic], Magic]], magic: Magic) -> Magic:
    for one in reversed(arguments):
        magic = one(magic)
    return magic


@dataclass(frozen=True)
class Settings:
    """What a job cell's line says about its job; units are checked, values of the environment are not shown by `repr`.

    values   setter -> its argument        retry    arguments of `Job.retry`, empty for none
    group    name of the group, '' for none, and how many of its jobs may run at once
    """

    values: dict[str, Any]
    env: dict[str, str]
    outputs: dict[str, str]
    retry: dict[str, Any] = field(default_factory=dict)
    group: tuple[str, int | None] = ("", None)

    def __repr__(self) -> str:
        return f"Settings({self.values}, env of {list(self.env)}, {self.outputs}, {self.retry}, {self.group})"


def default_settings(parsed: Parsed) -> dict[str, Any]:
    """What `%batch` says about all jobs, as arguments of `Batch` and `at_most`.

    Raises UnitError for a malformed quantity or number.
    """
    found = {name: value for name in _DEFAULT_NAMES if (value := getattr(parsed, name)) is not None}
    for name, check in _QUANTITIES.items():
        if f"default_{name}" in found:
            check(found[f"default_{name}"])
    for name in ("cancel_after_n_failures", "at_most"):
        checked_count(found.get(name), f"--{name.replace('_', '-')}")
    if "default_retry" in found:
        retry_policy(found["default_retry"], CAUSES[:3], 0, 2, "1h", 2)
    return found


def settings_of(parsed: Parsed) -> Settings:
    """The settings of a job cell.

    Raises UnitError for a malformed quantity, UsageError for a malformed --env or --output.
    """
    values: dict[str, Any] = {}
    for name, check in _QUANTITIES.items():
        value = getattr(parsed, name)
        if value is not None:
            result = check(value)
            values[name] = result if name == "timeout" else value
    if parsed.attempts is not None and parsed.attempts < 1:
        raise UsageError(f"--attempts {parsed.attempts}: a job needs one attempt at least")
    others = {
        "image": parsed.image,
        "shell": getattr(parsed, "shell", None),
        "spot": parsed.spot,
        "regions": [str(region) for region in parsed.region] or None,
        "n_max_attempts": parsed.attempts,
        "always_run": parsed.always_run or None,
    }
    values.update({name: value for name, value in others.items() if value is not None})
    env, outputs = _pairs(parsed.env, "--env", "NAME=VALUE", show=False), _pairs(parsed.output, "--output", "NAME=DEST", show=True)
    return Settings(values, env, outputs, _retry(parsed), _group(parsed))


def _retry(parsed: Parsed) -> dict[str, Any]:
    given = {
        "attempts": parsed.retry,
        "on": [_cause(str(word)) for word in parsed.retry_on] or None,
        "delay": parsed.retry_delay,
        "memory_factor": parsed.retry_memory,
        "no_spot_after": parsed.no_spot_after,
    }
    asked = {name: value for name, value in given.items() if value is not None}
    if asked.keys() == {"no_spot_after"}:
        asked["attempts"] = 1  # nothing else is to be tried again
    if asked:
        complete = {"attempts": 3, "on": CAUSES[:3], "delay": 0, "memory_factor": 2, "no_spot_after": None, **asked}
        retry_policy(complete["attempts"], complete["on"], complete["delay"], 2, "1h", complete["memory_factor"], complete["no_spot_after"])
    return asked


def _cause(word: str) -> str | int:
    if word.isdigit():
        return int(word)
    return {"memory": "out of memory", "oom": "out of memory"}.get(word, word.replace("-", " "))


def _group(parsed: Parsed) -> tuple[str, int | None]:
    if parsed.at_most is not None and parsed.group is None:
        raise UsageError(
            f"--at-most {parsed.at_most}: it limits the jobs of a group; add --group GROUP, or write %batch --at-most {parsed.at_most} for a new batch"
        )
    if parsed.group is not None and not str(parsed.group):
        raise UsageError("--group '': a group needs a name, such as --group downloads")
    return str(parsed.group or ""), checked_count(parsed.at_most, "--at-most")


def _pairs(words: Sequence[str], option: str, form: str, *, show: bool) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name or (show and not value):
            asked = f" {word!r}" if show else ""
            raise UsageError(f"{option}{asked}: it takes {form}, with '=' and no blanks around it")
        if option == "--env" and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise UsageError(f"--env {name!r}: the name of a variable has letters, digits and _ only; write --env NAME=VALUE")
        pairs[name] = value
    return pairs
