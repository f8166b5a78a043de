"""Files of a run on this machine: inputs linked into scratch, outputs copied out of it, uploads written."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Callable

from hail_batch_jupyter.core.spec import SCRATCH, JobSpec, Transfer, Upload
from hail_batch_jupyter.engine.recycle import Recycler
from hail_batch_jupyter.engine.stores import Stores, bare, is_remote
from hail_batch_jupyter.engine.written import Noted, Written, facts_of

if TYPE_CHECKING:
    from concurrent.futures import Future

INLINE_BYTES = 1 << 20
"""Larger outputs are copied by a thread, so that the loop goes on."""


class Localizer:
    """Knows where scratch is and what was staged already.

    confined   folder in which outputs lie, where one is named, and out of which no links lead
    written    notes what is uploaded, where a later run may ask
    own        folder in which each job gets one, by its number, beside its directory, where one is named
    """

    def __init__(
        self,
        scratch: str,
        shared_directory: bool = False,
        stores: Stores | None = None,
        confined: str | None = None,
        own: str | None = None,
        written: Written | None = None,
    ) -> None:
        self.scratch = scratch
        self._confined = confined
        self._stores = stores
        self._written = written
        self._fetched: dict[tuple[str, str], Future[dict[str, str]]] = {}
        self._shared = shared_directory
        self._staged: set[str] = set()
        self._own = own
        self._own_folders = Recycler()
        self.recycler = Recycler()

    def absolute(self, path: str) -> str:
        """A path of a spec as a path of this machine; for one in an object store where its copy lies."""
        if path.startswith(SCRATCH):
            return self.scratch + path[len(SCRATCH) :]
        if is_remote(path):
            return _copy_of(path, "", self.scratch)
        return path[len("file://") :] if path.startswith("file://") else path

    def fetch(self, transfers: Sequence[Transfer]) -> Callable[[], bool] | None:
        """Begin to copy inputs from object stores, each once a run; gives what tells whether all are here or failed, None if they are now."""
        if self._stores is None or not transfers:
            return None
        wanted = dict.fromkeys((transfer.source, transfer.payer) for transfer in transfers if is_remote(transfer.source))
        for source, payer in wanted:
            if (source, payer) not in self._fetched:
                self._fetched[source, payer] = self._stores.copy(source, _copy_of(source, payer, self.scratch), payer)
        waiting = [self._fetched[key] for key in wanted]
        return None if all(future.done() for future in waiting) else lambda: all(future.done() for future in waiting)

    def stage(self, transfers: Iterable[Transfer]) -> None:
        """Link inputs into scratch, each once.

        Raises OSError naming a source that is not there.
        """
        for source, dest, _, payer in transfers:
            if dest not in self._staged:
                if is_remote(source):
                    self._check_fetched(source, payer)
                _link(_copy_of(source, payer, self.scratch) if is_remote(source) else self.absolute(source), self.absolute(dest))
                self._staged.add(dest)

    def _check_fetched(self, source: str, payer: str) -> None:
        future = self._fetched[source, payer]
        if future.exception() is not None:
            del self._fetched[source, payer]  # the next attempt asks again
            future.result()

    def make_directory(self, job: JobSpec, attempt: int) -> str:
        """The job's own empty directory, which is also its working directory unless all share scratch."""
        path = f"{self.scratch}/{job.directory}"
        if attempt > 1:
            self.remove_directory(job)
        self.recycler.folder(path)
        if self._own is not None and not os.path.isdir(f"{self._own}/{job.job_id}"):  # an input or an earlier attempt may have made it
            self._own_folders.folder(f"{self._own}/{job.job_id}")
        return self.scratch if self._shared else path

    def remove_directory(self, job: JobSpec) -> None:
        """Take the job's own directory away, if there is one."""
        path = f"{self.scratch}/{job.directory}"
        if os.path.isdir(path):
            remove_tree(path)

    def recycle(self, job: JobSpec, log: str) -> None:
        """Give back what a job that promised nothing, and of which no process is left, left empty."""
        if not (job.promises or job.results):
            self.recycler.give_log(log)
            self.recycler.give_folder(f"{self.scratch}/{job.directory}")
            if self._own is not None:
                self._own_folders.give_folder(f"{self._own}/{job.job_id}")

    def missing(self, job: JobSpec) -> str | None:
        """The first file that a job promised and did not make, None when all are there."""
        for relative in (*job.promises, *job.results):
            if not os.path.exists(f"{self.scratch}/{relative}"):
                return relative.split("/", 1)[-1]
        return None

    def small(self, transfers: Sequence[Transfer]) -> bool:
        """Whether copying takes so little time that it may be done between two jobs."""
        total = 0
        for transfer in transfers:
            if is_remote(transfer.dest):
                return False
            facts = os.stat(self.absolute(transfer.source))
            total += facts.st_size if not os.path.isdir(self.absolute(transfer.source)) else INLINE_BYTES
        return total < INLINE_BYTES

    def copy_out(self, transfers: Iterable[Transfer]) -> None:
        """Copy outputs to where the user wants them; a reader never sees half a file.

        Raises OSError naming the file.
        """
        far = []
        for source, dest, _, payer in transfers:
            if self._confined is not None:
                check_inside(self.absolute(source), self._confined)
            if self._stores is not None and (is_remote(source) or is_remote(dest)):
                here, there = source if is_remote(source) else self.absolute(source), dest if is_remote(dest) else self.absolute(dest)
                facts = "" if is_remote(source) or self._written is None else facts_of(here)  # before: what changes while it goes is not what went
                far.append((dest, facts, self._stores.copy(here, there, payer)))
            else:
                copy(self.absolute(source), self.absolute(dest))
        for dest, facts, future in far:
            told = future.result()
            if facts and told:
                self.note(dest, Noted(facts, told))

    def note(self, dest: str, noted: Noted) -> None:
        """Keep for later runs what was uploaded, by this run or an earlier one."""
        if self._written is not None:
            self._written.note(dest, noted)

    def still_there(self, transfers: Iterable[Transfer], before: Mapping[str, Noted]) -> dict[str, Noted]:
        """Those destinations in object stores where what earlier runs uploaded is what would be uploaded now, and nobody has touched it; asked for at once."""
        known = {}
        for transfer in transfers:
            noted = before.get(bare(transfer.dest)) if is_remote(transfer.dest) else None
            if noted is not None and noted.facts == facts_of(self.absolute(transfer.source)):
                known[transfer.dest] = noted
        if not known or self._stores is None:
            return {}
        try:
            found = self._stores.found(list(known)).result()
        except OSError:  # whoever writes there then says so, of each
            return {}
        return {dest: noted for (dest, noted), now in zip(known.items(), found) if all(now.get(name) == version for name, version in noted.told.items())}

    def written_out(self, transfers: Iterable[Transfer]) -> list[Transfer]:
        """Those outputs whose destination is not there as it would be copied now."""
        return [transfer for transfer in transfers if is_remote(transfer.dest) or not _same(self.absolute(transfer.source), self.absolute(transfer.dest))]


