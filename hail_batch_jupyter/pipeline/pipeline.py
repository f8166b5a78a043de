"""A batch with the words of a pipeline."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.batch.batch import Batch
from hail_batch_jupyter.batch.tokens import FILE
from hail_batch_jupyter.pipeline.resource import InputResourceFile
from hail_batch_jupyter.pipeline.task import Task, gigabytes

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.backend import Backend
    from hail_batch_jupyter.batch.base_job import Job
    from hail_batch_jupyter.core.files import FileRef
    from hail_batch_jupyter.core.units import Quantity

__all__ = ["Pipeline"]


class Pipeline(Batch):
    """A Batch whose jobs are tasks, and where a number is an amount of memory in GB."""

    bash_job_class = Task

    def __init__(
        self,
        name: str | None = None,
        backend: Backend[Any] | None = None,
        attributes: dict[str, str] | None = None,
        default_image: str | None = None,
        default_memory: Quantity | None = None,
        default_cpu: Quantity | None = None,
        default_storage: Quantity | None = None,
        default_timeout: Quantity | None = None,
    ) -> None:
        super().__init__(
            name,
            backend,
            attributes,
            default_image=default_image,
            default_memory=gigabytes(default_memory),
            default_cpu=default_cpu,
            default_storage=default_storage,
            default_timeout=default_timeout,
        )

    def new_task(self, name: str | None = None, attributes: dict[str, str] | None = None) -> Task:
        """A new task of shell commands."""
        task = self.new_job(name, attributes)
        assert isinstance(task, Task)
        return task

    def select_tasks(self, pattern: str) -> list[Job]:
        """The tasks whose name begins with a match of the regular expression."""
        return self.select_jobs(pattern)

    def read_input(self, path: str | PathLike[str], extension: str | None = None) -> InputResourceFile:
        """A file from outside; `extension` is appended to the name under which tasks see it."""
        file = super().read_input(path)
        assert isinstance(file, InputResourceFile)
        return file if extension is None else file.add_extension(extension)

    def _input(self, ref: FileRef) -> InputResourceFile:
        return InputResourceFile(self, ref, self.new_token(FILE, ref))

    def run(
        self,
        dry_run: bool = False,
        verbose: bool = False,
        delete_scratch_on_exit: bool = True,
        wait: bool = True,
        open: bool = False,  # noqa: A002 - the documented name
        disable_progress_bar: bool = False,
        **backend_kwargs: Any,
    ) -> Any:
        """Run the tasks that did not run yet; see `Batch.run`."""
        asked = {"wait": wait, "open": open, "disable_progress_bar": disable_progress_bar}
        changed = {name: value for name, value in asked.items() if value is not (name == "wait")}
        return super().run(dry_run, verbose, delete_scratch_on_exit, **changed, **backend_kwargs)
