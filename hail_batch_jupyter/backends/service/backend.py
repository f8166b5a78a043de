"""ServiceBackend: runs batches on a batch service, Hail's or another that speaks its protocol."""

from __future__ import annotations

import hashlib
import secrets
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from hail_batch_jupyter.backends.service.run import ServiceRun
from hail_batch_jupyter.backends.service.settings import (
    RequesterPays,
    billing_project_of,
    no_remote_tmpdir,
    remote_tmpdir_of,
    requester_pays_of,
    with_positionals,
)
from hail_batch_jupyter.batch.backend import Backend
from hail_batch_jupyter.client.auth import headers_of
from hail_batch_jupyter.client.session import Service, Submitted
from hail_batch_jupyter.client.transport import Transport
from hail_batch_jupyter.compile.remote import Images, RemoteRun, Scratch, Sending, remote_run, renumbered
from hail_batch_jupyter.config import configured_list
from hail_batch_jupyter.config.deploy import HAILS_DOMAIN, deployment
from hail_batch_jupyter.core.collecting import nothing_collected
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.core.wire import ANY_REGION, check_sizes
from hail_batch_jupyter.errors import BatchException, ServiceError
from hail_batch_jupyter.storage.files import Files

if TYPE_CHECKING:
    from hail_batch_jupyter.storage.access import Access

_BASH_IMAGE = "ubuntu:24.04"
_INSIDE = "/io/batch"
_OWN = "/io"
"""The folder that a service of ours makes for each job."""


class _OnClassToo:
    """A method that also works on the class, where it uses a service found by the settings."""

    def __init__(self, method: Callable[[Service], Any]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, backend: ServiceBackend | None, kind: type[ServiceBackend]) -> Callable[[], Any]:
        def call() -> Any:
            if backend is not None:
                return self._method(backend.service)
            service = connect(None)
            try:
                return self._method(service)
            finally:
                service.transport.close()

        call.__doc__ = self.__doc__
        return call