def _copy_of(uri: str, payer: str, scratch: str) -> str:
    """Where the copy of a file or folder of an object store lies, one for each who paid for it; its name has no token of the address."""
    import hashlib

    address = bare(uri)
    return f"{scratch}/fetched/{hashlib.sha256(f'{address}{payer}'.encode()).hexdigest()[:12]}/{os.path.basename(address.rstrip('/'))}"


def write_uploads(scratch: str, uploads: Iterable[Upload]) -> None:
    """Write the bytes that jobs read, readable by the user only."""
    made: set[str] = set()
    for upload in uploads:
        path = scratch + upload.dest[len(SCRATCH) :]
        folder = os.path.dirname(path)
        if folder not in made:
            os.makedirs(folder, 0o700, exist_ok=True)
            made.add(folder)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, upload.mode)
        with os.fdopen(fd, "wb") as file:
            file.write(upload.data)


def _link(source: str, dest: str) -> None:
    real = os.path.realpath(source)
    if not os.path.exists(real):
        raise FileNotFoundError(2, "input file does not exist", source)
    os.makedirs(os.path.dirname(dest), 0o700, exist_ok=True)
    try:
        os.symlink(real, dest)
    except FileExistsError:
        if os.readlink(dest) != real:
            os.unlink(dest)
            os.symlink(real, dest)


def copy(source: str, dest: str) -> None:
    """Copy a file in one step for its readers, or a folder file by file; parents are made, what is there is replaced."""
    import shutil  # brings five compression modules, which a run without outputs never needs

    if os.path.isdir(source):
        shutil.copytree(source, dest, dirs_exist_ok=True, copy_function=copy)
        return
    if os.path.isdir(dest):
        raise IsADirectoryError(21, "is a folder, so no file can be written there; name a file in it", dest)
    folder = os.path.dirname(dest) or "."
    os.makedirs(folder, exist_ok=True)
    temporary = f"{folder}/.{os.path.basename(dest)[:200]}.{os.getpid()}.{threading.get_ident()}.part"
    try:
        shutil.copyfile(source, temporary)
        shutil.copystat(source, temporary)
        os.replace(temporary, dest)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def remove_tree(path: str) -> None:
    """Remove a folder and everything in it."""
    import shutil

    shutil.rmtree(path)


def check_inside(path: str, folder: str) -> None:
    """Raise PermissionError for a file, or one in a folder, that is a link out of `folder`."""
    inside = os.path.realpath(folder) + os.sep
    found = [path, *(os.path.join(place, name) for place, folders, names in os.walk(path) for name in (*folders, *names))]
    for each in found:
        if not os.path.realpath(each).startswith(inside):
            raise PermissionError(1, "is a link to a place outside of the job's files, which is not copied", each)


def _same(source: str, dest: str) -> bool:
    try:
        a, b = os.stat(source), os.stat(dest)
    except OSError:
        return False
    if stat.S_ISDIR(a.st_mode):
        names = [os.path.join(folder, name)[len(source) :] for folder, _, files in os.walk(source) for name in files]
        return os.path.isdir(dest) and all(_same(source + name, dest + name) for name in names)
    return a.st_size == b.st_size and a.st_mtime_ns == b.st_mtime_ns


def link_tree(source: str, dest: str) -> bool:
    """Make `dest` share the content of `source`, a copy where the file system cannot link; whether it is now the very same file."""
    try:
        os.link(source, dest)  # at once: looking first would cost three times as much
        return True
    except FileNotFoundError:
        os.makedirs(os.path.dirname(dest), 0o700, exist_ok=True)
    except OSError:
        pass  # a folder, or what cannot be linked
    if not os.path.isdir(source):
        return _link_file(source, dest)
    import shutil

    shutil.copytree(source, dest, dirs_exist_ok=True, copy_function=_link_file)
    return False


def _link_file(source: str, dest: str) -> bool:
    try:
        os.link(source, dest)
        return True
    except FileExistsError:
        return False
    except OSError:
        import shutil

        shutil.copy2(source, dest)
        return False
