"""What a ServiceBackend is told, by arguments and settings, checked and put together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from hail_batch_jupyter.config import configured, configured_list
from hail_batch_jupyter.errors import ConfigError

_FORMER = ("billing_project", "bucket")
_SCHEMES = ("gs://", "https://", "file:///", "hbj://")
RequesterPays = str | tuple[str, list[str]]


def with_positionals(args: Sequence[Any], given: dict[str, Any], stacklevel: int) -> dict[str, Any]:
    """The keyword arguments with the two that once were positional."""
    if len(args) > len(_FORMER):
        raise TypeError(f"ServiceBackend() takes 2 positional arguments but {len(args)} were given; use keywords such as billing_project=…")
    for name, value in zip(_FORMER, args, strict=False):
        if given[name] is not None:
            raise TypeError(f"ServiceBackend() got multiple values for argument {name!r}; give it once, as a keyword")
        warnings.warn(f"ServiceBackend: giving {name!r} by position is deprecated; use {name}=…", UserWarning, stacklevel=stacklevel + 1)
        given = {**given, name: value}
    return given


def billing_project_of(argument: str | None) -> str:
    """Who pays for the batches.

    Raises ConfigError when nothing says it.
    """
    found = configured("batch", "billing_project", argument)
    if not found:
        how = "pass ServiceBackend(billing_project=…) or run: hail-batch-jupyter config set batch/billing_project NAME"
        raise ConfigError(f"the billing_project of ServiceBackend is not set; {how}")
    return found


def remote_tmpdir_of(remote_tmpdir: str | None, bucket: str | None, stacklevel: int) -> str | None:
    """The folder for intermediate files, without a slash at its end; None where nothing names one.

    Raises ConfigError for both, or one that no job can reach.
    """
    if bucket is not None:
        if remote_tmpdir is not None:
            raise ConfigError("ServiceBackend takes 'remote_tmpdir' or 'bucket', and both were given; give remote_tmpdir only")
        warnings.warn("ServiceBackend: 'bucket' is deprecated; use remote_tmpdir='gs://BUCKET/batch'", UserWarning, stacklevel=stacklevel + 1)
        return _of_bucket(bucket)
    found = configured("batch", "remote_tmpdir", remote_tmpdir)
    if found is None:
        former = configured("batch", "bucket")
        if former is not None:
            warnings.warn("the setting 'batch/bucket' is deprecated; use batch/remote_tmpdir", UserWarning, stacklevel=stacklevel + 1)
            return _of_bucket(former)
        return None
    if not found.startswith(_SCHEMES):
        raise ConfigError(f"remote_tmpdir {found!r} cannot be reached by jobs; use one that begins with {', '.join(_SCHEMES)}")
    return found.rstrip("/")


def no_remote_tmpdir() -> ConfigError:
    """Nothing names a folder for intermediate files, and the service has none of its own."""
    how = "pass ServiceBackend(remote_tmpdir='gs://bucket/folder') or run: hail-batch-jupyter config set batch/remote_tmpdir gs://bucket/folder"
    return ConfigError(f"the remote_tmpdir of ServiceBackend is not set; {how}")


def _of_bucket(bucket: str) -> str:
    if "gs://" in bucket:
        raise ConfigError(f"bucket {bucket!r} is an address, and a name is wanted; use remote_tmpdir={bucket!r}")
    return f"gs://{bucket}/batch"


def requester_pays_of(google_project: str | None, configuration: RequesterPays | None, stacklevel: int) -> RequesterPays | None:
    """Which project pays for reading buckets whose owner does not, and for which buckets only."""
    if google_project is not None:
        if configuration is not None:
            raise ConfigError("ServiceBackend takes 'gcs_requester_pays_configuration' or 'google_project', and both were given; give the first only")
        warnings.warn("ServiceBackend: 'google_project' is deprecated; use gcs_requester_pays_configuration", UserWarning, stacklevel=stacklevel + 1)
        return google_project
    if configuration is not None:
        return configuration
    project, buckets = configured("gcs_requester_pays", "project"), configured_list("gcs_requester_pays", "buckets")
    if project is None and buckets is not None:
        raise ConfigError("gcs_requester_pays/buckets is set and gcs_requester_pays/project is not; set the project, or unset the buckets")
    return (project, buckets) if project is not None and buckets is not None else project
