"""Every exception that this package raises, each one sentence and a remedy.

BatchException (Exception)
├─ UnitError, UriError, TemplateError, ConfigError (ValueError)   what the user wrote
├─ GraphError (ValueError)                               how jobs hang together
│  ├─ CycleError                                         .jobs
│  └─ ForeignJobError
├─ GrantError (ValueError)                               more than any worker of a rate card has
├─ MissingMemberError (AttributeError)                   a file that a group does not have
├─ CapabilityError (NotImplementedError)                 this backend cannot do it; which one can
├─ SubmitError                                           the run could not begin
│  └─ RunLiveError                                       another run of this batch goes on
├─ RunLostError                                          the run directory is gone or cannot be read
├─ StorageError (OSError)                                .uri
│  └─ MissingFileError (FileNotFoundError)
├─ ServiceError                                          .status, .method, .path, .body of a refusal by a batch service
│  └─ NotAuthenticatedError
├─ ClusterError (PybatchException)                       .command, .exit_code, .stderr of a refusal by a cluster
├─ JobFailedError (subprocess.CalledProcessError)        .failed, .logs
├─ RemoteTraceback                                       the cause of an exception that came from a job
└─ MissingPackageError (ImportError)                     what to install
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any


class BatchException(Exception):
    """Any refusal of this package; the text is also in `.msg`."""

    def __init__(self, msg: str = "") -> None:
        super().__init__(msg)
        self.msg = msg


class UnitError(BatchException, ValueError):
    """A quantity such as '3Gb' or '1-1-1' that has none of the known forms."""


class UriError(BatchException, ValueError):
    """A path or address whose scheme or form is not known."""


class TemplateError(BatchException, ValueError):
    """A command or cell whose braces or references cannot be filled."""


class ConfigError(BatchException, ValueError):
    """A setting in the environment or in config.ini that has no valid value."""


class GrantError(BatchException, ValueError):
    """Cores, memory, disk or GPUs that no worker of a rate card has."""


class GraphError(BatchException, ValueError):
    """Jobs that cannot be ordered or do not belong together."""


class CycleError(GraphError):
    """Jobs that wait for one another; `.jobs` names them in order, the first again at the end."""

    def __init__(self, msg: str, jobs: Sequence[str] = ()) -> None:
        super().__init__(msg)
        self.jobs = tuple(jobs)


class ForeignJobError(GraphError):
    """A job or file of another batch."""


class CapabilityError(BatchException, NotImplementedError):
    """An option that this backend does not have."""


class SubmitError(BatchException):
    """The run could not begin; nothing was started."""


class RunLiveError(SubmitError):
    """A different run of the same batch is still going on."""


class RunLostError(BatchException):
    """A run directory that is gone, unreadable or of an unknown format."""


class StorageError(BatchException, OSError):
    """A file that cannot be read or written; `.uri` names it with secrets hidden."""

    def __init__(self, msg: str, uri: str = "") -> None:
        super().__init__(msg)
        self.uri = uri


class MissingFileError(StorageError, FileNotFoundError):
    """A file that is to be read and is not there."""


class ServiceError(BatchException):
    """A batch service refused a request, or could not be reached.

    status        what it answered, 0 without an answer
    method, path  of the request        body   what it said
    """

    def __init__(self, msg: str, status: int = 0, method: str = "", path: str = "", body: str = "") -> None:
        super().__init__(msg)
        self.status = status
        self.method = method
        self.path = path
        self.body = body


class NotAuthenticatedError(ServiceError):
    """The service does not know who asks."""


class ClusterError(BatchException):
    """A job manager, or the way to it, refused.

    command    the argument vector that failed, [] where there is none
    exit_code  its exit status, None where none is known
    stderr     what it wrote there
    """

    def __init__(self, msg: str = "", command: Sequence[str] = (), exit_code: int | None = None, stderr: str = "") -> None:
        super().__init__(msg)
        self.command = list(command)
        self.exit_code = exit_code
        self.stderr = stderr


class JobFailedError(BatchException, subprocess.CalledProcessError):
    """Jobs of a run that did not succeed.

    failed      one tuple (job_id, name, state, exit_code) a failed job, in job order
    logs        job_id -> the last lines of its log
    returncode  the exit code of the first failed job (124 for a timeout, 1 where there is none)
    """

    def __init__(self, msg: str, failed: Sequence[tuple[int, str, str, int | None]], logs: dict[int, str], returncode: int) -> None:
        Exception.__init__(self, msg)  # CalledProcessError's takes other arguments
        self.msg = msg
        self.failed = tuple(failed)
        self.logs = dict(logs)
        self.returncode = returncode
        self.cmd = failed[0][1] if failed else ""
        self.output: Any = logs.get(failed[0][0], "") if failed else ""
        self.stderr: Any = None

    def __str__(self) -> str:
        return self.msg


class MissingPackageError(BatchException, ImportError):
    """A package that only some uses need and that is not installed."""


class MissingMemberError(BatchException, AttributeError):
    """A member that a group of files does not have."""


class RemoteTraceback(BatchException):
    """The traceback of a function that failed in a job; the cause of the exception that is raised here."""