class ServiceBackend(Backend[ServiceRun]):
    """Runs batches on a batch service; they go on when this process ends.

    billing_project  who pays; else the setting batch/billing_project
    remote_tmpdir    folder for intermediate files, such as 'gs://bucket/tmp'; else batch/remote_tmpdir, else the service's own storage where it has one
    regions          where jobs may run; ServiceBackend.ANY_REGION for anywhere; else batch/regions, else the service's default region
    token            a token for the service instead of the one that logging in left
    gcs_requester_pays_configuration  project that pays for reading, or (project, [buckets that it pays for])
    gcs_bucket_allow_list  cold buckets that may be used all the same
    bucket, google_project  deprecated

    Raises ConfigError, which is a ValueError, for a setting that is missing or contradicts another; ServiceError when the service cannot be asked for its
    default region.
    """

    name = "service"
    remote = True
    capabilities = frozenset({"timeout", "always_copy_output", "n_max_attempts", "cancel_after_n_failures", "spot", "regions", "cloudfuse", "groups"})
    run_options = frozenset({"wait", "open", "disable_progress_bar", "callback", "token"})

    ANY_REGION: ClassVar[list[str]] = list(ANY_REGION)
    """Stands for all regions."""

    def __init__(
        self,
        *args: Any,
        billing_project: str | None = None,
        bucket: str | None = None,
        remote_tmpdir: str | None = None,
        google_project: str | None = None,
        token: str | None = None,
        regions: list[str] | None = None,
        gcs_requester_pays_configuration: RequesterPays | None = None,
        gcs_bucket_allow_list: list[str] | None = None,
    ) -> None:
        given = with_positionals(args, {"billing_project": billing_project, "bucket": bucket}, stacklevel=2)
        self.billing_project = billing_project_of(given["billing_project"])
        told = remote_tmpdir_of(remote_tmpdir, given["bucket"], stacklevel=2)
        self.requester_pays = requester_pays_of(google_project, gcs_requester_pays_configuration, stacklevel=2)
        self.gcs_bucket_allow_list = configured_list("gcs", "bucket_allow_list", gcs_bucket_allow_list) or []
        if told is not None:
            self.check_place(told)
        elif deployment().domain == HAILS_DOMAIN:
            raise no_remote_tmpdir()
        self._page_url = deployment().page_url()
        self.service = connect(token)
        try:
            self.remote_tmpdir = told or self._own_storage()
            self.regions = self._regions(regions)
        except BaseException:
            self.service.transport.close()
            raise

    def _own_storage(self) -> str:
        """The folder that the service keeps intermediate files in.

        Raises ConfigError for a service that keeps none.
        """
        found = self.service.storage()
        if found is None:
            raise no_remote_tmpdir()
        return str(found["remote_tmpdir"])

    def where(self) -> str:
        """As the service says; '' from one that does not, or does not answer."""
        try:
            return self.service.where()
        except BatchException:
            return ""

    def _access(self, requester_pays_config: Any) -> Access:
        return super()._access(requester_pays_config)._replace(service=getattr(self, "service", None))

    def _regions(self, argument: list[str] | None) -> list[str] | None:
        """Where jobs may run, None for anywhere."""
        regions = configured_list("batch", "regions", argument)
        if regions == self.ANY_REGION:
            return None
        if regions is not None:
            return regions
        default = self.service.default_region()
        return None if default is None else [default]

    @_OnClassToo
    def supported_regions(service: Service) -> list[str]:  # noqa: N805 - the descriptor finds the service for a class, too
        """The regions that jobs may name; also `ServiceBackend.supported_regions()`."""
        return service.supported_regions()

    @_OnClassToo
    def default_region(service: Service) -> str | None:  # noqa: N805 - as above
        """The region of jobs that name none, None where the service knows no regions."""
        return service.default_region()

    def billing_projects(self) -> list[dict[str, Any]]:
        """The billing projects that the service shows this user: names, members, limits, what was spent."""
        return self.service.billing_projects()

    def spent(self, start: str | None = None, end: str | None = None, *, by_resource: bool = False) -> list[dict[str, Any]]:
        """What was spent from one day to another ('MM/DD/YYYY', else this month), a dict for each project and user, `by_resource` for each resource."""
        return self.service.spent(start, end, by_resource=by_resource)

    @property
    def _billing_project(self) -> str:
        return self.billing_project

    def submit(self, spec: BatchSpec, options: SubmitOptions) -> ServiceRun:
        """Copy the files that jobs read, and post the jobs: to a new batch, or to that of the run which this one follows.

        Raises SubmitError, CapabilityError and StorageError with nothing posted; ServiceError for a refusal.
        """
        token = spec.token or secrets.token_urlsafe(32)
        scratch = self._scratch(token)
        with nothing_collected():
            run = self._described(spec, scratch, keep_files=options.keep_files)
            check_sizes(run.spec)  # a job that is too large is found before anything is copied or posted
        earlier = options.follows if isinstance(options.follows, ServiceRun) else None
        if earlier is not None:
            _check_kept(spec.jobs, earlier)
        there = earlier.group_numbers if earlier is not None else {}
        _warn_of_rate_limits(run.spec.jobs)
        send(run.sendings, self._fs)
        try:
            made = self.service.submit(run.spec, token) if earlier is None else self.service.append(earlier.id, run.spec, token, there)
        except ServiceError:
            if run.sendings and spec.token is None:  # a batch that was posted before with the user's token may use the same folder
                self._fs.remove(scratch.remote)
            raise
        with nothing_collected():
            running = self._handle(run.spec, made, token, scratch.remote, options.keep_files)
        running.scratches = (scratch.remote, *(earlier.scratches if earlier is not None else ()))
        running.kept_files = (earlier.kept_files if earlier is not None else frozenset()) | _kept(run.spec, scratch, options.keep_files)
        return running

    def _described(self, spec: BatchSpec, scratch: Scratch, *, keep_files: bool) -> RemoteRun:
        """What `submit` would post, and the files that it would copy first."""
        images = Images(_BASH_IMAGE, _python_image(spec.jobs), _tools_image())
        spec = spec._replace(billing_project=self.billing_project, requester_pays_project=spec.requester_pays_project or self._project())
        return remote_run(spec, scratch, images, keep_files=keep_files)

    def _project(self) -> str | None:
        """The project that pays for every bucket; one that pays for some buckets only cannot be told to the service."""
        return self.requester_pays if isinstance(self.requester_pays, str) else None

    def _scratch(self, token: str) -> Scratch:
        """Folders of a run that follow from its token, so that the same submission again describes the same jobs."""
        name = hashlib.sha256(token.encode()).hexdigest()[:12]
        scratch = Scratch(f"{_INSIDE}/{name}", f"{self.remote_tmpdir}/{name}")
        return scratch._replace(inside=_OWN) if scratch.of_service else scratch

    def _handle(self, spec: BatchSpec, made: Submitted, token: str, remote: str, kept: bool) -> ServiceRun:
        first = spec.jobs[0].job_id if spec.jobs else 1
        numbered = spec._replace(jobs=tuple(renumbered(spec.jobs, first, made.start_job_id)))
        return ServiceRun(self.service, made, numbered, token=token, page_url=self._page_url, remote=remote, kept=kept)

    def attach(self, batch_id: int) -> ServiceRun:
        """The handle on a batch of the service, whoever submitted it.

        Raises ServiceError with status 404 when there is none that this user may see.
        """
        status = self.service.batch(batch_id)
        spec = BatchSpec(status.get("attributes", {}).get("name"), (), status.get("attributes", {}), billing_project=status.get("billing_project"))
        return self._handle(spec, Submitted(batch_id, 1, False), status["token"], "", False)

    async def _async_close(self) -> None:
        self.service.transport.close()


