"""From what the user said to what is to run: a BatchDraft becomes a BatchSpec.

Pure but for the current and the home folder, from which relative paths of inputs start: nothing is read, written or remembered.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from hail_batch_jupyter.compile.arguments import references
from hail_batch_jupyter.compile.bash import bash_command, readable
from hail_batch_jupyter.compile.keys import Keys
from hail_batch_jupyter.compile.paths import Paths, file_name
from hail_batch_jupyter.core.dag import topological_order
from hail_batch_jupyter.core.draft import BatchDraft, JobDraft, OutputDraft
from hail_batch_jupyter.core.files import FileKind, FileRef
from hail_batch_jupyter.core.spec import NOTHING, SCRATCH, BatchSpec, Edge, GroupSpec, JobSpec, Request, Transfer, Upload
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.core.template import refs_of
from hail_batch_jupyter.core.units import memory_bytes, parse_bytes, parse_cpu
from hail_batch_jupyter.errors import BatchException, ForeignJobError, GraphError

if TYPE_CHECKING:
    from hail_batch_jupyter.compile.python_calls import CallPacker


class Links(NamedTuple):
    """How the jobs of a batch hang together; all by uid.

    reads     files that a job uses which it does not make itself
    parents   job -> {parent: on}
    promised  files of a job that somebody else uses, or that are written out
    outputs   what is written out of a job
    """

    reads: dict[int, list[FileRef]]
    parents: dict[int, dict[int, str]]
    promised: dict[int, dict[FileRef, None]]
    outputs: dict[int, list[OutputDraft]]


def compile_batch(draft: BatchDraft, *, only_new: bool = True, verbose: bool = False, appended: bool = False) -> BatchSpec:
    """What a run of the batch is to do; with `only_new` without the jobs that had their run.

    An `appended` run goes on where the jobs of earlier runs are: it may wait for one that has not ended. It is never taken up again, so its jobs have no keys.

    Raises CycleError, GraphError for a job that was dropped, and BatchException for a file of an earlier run that is gone, or
    for what cannot be pickled.
    """
    paths = Paths(draft)
    links = link(draft)
    order = ordered(draft, links)
    keys = {} if appended else _keys(draft, paths, links, order)
    chosen = [uid for uid in order if not (only_new and draft.jobs[uid].submitted)]
    first = 1 + max([job.job_id or 0 for job in draft.jobs.values() if job.submitted], default=0) if only_new else 1
    making = _Making(draft, paths, links, keys, _ids(chosen, first), verbose, appended)
    jobs = tuple([making.job(draft.jobs[uid]) for uid in chosen])
    return BatchSpec(
        name=draft.name,
        jobs=jobs,
        attributes=dict(draft.attributes),
        uploads=tuple(making.uploads()),
        external=tuple(_external(draft, paths)),
        lineage=draft.lineage,
        cancel_after_n_failures=draft.cancel_after_n_failures,
        requester_pays_project=draft.requester_pays_project,
        done=dict(draft.finished) if only_new else {},
        groups=tuple([GroupSpec(**asdict(group)) for group in draft.groups]),
        at_most=draft.at_most,
    )


def _ids(chosen: list[int], first: int) -> dict[int, int]:
    """Uid -> job id; equal numbers are one object, of which a large batch would have a hundred thousand twice."""
    return {uid: uid if uid == job_id else job_id for job_id, uid in enumerate(chosen, first)}


def job_keys(draft: BatchDraft) -> dict[int, str]:
    """The key of each job, by uid, without making anything to run."""
    paths, links = Paths(draft), link(draft)
    return _keys(draft, paths, links, ordered(draft, links))


def ordered(draft: BatchDraft, links: Links) -> list[int]:
    """Uids of all jobs, parents before children, else in the order of their making."""
    uids = list(draft.jobs)
    index = {uid: n for n, uid in enumerate(uids)}
    order = topological_order(
        len(uids),
        lambda n: [index[uid] for uid in links.parents[uids[n]]],
        lambda n: draft.jobs[uids[n]].name or f"job {uids[n]}",
    )
    return [uids[n] for n in order]


def link(draft: BatchDraft) -> Links:
    """How the jobs hang together, from what they read."""
    links = Links({}, {}, {uid: {} for uid in draft.jobs}, {})
    for job in draft.jobs.values():
        reads = links.reads[job.uid] = _reads(draft, job)
        parents = links.parents[job.uid] = {}
        for uid, on in job.depends_on.items():
            _check_there(draft, job, uid)
            parents[uid] = on
        for ref in reads:
            if ref.made_by_job:
                _check_there(draft, job, ref.owner)
                parents[ref.owner] = "success"
                links.promised[ref.owner][ref] = None
        for output in job.outputs:
            links.outputs.setdefault(job.uid, []).append(output)
    for output in draft.outputs:
        if output.ref.made_by_job:
            links.outputs.setdefault(output.ref.owner, []).append(output)
    for uid, outputs in links.outputs.items():
        links.promised[uid].update(dict.fromkeys([output.ref for output in outputs]))
    return links


def _reads(draft: BatchDraft, job: JobDraft) -> list[FileRef]:
    """What was noted when the job was described, and what was put into its arguments since."""
    if not job.calls:
        return list(job.reads)
    found = dict.fromkeys(job.reads)
    for call in job.calls:
        for reference in references(call):
            if reference.batch_serial != draft.serial:
                raise ForeignJobError(f"job {job} has {reference.file_ref.name!r} of another batch among its arguments; use files of the same batch")
            if reference.file_ref.owner != job.uid or not reference.file_ref.made_by_job:
                found[reference.file_ref] = None
    return list(found)


def _check_there(draft: BatchDraft, job: JobDraft, uid: int) -> None:
    if uid not in draft.jobs:
        raise GraphError(f"job {job} uses a job that was dropped from the batch; describe job {job} anew, or make the other one again")


def _keys(draft: BatchDraft, paths: Paths, links: Links, order: list[int]) -> dict[int, str]:
    keys = Keys(draft, paths)
    return {uid: keys.key(draft.jobs[uid], links.parents[uid]) for uid in order}


def _external(draft: BatchDraft, paths: Paths) -> list[Transfer]:
    """Inputs that are written straight to outputs."""
    copies = []
    for output in draft.outputs:
        ref = output.ref
        if not ref.made_by_job:
            sources = paths.staged(ref.owner).sources
            whole = ref.kind is FileKind.INPUT_GROUP and not ref.member
            wanted = {f".{member}": source for member, source in sources.items()} if whole else {"": sources[ref.member]}
            copies.extend([Transfer(source, output.dest + tail) for tail, source in wanted.items()])
    return copies


class _Making:
    """Makes the specs of chosen jobs, one after the other, and gathers the bytes that they need."""

    def __init__(self, draft: BatchDraft, paths: Paths, links: Links, keys: dict[int, str], ids: dict[int, int], verbose: bool, appended: bool) -> None:
        self._draft = draft
        self._paths = paths
        self._links = links
        self._keys = keys
        self._ids = ids
        self._verbose = verbose
        self._appended = appended
        self._uploads: list[Upload] = []
        self._shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        """What a job promises is mostly what its child needs: the same object for both."""
        self._packer: CallPacker | None = None

    def uploads(self) -> list[Upload]:
        """What must lie in scratch before the first job."""
        return self._uploads

    def job(self, job: JobDraft) -> JobSpec:
        """The spec of a job."""
        uid, directory = job.uid, self._paths.directory(job.uid)
        needs, inputs = self._sources(job)
        command, calls, code = self._command(job)
        promised = {path: None for ref in self._links.promised[uid] if ref.kind is not FileKind.RESULT for path in self._paths.all_of(ref)}
        promises = tuple(promised)
        return JobSpec(
            job_id=self._ids[uid],
            key=self._keys.get(uid, ""),
            name=job.name or None,
            kind=job.kind,
            command=command,
            directory=directory,
            env=dict(job.env) if job.env else NOTHING,
            image=job.image,
            inputs=inputs,
            outputs=tuple(self._outputs(job)),
            needs=needs,
            promises=self._shared.setdefault(promises, promises),
            results=tuple([f"{directory}/{name}" for call in job.calls for name in call.results]),
            calls=calls,
            parents=tuple(self._parents(job)),
            request=request_of(job),
            always_run=job.always_run,
            always_copy_output=job.always_copy_output,
            n_max_attempts=job.n_max_attempts,
            timeout_s=job.timeout_s,
            regions=None if job.regions is None else tuple(job.regions),
            cloudfuse=tuple(job.cloudfuse),
            attributes=dict(job.attributes) if job.attributes else NOTHING,
            user_code=job.source or self._shown(job),
            uid=uid,
            code=code,
            retry=job.retry,
            group=job.group,
        )

    def _command(self, job: JobDraft) -> tuple[tuple[str, ...], str | None, tuple[str, ...]]:
        if job.kind == "bash":
            command, upload = bash_command(job, self._paths, self._verbose)
            if upload is None:
                return command, None, ()
            self._uploads.append(upload)
            return command, None, (upload.dest[len(SCRATCH) + 1 :],)
        if self._packer is None:
            from hail_batch_jupyter.compile.python_calls import CallPacker

            self._packer = CallPacker(self._draft, self._paths)
        command, code, uploads = self._packer.pack(job)
        self._uploads.extend(uploads)
        return command, code[0], code

    def _sources(self, job: JobDraft) -> tuple[tuple[str, ...], tuple[Transfer, ...]]:
        """Files of jobs of this run, and transfers for everything else that the job reads."""
        needs: dict[str, None] = {}
        inputs: dict[str, Transfer] = {}
        for ref in self._links.reads[job.uid]:
            if not ref.made_by_job:
                inputs.update({copy.dest: copy for copy in self._staged(ref)})
            elif ref.owner in self._ids:
                needs.update(dict.fromkeys(self._paths.all_of(ref)))
            else:
                inputs.update({copy.dest: copy for copy in self._kept(ref, job)})
        files = tuple(needs)
        return self._shared.get(files, files), tuple(inputs.values())

    def _staged(self, ref: FileRef) -> list[Transfer]:
        sources, places = self._paths.staged(ref.owner)
        copies = [Transfer(source, f"{SCRATCH}/{places[member]}") for member, source in sources.items()]
        if ref.kind is FileKind.INPUT_GROUP and not ref.member:
            copies += [Transfer(source, f"{SCRATCH}/{places['']}.{member}") for member, source in sources.items()]
        return copies

    def _kept(self, ref: FileRef, reader: JobDraft) -> list[Transfer]:
        """Files of a job of an earlier run, which are there only if that run kept them."""
        owner = self._draft.jobs[ref.owner]
        if not self._appended and self._draft.finished.get(owner.job_id or 0) != JobState.SUCCESS.value:
            return []
        if owner.kept_in is None:
            name = file_name(owner, ref)
            raise BatchException(
                f"job {reader} reads {name!r} of job {owner}, which ran in an earlier run whose intermediate files were removed; "
                "describe both before one run, or use run(delete_scratch_on_exit=False)"
            )
        return [Transfer(f"{owner.kept_in}/{path}", f"{SCRATCH}/{path}") for path in self._paths.all_of(ref)]

    def _outputs(self, job: JobDraft) -> list[Transfer]:
        copies: dict[Transfer, None] = {}
        for output in self._links.outputs.get(job.uid, ()):
            ref = output.ref
            if ref.kind is FileKind.GROUP and not ref.member:
                for member in job.groups[ref.name].members:
                    source = self._paths.of(ref._replace(member=member))
                    copies[Transfer(f"{SCRATCH}/{source}", f"{output.dest}.{member}")] = None
            else:
                copies[Transfer(f"{SCRATCH}/{self._paths.of(ref)}", output.dest)] = None
        return list(copies)

    def _parents(self, job: JobDraft) -> list[Edge]:
        edges = []
        for uid, on in self._links.parents[job.uid].items():
            job_id = self._ids.get(uid)
            if job_id is None:
                job_id = self._finished(uid, job)
            edges.append(Edge(job_id, on))
        return edges

    def _finished(self, uid: int, child: JobDraft) -> int:
        parent = self._draft.jobs[uid]
        if parent.job_id not in self._draft.finished and not self._appended:
            raise BatchException(f"job {child} waits for job {parent} of an earlier run, which has not ended; wait for that run first")
        assert parent.job_id is not None
        return parent.job_id

    def _shown(self, job: JobDraft) -> str:
        if job.kind == "bash":
            return "\n".join([readable(template, self._name) if refs_of(template) else readable(template, str) for template in job.commands])
        from hail_batch_jupyter.compile.python_calls import shown_calls

        return shown_calls(job, self._name)

    def _name(self, ref: FileRef) -> str:
        if not ref.made_by_job:
            return self._paths.of(ref).rsplit("/", 1)[-1]
        owner = self._draft.jobs[ref.owner]
        return f"{owner.name or f'job {owner.uid}'}.{ref.name}{'.' + ref.member if ref.member else ''}"


def request_of(job: JobDraft) -> Request:
    """The resources that a job asks for."""
    cpu = None if job.cpu is None else parse_cpu(job.cpu)
    if job.cpu is job.memory is job.storage is job.machine_type is None and job.spot is None and not job.gpus:
        return _NOTHING
    return Request(
        cpu_mcpu=cpu,
        memory_bytes=None if job.memory is None else memory_bytes(job.memory, cpu or 1000),
        storage_bytes=None if job.storage is None else parse_bytes(job.storage, "storage"),
        machine_type=job.machine_type,
        spot=job.spot,
        asked=tuple([(name, text) for name, text in (("cpu", job.cpu), ("memory", job.memory), ("storage", job.storage)) if text is not None]),
        gpus=job.gpus,
        gpu_kind=job.gpu_kind,
    )


_NOTHING = Request()
