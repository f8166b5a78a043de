"""Fingerprints of jobs: equal when they do the same, wherever their files lie and whoever typed them anew.

Names of jobs, paths of scratch, and the file names and line numbers of code do not count; notebook cells change these each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from hail_batch_jupyter.compile.code_digest import Digest
from hail_batch_jupyter.compile.paths import Paths, file_name, parts_of
from hail_batch_jupyter.core.draft import BatchDraft, JobDraft
from hail_batch_jupyter.core.files import FileKind, FileRef
from hail_batch_jupyter.core.template import Files, Piece, Value, Values

RefKey = Callable[[FileRef], str]


class Keys:
    """Keys of the jobs of one batch; those of a job's parents must be asked for before its own."""

    def __init__(self, draft: BatchDraft, paths: Paths) -> None:
        self._draft = draft
        self._paths = paths
        self._keys: dict[int, str] = {}
        self._functions: dict[int, str] = {}

    def key(self, job: JobDraft, parents: dict[int, str]) -> str:
        """The key of a job whose parents (uid -> on) have theirs."""

        def of(ref: FileRef) -> str:
            return self._of_file(ref, job)

        parts = [job.kind, *_settings(job), *sorted(f"after {self._keys[uid]} {on}" for uid, on in parents.items())]
        parts += _bash_parts(job, of) if job.kind == "bash" else self._python_parts(job, of)
        found = self._keys[job.uid] = hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()
        return found

    def _of_file(self, ref: FileRef, reader: JobDraft) -> str:
        if not ref.made_by_job:
            sources = self._paths.staged(ref.owner).sources
            if ref.kind is FileKind.INPUT_GROUP:
                return f"input {ref.member} {sorted(sources.items())}"
            extension = self._draft.inputs[ref.owner].extension
            return f"input {sources['']}{' as ' + extension if extension else ''}"
        owner = self._draft.jobs[ref.owner]
        names = [f"{part.member}={file_name(owner, part)}" for part in parts_of(owner, ref)]
        whose = "own" if ref.owner == reader.uid else self._keys[ref.owner]
        return f"file {whose} {ref.kind.value} {ref.member} {names}"

    def _python_parts(self, job: JobDraft, of: RefKey) -> list[str]:
        parts = []
        for call in job.calls:
            known = self._functions.get(id(call.function))
            if known is None:
                known = self._functions[id(call.function)] = Digest(None).of(call.function)
            forms = sorted((name, sorted(forms)) for name, forms in call.forms.items())
            parts += ["call", known, Digest(of).of((call.args, call.kwargs)), repr((call.results, call.named, forms))]
        return parts


def _settings(job: JobDraft) -> list[str]:
    values: list[Any] = [job.image, job.cpu, job.memory, job.storage, job.machine_type, *sorted(job.env.items())]
    if job.gpus:
        values.append(("gpus", job.gpus, job.gpu_kind))
    return list(map(repr, values))


def _bash_parts(job: JobDraft, of: RefKey) -> list[str]:
    parts = [repr(job.shell)]
    for template in job.commands:
        parts.append("command")
        parts.extend([piece if isinstance(piece, str) else _piece(piece, of) for piece in template])
    return parts


def _piece(piece: Piece, of: RefKey) -> str:
    if isinstance(piece, FileRef):
        return of(piece)
    if isinstance(piece, Files):
        return "files " + "\1".join(map(of, piece.refs))
    if isinstance(piece, Value):
        return "value " + piece.text
    assert isinstance(piece, Values)
    return "values " + repr(piece.texts)
