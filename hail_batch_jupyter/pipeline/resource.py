"""Files of pipelines, under the former names."""

from __future__ import annotations

from typing import Self

from hail_batch_jupyter.batch import resource
from hail_batch_jupyter.batch.resource import JobResourceFile, Resource, ResourceFile, ResourceGroup
from hail_batch_jupyter.errors import BatchException

__all__ = ["InputResourceFile", "Resource", "ResourceFile", "ResourceGroup", "TaskResourceFile"]

TaskResourceFile = JobResourceFile


class InputResourceFile(resource.InputResourceFile):
    """A file, or folder, from outside the pipeline."""

    __slots__ = ()

    def add_extension(self, extension: str) -> Self:
        """Append `extension`, such as '.txt', to the name under which tasks see the file.

        Raises BatchException for a second one, for no extension, and for a member of a group.
        """
        found = self.from_batch.draft.inputs[self.file_ref.owner]
        if not isinstance(extension, str) or not extension or {"/", "\0"} & set(extension):
            raise BatchException(f"extension {extension!r} cannot end a file name; write one such as '.txt'")
        if found.extension or found.members is not None:
            raise BatchException(f"input {found.path!r} already has a file extension, or is one of a group; add one to single files only")
        found.extension = extension
        return self