def connect(token: str | None) -> Service:
    """The service that settings and environment name, with this token or the one that logging in left."""
    place = deployment()
    return Service(Transport(place.base_url(), headers_of(token, place)))


def _kept(spec: BatchSpec, scratch: Scratch, keep_files: bool) -> frozenset[str]:
    """URIs of what the jobs leave in the shared folder."""
    if not keep_files:
        return frozenset()
    return frozenset(copy.dest for job in spec.jobs for copy in job.outputs if copy.dest.startswith(f"{scratch.remote}/"))


def _check_kept(jobs: Iterable[JobSpec], earlier: ServiceRun) -> None:
    """Raise BatchException for a file of an earlier submission that its job did not leave in the shared folder."""
    folders = tuple(f"{folder}/" for folder in earlier.scratches)
    for job in jobs:
        for copy in job.inputs:
            if copy.source.startswith(folders) and copy.source not in earlier.kept_files:
                name = copy.source.rsplit("/", 1)[-1]
                remedy = "describe both jobs before one run, or write the file out and read it with read_input"
                raise BatchException(f"job {job.display_name!r} reads {name!r} of an earlier run, in which no job read it, so it was not kept; {remedy}")


def send(sendings: Iterable[Sending], files: Files) -> None:
    """Copy what jobs read to where they read it, many files at once.

    Raises StorageError naming what could not be copied.
    """
    made = [(uri, content) for uri, content in sendings if isinstance(content, bytes)]
    files.write_all(made)
    files.copy([(content, uri) for uri, content in sendings if isinstance(content, str)])


def _python_image(jobs: Iterable[JobSpec]) -> str:
    """The image for Python jobs that name none; '' where none needs it."""
    if not any(job.kind == "python" and job.image is None for job in jobs):
        return ""
    from hail_batch_jupyter.batch.hail_genetics_images import hail_image

    return hail_image()


def _tools_image() -> str:
    from hail_batch_jupyter.batch.hail_genetics_images import hailtop_image

    return hailtop_image()


def _warn_of_rate_limits(jobs: Iterable[JobSpec]) -> None:
    """Docker Hub lets a service pull few images an hour, but those that the service itself keeps."""
    from hail_batch_jupyter.batch.hail_genetics_images import HAIL_GENETICS_IMAGES

    named = {job.image for job in jobs if job.image is not None and job.image != _BASH_IMAGE}
    for image in sorted(named):
        host, slash, _ = image.partition("/")
        hosted_elsewhere = bool(slash) and ("." in host or ":" in host or host == "localhost")
        if not hosted_elsewhere and image.partition(":")[0] not in HAIL_GENETICS_IMAGES:
            words = f"image {image!r} comes from Docker Hub, whose rate limits can fail jobs; copy it to a registry of your own cloud"
            warnings.warn(words, UserWarning, stacklevel=4)
