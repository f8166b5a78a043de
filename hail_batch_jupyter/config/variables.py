"""The settings that exist, what each means, and which values each takes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import NamedTuple

from hail_batch_jupyter.errors import ConfigError


class Variable(NamedTuple):
    """One setting.

    wants   which values are valid, in words that follow 'it must be'
    """

    name: str
    meaning: str
    wants: str
    valid: Callable[[str], bool]

    @property
    def place(self) -> tuple[str, str]:
        """Section and option in the file."""
        section, _, option = self.name.rpartition("/")
        return section or "global", option


def _matches(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(pattern, text) is not None


def _one_of(*words: str) -> tuple[str, Callable[[str], bool]]:
    return f"one of {', '.join(words)}", lambda text: text in words


BACKENDS = ("local", "slurm", "service")
BACKEND_GROUP = "hail_batch_jupyter.backends"
"""Entry-point group of backends from other distributions."""


def _is_backend(text: str) -> bool:
    from importlib.metadata import entry_points

    return text in BACKENDS or any(point.name == text for point in entry_points().select(group=BACKEND_GROUP))


_BACKEND = (f"one of {', '.join(BACKENDS)}, or the name of a backend that another package installed", _is_backend)
_CLOUD_PATH = ("a folder such as gs://bucket/folder or https://ACCOUNT.blob.core.windows.net/container/folder", _matches(r"(gs|https|hail-az|file|hbj)://\S+"))
_BUCKETS = ("bucket names with commas between", _matches(r"[^\s/:,]+(\s*,\s*[^\s/:,]+)*"))
_NAMES = ("names with commas between, such as us-central1,us-east1", _matches(r"[\w-]+(\s*,\s*[\w-]+)*"))
_CORES = ("a number of cores, such as 1 or 8", _matches(r"[0-9]+(\.[0-9]+)?"))
_MEMORY = ("lowmem, standard, highmem, or a size such as 8Gi", _matches(r"lowmem|standard|highmem|[0-9]+(\.[0-9]+)?([KMGTP]i?)?B?"))
_WHOLE = ("a whole number above zero", _matches(r"[1-9][0-9]*"))
_SLURM_NAME = ("a name without blanks, or several with commas between", _matches(r"[^\s]+"))
_printable = str.isprintable
_NUMBER = ("a number of 0 or more, or inf", _matches(r"inf|[0-9]+(\.[0-9]*)?"))

VARIABLES = {
    variable.name: variable
    for variable in (
        Variable("domain", "domain of the service", "a domain such as hail.is", _matches(r"[^\s/]+[.][^\s/]+")),
        Variable("gcs_requester_pays/project", "Google project that pays for reading buckets whose owner does not", "a project id", _matches(r"[^\s/]+")),
        Variable("gcs_requester_pays/buckets", "the only buckets that the project pays for", *_BUCKETS),
        Variable("gcs/bucket_allow_list", "cold buckets that may be used all the same", *_BUCKETS),
        Variable("batch/backend", "what runs batches", *_BACKEND),
        Variable("batch/billing_project", "billing project of the batches", "a name without ':', '/' and blanks", _matches(r"[^\s:/]+")),
        Variable("batch/remote_tmpdir", "folder for intermediate files of batches", *_CLOUD_PATH),
        Variable("batch/bucket", "former way to say batch/remote_tmpdir", "the name of a bucket", _matches(r"[^\s/:]+")),
        Variable("batch/regions", "regions where jobs may run", *_NAMES),
        Variable("batch/rate_card", "what runs cost: a rate card by name, core-hours:RATE, or the path of your own", "the name or path of a card", bool),
        Variable("batch/keep_runs_days", "ended runs of this machine are removed after so many days (30)", *_NUMBER),
        Variable("batch/keep_runs_gb", "the oldest ended runs are removed while all take more room (20)", *_NUMBER),
        Variable("slurm/work_directory", "folder that every node of the cluster sees, for the runs of SlurmBackend", "a path without line ends", _printable),
        Variable("slurm/host", "the cluster behind ssh for SlurmBackend", "a name, an address or an alias of ~/.ssh/config", _matches(r"[^-\s]\S*")),
        Variable("slurm/runner", "where the runner of SlurmBackend lives", "here, login or job", _matches("here|login|job")),
        Variable("slurm/login_setup", "a line of shell before the runner is started on a login node", "a line such as module load slurm", _printable),
        Variable("slurm/partition", "partition of Slurm jobs", *_SLURM_NAME),
        Variable("slurm/account", "account of Slurm jobs", *_SLURM_NAME),
        Variable("slurm/qos", "quality of service of Slurm jobs", *_SLURM_NAME),
        Variable("slurm/options", "more options of sbatch, as in a shell", "words that begin with '-', such as --constraint=avx2 --nice", _matches(r"-.*")),
        Variable(
            "slurm/spot_options",
            "options of sbatch for jobs that may be on nodes that other jobs take",
            "words that begin with '-', such as --partition=spare",
            _matches(r"-.*"),
        ),
        Variable("slurm/setup", "a line of shell before the command of each Slurm job", "a line such as module load samtools", _printable),
        Variable("slurm/python", "interpreter of Python jobs on the nodes", "a path", _printable),
        Variable(
            "slurm/max_jobs", "no more Slurm jobs of a run than this are queued or running at once", "a whole number above zero", _matches(r"[1-9][0-9]*")
        ),
        Variable("slurm/pool_workers", "so many Slurm jobs at most take the calls of an executor (8)", *_WHOLE),
        Variable("query/backend", "what runs queries of Hail", *_one_of("spark", "local", "batch")),
        Variable("query/jar_url", "the program that runs queries", *_CLOUD_PATH),
        Variable("query/batch_driver_cores", "cores of the driver of a query", *_CORES),
        Variable("query/batch_worker_cores", "cores of each worker of a query", *_CORES),
        Variable("query/batch_driver_memory", "memory of the driver of a query", *_MEMORY),
        Variable("query/batch_worker_memory", "memory of each worker of a query", *_MEMORY),
        Variable("query/batch_backend_max_read_parallelism", "reads of a query at once", "a whole number", _matches(r"[0-9]+")),
        Variable("query/name_prefix", "what names of batches of queries begin with", "text", bool),
        Variable("query/disable_progress_bar", "no progress bar for queries", *_one_of("0", "1")),
        Variable("http/timeout_in_seconds", "longest time of a request", "a number of seconds above zero", _matches(r"(?=.*[1-9])[0-9]+(\.[0-9]*)?")),
    )
}


def variable(name: str) -> Variable:
    """The setting of that name.

    Raises ConfigError with the close names, or all of them.
    """
    if name in VARIABLES:
        return VARIABLES[name]
    close = difflib.get_close_matches(name, VARIABLES, 3) or [known for known in VARIABLES if known.rpartition("/")[2] == name]
    if name == "profile":
        raise ConfigError("setting 'profile' is chosen with: hail-batch-jupyter config profile load NAME")
    hint = f"did you mean {' or '.join(close)}?" if close else f"the settings are: {', '.join(VARIABLES)}"
    raise ConfigError(f"there is no setting {name!r}; {hint}")


def checked(name: str, value: str) -> str:
    """The value of a setting without blanks around it.

    Raises ConfigError for a value that the setting cannot have, without repeating what may be a secret.
    """
    text, found = value.strip(), variable(name)
    if not found.valid(text) or "\n" in text:
        raise ConfigError(f"{name} {shown(value)!r} is not valid; it must be {found.wants}")
    return text


def shown(value: str) -> str:
    """The value as it may be printed: the query of an address, which can be a signature, is hidden."""
    return re.sub(r"(https?://[^\s?]+)\?\S*", r"\1?…", value)
