"""What runs batches: the base class of all backends, and their names, which are imported when first used."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from hail_batch_jupyter.batch.uris import checked_path
from hail_batch_jupyter.config import configured_list
from hail_batch_jupyter.errors import CapabilityError

if TYPE_CHECKING:
    from types import TracebackType

    from hail_batch_jupyter.backends.local import LocalBackend
    from hail_batch_jupyter.backends.service.backend import ServiceBackend
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.core.ports import Pool, PoolRequest, SubmitOptions
    from hail_batch_jupyter.core.spec import BatchSpec
    from hail_batch_jupyter.storage.access import Access
    from hail_batch_jupyter.storage.files import Files

__all__ = ["Backend", "LocalBackend", "RunningBatchType", "ServiceBackend"]

RunningBatchType = TypeVar("RunningBatchType")

_LAZY = {"LocalBackend": "local", "ServiceBackend": "service", "SlurmBackend": "slurm"}
_IMAGES = {"HAIL_GENETICS_HAIL_IMAGE": "hail_image", "HAIL_GENETICS_HAILTOP_IMAGE": "hailtop_image"}
"""Constant -> function that gives it: found only when asked for, because not every Python has an image."""


class Backend(Generic[RunningBatchType]):
    """Runs batches. A new kind of backend writes `submit`, or, as one for hailtop does, `_async_run`.

    capabilities  options of jobs that it has, such as 'timeout'
    run_options   keywords beside those of every backend that `Batch.run` takes for it
    remote        its runs belong to a service: an interrupt leaves them, a failed job is told and not raised, and later runs of a batch are appended
    regions       where jobs may run that name no region, None for anywhere
    requester_pays         Google project that pays for reading, or (project, [buckets that it pays for]); None for that of the settings
    gcs_bucket_allow_list  cold buckets that may be used all the same, None for those of the settings
    """

    name: str = ""
    capabilities: frozenset[str] = frozenset()
    run_options: frozenset[str] = frozenset()
    remote: bool = False
    regions: list[str] | None = None
    requester_pays: str | tuple[str, list[str]] | None = None
    gcs_bucket_allow_list: list[str] | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: ARG004 - they are for __init__
        if cls.submit is Backend.submit and cls._async_run is Backend._async_run:
            raise TypeError(f"{cls.__name__} cannot be used as a backend, because it defines neither submit nor _async_run; use LocalBackend()")
        return super().__new__(cls)

    def begin(self) -> AbstractContextManager[Any]:
        """Start at once what takes time and is the same for any run; `submit` gets it in its options, and it is given back where none follows."""
        return nullcontext()

    def submit(self, spec: BatchSpec, options: SubmitOptions) -> RunningBatchType:
        """Begin a run; raises SubmitError, with nothing started, when that is not possible."""
        raise NotImplementedError(f"{type(self).__name__} runs batches by _async_run only")

    def open_pool(self, request: PoolRequest) -> Pool | None:
        """Warm processes for calls of functions, which the caller closes; None where there are none, and each call is a batch."""
        return None

    def attach(self, batch_id: int) -> RunningBatchType:
        """The handle on a batch that a service has."""
        raise CapabilityError(f"{type(self).__name__} has no batches with numbers; use ServiceBackend()")

    def made_with(self) -> dict[str, Any]:
        """The arguments that make such a backend again, without secrets; those that were not given are left out."""
        return {}

    def where(self) -> str:
        """Where jobs run, as in 'jobs run on Slurm, partition main'; '' where that goes without saying or is not known."""
        return ""

    @property
    def runs_specs(self) -> bool:
        """Whether `submit` is what runs a batch here."""
        return type(self).submit is not Backend.submit

    async def _async_run(self, batch: Batch, dry_run: bool, verbose: bool, delete_scratch_on_exit: bool, **backend_kwargs: Any) -> RunningBatchType | None:
        from hail_batch_jupyter.batch.run import async_run_batch

        running = await async_run_batch(batch, dry_run, verbose, delete_scratch_on_exit, **backend_kwargs)
        return cast("RunningBatchType | None", running)

    def _run(self, batch: Batch, dry_run: bool, verbose: bool, delete_scratch_on_exit: bool, **backend_kwargs: Any) -> RunningBatchType | None:
        running: RunningBatchType | None = finish(self._async_run(batch, dry_run, verbose, delete_scratch_on_exit, **backend_kwargs))
        return running

    def check_place(self, uri: object, requester_pays_config: Any = None) -> str:
        """The path or address as text.

        Raises UriError unless it is one that a batch can read or write; also for a bucket in cold storage that is not allowed.
        """
        text = checked_path(uri)
        if text.startswith("gs://"):
            from hail_batch_jupyter.storage.cold import check_hot

            check_hot(text, self._access(requester_pays_config), configured_list("gcs", "bucket_allow_list", self.gcs_bucket_allow_list) or ())
        return text

    async def validate_file(self, uri: str, requester_pays_config: Any = None) -> None:
        """As `check_place`, which it leaves to a thread."""
        import asyncio

        await asyncio.to_thread(self.check_place, uri, requester_pays_config)

    def requester_pays_fs(self, requester_pays_config: Any = None) -> Files:
        """What copies, reads, writes and lists files at any address, at the cost of this project, or (project, [buckets that it pays for])."""
        from hail_batch_jupyter.storage.files import Files

        return Files(self._access(requester_pays_config))

    @property
    def _fs(self) -> Files:
        return self.requester_pays_fs()

    def _access(self, requester_pays_config: Any) -> Access:
        from hail_batch_jupyter.storage.access import Access, configured_access

        who = self.requester_pays if requester_pays_config is None else requester_pays_config
        return configured_access() if who is None else Access.of(who)

    async def _async_close(self) -> None:
        return None

    async def async_close(self) -> None:
        """Give back what the backend holds; again does nothing more."""
        await self._async_close()

    def close(self) -> None:
        """Give back what the backend holds; again does nothing more."""
        if type(self)._async_close is not Backend._async_close:  # noqa: SLF001 - its own class; asyncio takes 50 ms to load for nothing
            finish(self.async_close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def finish(coroutine: Any) -> Any:
    """What the coroutine gives, in a loop of its own; also where another loop is running."""
    import asyncio
    import threading

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.extend((asyncio.run(coroutine), None))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that asked
            outcome.extend((None, error))

    thread = threading.Thread(target=work, name="hail-batch-jupyter-run")
    thread.start()
    thread.join()
    value, error = outcome
    if error is not None:
        raise error
    return value


def __getattr__(name: str) -> Any:
    if name in _IMAGES:
        from hail_batch_jupyter.batch import hail_genetics_images

        return getattr(hail_genetics_images, _IMAGES[name])()
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hail_batch_jupyter.core.registry import backend_class

    return backend_class(_LAZY[name])
