"""With whose rights, and at whose cost, object stores are asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from hail_batch_jupyter.config import configured, configured_list

if TYPE_CHECKING:
    from hail_batch_jupyter.client.session import Service


class Access(NamedTuple):
    """What requests to object stores carry.

    project   Google project that pays for reading buckets whose owner does not, None for nobody
    buckets   the only buckets that it pays for, None for all
    key_file  key of a Google service account; else the application-default credentials, else nobody's
    service   the batch service that is asked for hbj:// addresses; else the one that the settings name
    """

    project: str | None = None
    buckets: tuple[str, ...] | None = None
    key_file: str | None = None
    service: Service | None = None

    def payer(self, bucket: str) -> str | None:
        """Who pays for reading the bucket, None for its owner."""
        return self.project if self.buckets is None or bucket in self.buckets else None

    def paid_by(self, project: str) -> Access:
        """The same rights at the cost of that project, for every bucket."""
        return self._replace(project=project, buckets=None)

    @classmethod
    def of(cls, requester_pays: str | tuple[str, Iterable[str]] | None, key_file: str | None = None) -> Access:
        """The access for a project that pays, or for (project, the buckets that it pays for)."""
        if requester_pays is None or isinstance(requester_pays, str):
            return cls(requester_pays, None, key_file)
        project, buckets = requester_pays
        return cls(project, tuple(buckets), key_file)


def of_key(key_file: str | None, project: str | None = None) -> Access:
    """The access of somebody's key, which never has the project of the settings pay; without one as the settings say."""
    return Access(project, None, key_file) if key_file is not None else configured_access(project)


def configured_access(project: str | None = None, key_file: str | None = None) -> Access:
    """The access that the settings name; `project` comes before theirs, and pays for every bucket."""
    if project is not None:
        return Access(project, None, key_file)
    buckets = configured_list("gcs_requester_pays", "buckets")
    return Access(configured("gcs_requester_pays", "project"), None if buckets is None else tuple(buckets), key_file)
