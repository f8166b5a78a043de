"""What a ServiceBackend posts, and what its runs say, against a service that records."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.backends.service.backend import ServiceBackend
from hail_batch_jupyter.backends.service.run import ServiceRun
from hail_batch_jupyter.errors import BatchException, CapabilityError, ConfigError, ServiceError, SubmitError
from tests.conftest import wait_until
from tests.recorder import Recorder, run_posted

CREATE = "batches/create-fast"


@pytest.fixture
def b(service: Recorder) -> hb.Batch:
    return hb.Batch(name="b", backend=ServiceBackend())


def only_job(service: Recorder) -> Any:
    """The first job of the newest request with jobs."""
    return [body["bunch"] for body in service.posted("-fast")][-1][0]


# one job, every setting


def test_a_job_with_every_setting_is_posted_field_by_field(service: Recorder) -> None:
    backend = ServiceBackend(remote_tmpdir="gs://bucket/tmp")
    b = hb.Batch("align", backend, {"who": "ada"}, requester_pays_project="payer", cancel_after_n_failures=5)
    j = b.new_job("hello", {"sample": "s1"}, shell="/bin/sh")
    j.command("echo hi").env("X", "a b").cpu(2).memory("highmem").storage("20Gi").spot(False).image("gcr.io/lab/tool:1").timeout(90)
    j.regions(["us-east1"]).always_run().always_copy_output().n_max_attempts(3).cloudfuse("bucket2", "/mnt").cloudfuse("a/c", "/mnt2")
    j._machine_type = "n1-standard-4"

    b.run(callback="http://me/done", token="t-1")

    body = service.posted(CREATE)[0]
    assert list(body) == ["bunch", "job_groups", "batch"]
    assert body["batch"] == {
        "billing_project": "lab-a",
        "n_jobs": 1,
        "n_job_groups": 0,
        "token": "t-1",
        "attributes": {"who": "ada", "name": "align"},
        "callback": "http://me/done",
        "cancel_after_n_failures": 5,
    }
    directory = b.compile(only_new=False).jobs[0].directory
    scratch = body["bunch"][0]["env"][1]["value"]
    assert scratch.startswith("/io/batch/")
    assert body["bunch"] == [
        {
            "always_run": True,
            "n_max_attempts": 3,
            "always_copy_output": True,
            "job_id": 1,
            "absolute_parent_ids": [],
            "in_update_parent_ids": [],
            "process": {
                "command": ["/bin/sh", "-c", f'set -e\nmkdir -p "${{BATCH_TMPDIR}}"/{directory}\nset -e\n{{\necho hi\n}}\n'],
                "image": "gcr.io/lab/tool:1",
                "type": "docker",
            },
            "in_update_job_group_id": 0,
            "env": [{"name": "X", "value": "a b"}, {"name": "BATCH_TMPDIR", "value": scratch}],
            "resources": {"cpu": "2", "memory": "highmem", "storage": "20Gi", "machine_type": "n1-standard-4", "preemptible": False},
            "attributes": {"sample": "s1", "name": "hello"},
            "timeout": 90.0,
            "cloudfuse": [
                {"bucket": "bucket2", "mount_path": "/mnt", "read_only": True},
                {"bucket": "a/c", "mount_path": "/mnt2", "read_only": True},
            ],
            "regions": ["us-east1"],
            "requester_pays_project": "payer",
            "user_code": "echo hi",
        }
    ]


def test_what_is_not_set_is_not_posted(service: Recorder) -> None:
    b = hb.Batch(backend=ServiceBackend(regions=ServiceBackend.ANY_REGION))
    b.new_job()

    b.run()

    body = service.posted(CREATE)[0]
    assert body["batch"].keys() == {"billing_project", "n_jobs", "n_job_groups", "token"}
    always = {
        "always_run",
        "n_max_attempts",
        "always_copy_output",
        "job_id",
        "absolute_parent_ids",
        "in_update_parent_ids",
        "process",
        "in_update_job_group_id",
    }
    assert body["bunch"][0].keys() == {*always, "env"}
    assert body["bunch"][0]["process"]["image"] == "ubuntu:24.04"


def test_the_same_token_describes_the_same_jobs_and_no_token_another_batch(service: Recorder) -> None:
    def run(token: str | None) -> Any:
        b = hb.Batch(backend=ServiceBackend())
        b.new_job().command("true")
        return b.run(token=token)

    first, second, third = run("t"), run("t"), run(None)

    bodies = service.posted(CREATE)
    assert (first.id, second.id, third.id) == (1, 1, 2)
    assert bodies[0] == bodies[1]
    assert bodies[0]["batch"]["token"] != bodies[2]["batch"]["token"]


# files


def test_a_member_that_is_read_brings_its_group_out_and_in(service: Recorder) -> None:
    b = hb.Batch(backend=ServiceBackend(remote_tmpdir="gs://bucket/tmp/"))
    j = b.new_job("make").declare_resource_group(g={"x": "{root}.x", "y": "{root}.y"})
    j.command(f"touch {j.g}.x {j.g}.y {j.other}")
    k = b.new_job("use").command(f"cat {j.g.x}")
    b.write_output(j.other, "gs://bucket/out")

    b.run()

    make, use, last = service.specs()
    inside, remote = make["env"][0]["value"], f"gs://bucket/tmp/{make['env'][0]['value'].rsplit('/', 1)[1]}"
    where = b.compile(only_new=False).job(1).directory
    assert make["output_files"] == [
        {"from": f"{inside}/{where}/g.x", "to": f"{remote}/{where}/g.x"},
        {"from": f"{inside}/{where}/g.y", "to": f"{remote}/{where}/g.y"},
        {"from": f"{inside}/{where}/other", "to": "gs://bucket/out"},
    ]
    assert use["input_files"] == [{"from": pair["to"], "to": pair["from"]} for pair in make["output_files"][:2]]
    assert use["in_update_parent_ids"] == [1]
    assert k._job_id == 2
    assert last["attributes"] == {"name": "remove_tmpdir"}


def test_the_last_job_clears_the_shared_folder(service: Recorder) -> None:
    b = hb.Batch(backend=ServiceBackend(remote_tmpdir="gs://bucket/tmp"))
    first = b.new_job("a")
    first.command(f"echo > {first.o}")
    b.new_job("b").command(f"cat {first.o}")
    b.new_job("c")

    b.run()

    last = service.specs()[-1]
    folder = service.specs()[0]["env"][0]["value"].rsplit("/", 1)[1]
    assert last["process"]["command"] == ["python3", "-m", "hailtop.aiotools.delete", f"gs://bucket/tmp/{folder}"]
    assert last["process"]["image"].startswith("hailgenetics/hailtop:")
    assert (last["always_run"], last["resources"], last["in_update_parent_ids"]) == (True, {"cpu": "0.25"}, [2, 3])


def test_without_intermediate_files_or_when_they_are_kept_nothing_is_cleared(service: Recorder) -> None:
    for keep in (False, True):
        b = hb.Batch(backend=ServiceBackend(remote_tmpdir="gs://bucket/tmp"))
        j = b.new_job("a").command("true")
        if keep:
            b.new_job("b").command(f"cat {j.command('touch ' + j.o).o}")
        b.run(delete_scratch_on_exit=not keep)

    assert [len(service.specs(1)), len(service.specs(2))] == [1, 2]


def test_inputs_that_are_written_out_are_copied_by_a_first_job(service: Recorder) -> None:
    b = hb.Batch(backend=ServiceBackend(remote_tmpdir="gs://bucket/tmp"))
    b.write_output(b.read_input("gs://data/in.txt"), "gs://bucket/out.txt")
    j = b.new_job("j")
    b.new_job("k").depends_on(j)

    b.run()

    first, _, k = service.specs()
    assert first["attributes"] == {"name": "write_external_inputs"}
    assert first["process"]["command"][:4] == ["python3", "-m", "hailtop.aiotools.copy", "null"]
    assert json.loads(first["process"]["command"][4]) == [{"from": "gs://data/in.txt", "to": "gs://bucket/out.txt"}]
    assert (k["job_id"], k["in_update_parent_ids"], j._job_id) == (3, [2], 2)


def test_a_large_command_is_a_file_that_the_shell_reads(service: Recorder, b: hb.Batch, tmp_path: Path) -> None:
    j = b.new_job("big")
    j.command("V=" + "x" * 11_000).command(f"echo ${{#V}} > {j.o}")
    b.write_output(j.o, str(tmp_path / "out"))

    b.run(delete_scratch_on_exit=False)

    spec = service.specs()[0]
    code = next(pair for pair in spec["input_files"] if pair["from"].endswith(".sh"))
    assert Path(code["from"].removeprefix("file://")).read_text().startswith("set -e\n{\nV=xxx")
    assert "code/" in spec["process"]["command"][2]
    assert len(spec["process"]["command"][2]) < 200
    assert "x" * 11_000 in spec["user_code"]
    assert run_posted(spec, tmp_path / "machine") == 0
    assert (tmp_path / "out").read_text() == "11000\n"


def test_posted_jobs_do_what_was_described(service: Recorder, b: hb.Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.txt").write_text("one\n")
    (tmp_path / "c.txt").write_text("two\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "d.txt").write_text("three\n")
    single, group, folder = b.read_input("a b.txt"), b.read_input_group(c="c.txt"), b.read_input("folder")
    j = b.new_job("bash ü").command("cd /tmp")
    j.command(f'cat {single} {group}.c "{group.c}" {folder}/d.txt > {j.o}')
    p = b.new_python_job("python")
    count = p.call(lambda path, times: len(Path(path).read_text().split()) * times, j.o, times=10)
    last = b.new_job("last")
    last.command(f"cat {count.as_json()} > {last.o}")
    b.write_output(last.o, "out/last.txt")
    b.write_output(count, "out/count")
    b.write_output(single, "out/copy.txt")

    b.run()
    codes = [run_posted(spec, tmp_path / "machine") for spec in service.specs()]

    assert codes == [0, 0, 0, 0, 0]
    assert (tmp_path / "out" / "last.txt").read_text() == "40\n"
    assert (tmp_path / "out" / "copy.txt").read_text() == "one\n"
    assert (tmp_path / "out" / "count").exists()
    assert list((tmp_path / "remote").iterdir()) == []


def test_a_python_job_uses_an_image_of_its_python(service: Recorder, b: hb.Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_GENETICS_HAIL_IMAGE", "gcr.io/lab/hail:1")
    b.new_python_job("p").call(print)

    b.run()

    assert service.specs()[0]["process"]["image"] == "gcr.io/lab/hail:1"
    assert service.specs()[0]["user_code"] == "print()"


def test_places_that_jobs_cannot_reach_are_refused_with_nothing_posted(service: Recorder, tmp_path: Path) -> None:
    backend = ServiceBackend(remote_tmpdir="gs://bucket/tmp")
    writes = hb.Batch(backend=backend)
    j = writes.new_job("w")
    writes.write_output(j.command(f"touch {j.o}").o, str(tmp_path / "out"))

    with pytest.raises(CapabilityError, match="job 'w' writes '.*/out', and jobs of a batch service cannot write files of this machine"):
        writes.run()
    assert service.posted() == []


def test_a_missing_input_is_told_with_nothing_posted(service: Recorder, b: hb.Batch) -> None:
    b.new_job().command(f"cat {b.read_input('/nowhere/in')}")

    with pytest.raises(FileNotFoundError, match="'/nowhere/in' does not exist"):
        b.run()
    assert service.posted() == []
    assert b.last_run is None


# regions


def test_regions_come_from_the_job_then_the_batch_then_the_backend_then_the_settings(service: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    def posted(backend: ServiceBackend, default: list[str] | None = None, *own: list[str] | None) -> Any:
        b = hb.Batch(backend=backend, default_regions=default)
        j = b.new_job()
        if own:
            j.regions(own[0])
        b.run()
        return only_job(service).get("regions", "absent")

    assert posted(ServiceBackend()) == ["us-central1"]
    monkeypatch.setenv("HAIL_BATCH_REGIONS", "r1, r2")
    assert posted(ServiceBackend()) == ["r1", "r2"]
    assert posted(ServiceBackend(regions=["r3"])) == ["r3"]
    assert posted(ServiceBackend(regions=["r3"]), ["r4"]) == ["r4"]
    assert posted(ServiceBackend(regions=["r3"]), ["r4"], ["r5"]) == ["r5"]
    assert posted(ServiceBackend(regions=["r3"]), ["r4"], None) == "absent"
    assert posted(ServiceBackend(regions=["r3"]), ServiceBackend.ANY_REGION) == "absent"
    assert posted(ServiceBackend(regions=ServiceBackend.ANY_REGION)) == "absent"
    monkeypatch.setenv("HAIL_BATCH_REGIONS", "any_region")
    assert posted(ServiceBackend()) == "absent"


def test_a_service_without_regions_is_asked_once_and_left_alone(service: Recorder) -> None:
    service.regions = None

    assert ServiceBackend().regions is None
    assert service.short == ["GET default_region"]


def test_regions_are_told_by_the_class_and_by_a_backend(service: Recorder) -> None:
    backend = ServiceBackend()

    assert ServiceBackend.supported_regions() == backend.supported_regions() == ["us-central1", "us-east1"]
    assert ServiceBackend.default_region() == backend.default_region() == "us-central1"
    assert "also `ServiceBackend.supported_regions()`" in (ServiceBackend.supported_regions.__doc__ or "")


# arguments and settings


def test_the_signature_is_hailtops() -> None:
    parameters = inspect.signature(ServiceBackend).parameters
    named = ["billing_project", "bucket", "remote_tmpdir", "google_project", "token", "regions", "gcs_requester_pays_configuration", "gcs_bucket_allow_list"]

    assert list(parameters) == ["args", *named]
    assert parameters["args"].kind is inspect.Parameter.VAR_POSITIONAL
    assert {(parameters[name].kind, parameters[name].default) for name in named} == {(inspect.Parameter.KEYWORD_ONLY, None)}
    run = inspect.signature(ServiceBackend._async_run).parameters
    assert list(run)[:5] == ["self", "batch", "dry_run", "verbose", "delete_scratch_on_exit"]


@pytest.mark.usefixtures("service")
def test_two_arguments_may_be_given_by_position_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HAIL_BATCH_REMOTE_TMPDIR")
    with pytest.warns(UserWarning, match="deprecated") as warned:
        backend = ServiceBackend("lab-b", "bucket")

    assert (backend.billing_project, backend.remote_tmpdir) == ("lab-b", "gs://bucket/batch")
    words = [str(warning.message) for warning in warned]
    assert ["'billing_project' by position is deprecated" in words[0], "'bucket' by position" in words[1], "use remote_tmpdir=" in words[2]] == [True] * 3
    assert {warning.filename for warning in warned} == {__file__}


@pytest.mark.usefixtures("service")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("args", "kwargs", "error", "words"),
    [
        pytest.param(("a", "b", "c"), {}, TypeError, "takes 2 positional arguments but 3 were given", id="three"),
        pytest.param(("a",), {"billing_project": "a"}, TypeError, "multiple values for argument 'billing_project'", id="twice"),
        pytest.param((), {"google_project": "p", "gcs_requester_pays_configuration": "q"}, ValueError, "both were given", id="two projects"),
        pytest.param((), {"bucket": "b", "remote_tmpdir": "gs://b/t"}, ValueError, "both were given", id="two folders"),
        pytest.param((), {"bucket": "gs://b"}, ValueError, r"use remote_tmpdir='gs://b'", id="address as bucket"),
        pytest.param((), {"remote_tmpdir": "/tmp/x"}, ValueError, "cannot be reached by jobs; use one that begins with gs://, https://", id="local folder"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(args: tuple[str, ...], kwargs: dict[str, str], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ServiceBackend(*args, **kwargs)


@pytest.mark.parametrize(("variable", "how"), [("BILLING_PROJECT", "batch/billing_project NAME"), ("REMOTE_TMPDIR", "batch/remote_tmpdir gs://bucket/folder")])
def test_a_missing_setting_says_how_to_set_it(service: Recorder, monkeypatch: pytest.MonkeyPatch, variable: str, how: str) -> None:
    monkeypatch.delenv(f"HAIL_BATCH_{variable}")

    with pytest.raises(ConfigError, match=f"hail-batch-jupyter config set {how}"):
        ServiceBackend()
    assert [request.path for request in service.requests] == (["/api/v1alpha/files"] if variable == "REMOTE_TMPDIR" else [])


@pytest.mark.usefixtures("service")
def test_settings_of_the_files_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BILLING_PROJECT", "REMOTE_TMPDIR"):
        monkeypatch.delenv(f"HAIL_BATCH_{name}")
    (tmp_path / "config" / "hail").mkdir(parents=True)
    (tmp_path / "config" / "hail" / "config.ini").write_text(
        "[batch]\nbilling_project = from-file\nbucket = old\nregions = r9\n[gcs_requester_pays]\nproject = p\nbuckets = a,b\n[gcs]\nbucket_allow_list = cold\n"
    )

    with pytest.warns(UserWarning, match="'batch/bucket' is deprecated"):
        backend = ServiceBackend()

    assert (backend.billing_project, backend.remote_tmpdir, backend.regions) == ("from-file", "gs://old/batch", ["r9"])
    assert (backend.requester_pays, backend.gcs_bucket_allow_list) == (("p", ["a", "b"]), ["cold"])
    assert ServiceBackend(remote_tmpdir="gs://x/t//", gcs_bucket_allow_list=[]).gcs_bucket_allow_list == []


def test_the_token_argument_takes_the_place_of_the_stored_one(service: Recorder, tmp_path: Path) -> None:
    (tmp_path / "tokens.json").unlink()
    with pytest.raises(ServiceError, match="Not authenticated with Hail Batch"):
        ServiceBackend()

    assert ServiceBackend(token="a-token").regions == ["us-central1"]
    with pytest.raises(ServiceError, match="log in again"):
        ServiceBackend(token="wrong")
    assert len(service.requests) == 2


@pytest.mark.usefixtures("service")
def test_a_batch_takes_the_backend_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(hb.Batch().backend, LocalBackend)
    monkeypatch.setenv("HAIL_BATCH_BACKEND", "service")
    assert isinstance(hb.Batch().backend, hb.ServiceBackend)
    assert hb.ServiceBackend is ServiceBackend
    monkeypatch.setenv("HAIL_BATCH_BACKEND", "cloud")
    with pytest.raises(ValueError, match="'cloud' is not known; use one of: local, service"):
        hb.Batch()


def test_a_backend_is_closed_by_its_block_and_again(service: Recorder) -> None:
    with ServiceBackend() as backend:
        b = hb.Batch(backend=backend)
        b.new_job()
        run = b.run()
    backend.close()

    assert run.status()["state"] == "success"


# running


def test_a_run_waits_and_tells_how_it_ended(service: Recorder, b: hb.Batch, capsys: pytest.CaptureFixture[str]) -> None:
    b.new_job("j").command("true")

    run = b.run()

    assert isinstance(run, ServiceRun)
    assert capsys.readouterr().out == f"Submitted batch 1, see {service.url}/batches/1\nbatch 1 complete: success\n"
    assert (run.id, run.url, run.attributes) == (1, f"{service.url}/batches/1", {"name": "b"})
    assert service.short[:2] == ["GET default_region", f"POST {CREATE}"]


def test_a_failed_job_is_told_and_not_raised(service: Recorder, b: hb.Batch, capsys: pytest.CaptureFixture[str]) -> None:
    service.outcome = lambda _: ("Failed", 3)
    b.new_job("bad").command("exit 3")

    run = b.run()

    assert "batch 1 complete: failure\n" in capsys.readouterr().out
    error = run.error()
    assert error is not None
    assert error.returncode == 3


def test_dry_run_posts_nothing_and_says_the_same_again(service: Recorder, b: hb.Batch, capsys: pytest.CaptureFixture[str]) -> None:
    b.new_job("j").command("echo hi")

    assert b.run(dry_run=True) is None
    first = capsys.readouterr().out
    b.run(dry_run=True, token="t", callback="http://x")

    assert capsys.readouterr().out == first
    assert "# 1: j" in first
    assert service.posted() == []
    b.run()
    assert service.specs()[0]["process"]["command"][2].count("echo hi") == 1


def test_an_unknown_keyword_is_refused(b: hb.Batch) -> None:
    with pytest.raises(ValueError, match=r"ServiceBackend does not support any of these keywords: \{'bogus': 1\}"):
        b.run(bogus=1)


def test_verbose_shells_print_each_command(service: Recorder, b: hb.Batch) -> None:
    b.new_job("j").command("true")

    b.run(verbose=True)

    assert "\nset -ex\n" in service.specs()[0]["process"]["command"][2]


def test_an_image_of_docker_hub_is_warned_of(service: Recorder, b: hb.Batch) -> None:
    for image in ("hailgenetics/hail:1", "us-docker.pkg.dev/p/i:1", "localhost:5000/i"):
        b.new_job().image(image)
    b.run()
    b.new_job().image("biocontainers/bwa:1")

    with pytest.warns(UserWarning, match="image 'biocontainers/bwa:1' comes from Docker Hub"):
        b.run()


def test_a_refusal_leaves_the_jobs_to_be_submitted(service: Recorder, b: hb.Batch) -> None:
    j = b.new_job("j").cpu(3)

    with pytest.raises(ServiceError, match="cpu must be a power of two with a min of 0.25; found 3"):
        b.run()
    j.cpu(4)
    b.run()

    assert service.batches[2]["jobs"][1]["spec"]["resources"]["cpu"] == "4"


def test_a_refusal_leaves_no_files_behind(service: Recorder, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("")
    b = hb.Batch(backend=ServiceBackend(billing_project="closed"))
    b.new_job("j").command(f"cat {b.read_input(tmp_path / 'in')}")

    with pytest.raises(ServiceError, match="Billing project closed is closed or deleted"):
        b.run()
    assert list((tmp_path / "remote").iterdir()) == []


# appending


def test_jobs_are_added_to_the_batch_that_was_submitted(service: Recorder, b: hb.Batch, caplog: pytest.LogCaptureFixture) -> None:
    first = b.new_job("first").command("true")
    run1 = b.run()
    second = b.new_job("second").depends_on(first)
    b.new_job("third").depends_on(second, first)
    run2 = b.run(callback="http://ignored")
    run3 = b.run()

    update = service.posted("1/update-fast")
    assert (run1.id, run2.id, run3) == (1, 1, run2)
    assert run1 is not run2
    assert len(update) == 1
    assert update[0]["update"] == {"token": update[0]["update"]["token"], "n_jobs": 2, "n_job_groups": 0}
    parents = [(job["job_id"], job["absolute_parent_ids"], job["in_update_parent_ids"], job["absolute_job_group_id"]) for job in update[0]["bunch"]]
    assert parents == [(1, [1], [], 0), (2, [1], [1], 0)]
    assert (first._job_id, second._job_id) == (1, 2)
    assert [job.job_id for job in run2.spec.jobs] == [2, 3]
    assert "no new jobs" in caplog.text


def test_a_first_run_without_jobs_makes_an_empty_batch(service: Recorder, b: hb.Batch) -> None:
    run = b.run()

    assert service.posted("batches/create")[0]["n_jobs"] == 0
    assert run.status()["complete"]
    b.new_job("j")
    assert b.run().id == run.id
    assert "POST batches/1/update-fast" in service.short


def test_numbers_are_the_services_also_after_helpers_of_an_earlier_run(service: Recorder, b: hb.Batch) -> None:
    a = b.new_job("a")
    a.command(f"echo > {a.o}")
    b.new_job("b").command(f"cat {a.o}")
    b.run()
    c = b.new_job("c").depends_on(a)
    run = b.run()

    assert [spec["attributes"]["name"] for spec in service.specs()] == ["a", "b", "remove_tmpdir", "c"]
    assert c._job_id == 4
    assert run.get_job(4)["name"] == "c"
    assert service.posted("update-fast")[0]["bunch"][0]["absolute_parent_ids"] == [1]


def test_a_file_of_an_earlier_run_can_be_read_if_it_was_kept(service: Recorder, b: hb.Batch) -> None:
    a = b.new_job("a")
    a.command(f"touch {a.kept} {a.unread}")
    b.write_output(a.kept, "gs://bucket/out")
    b.run(delete_scratch_on_exit=False)
    reader = b.new_job("reader").command(f"cat {a.kept}")
    b.run(delete_scratch_on_exit=False)

    kept = next(pair for pair in service.specs()[0]["output_files"] if pair["to"].startswith("file://"))
    assert service.specs()[1]["input_files"][0]["from"] == kept["to"]
    assert reader._job_id == 2
    b.new_job("late").command(f"cat {a.unread}")
    with pytest.raises(BatchException, match="job 'late' reads 'unread' of an earlier run, in which no job read it"):
        b.run()


def test_a_file_of_an_earlier_run_that_was_cleared_is_refused(b: hb.Batch) -> None:
    a = b.new_job("a")
    a.command(f"touch {a.o}")
    b.run()
    b.new_job("late").command(f"cat {a.o}")

    with pytest.raises(BatchException, match=r"whose intermediate files were removed; .*delete_scratch_on_exit=False"):
        b.run()


def test_jobs_can_wait_for_jobs_of_a_run_that_goes_on(service: Recorder, b: hb.Batch) -> None:
    service.outcome = None
    first = b.new_job("first")
    b.run(wait=False)
    b.new_job("second").depends_on(first)
    b.run(wait=False)

    assert service.posted("update-fast")[0]["bunch"][0]["absolute_parent_ids"] == [1]


def test_a_batch_of_the_service_is_continued_by_its_number(service: Recorder, b: hb.Batch) -> None:
    b.new_job("theirs")
    b.run()
    again = hb.Batch.from_batch_id(1, backend=ServiceBackend(), default_image="gcr.io/i:1")
    assert (again.name, again.select_jobs("")) == (None, [])
    j = again.new_job("mine")

    run = again.run()

    assert (run.id, j._job_id) == (1, 2)
    assert service.specs()[1]["process"]["image"] == "gcr.io/i:1"
    assert [entry["name"] for entry in run.jobs()] == ["theirs", "mine"]


def test_a_batch_that_is_not_there_or_not_on_a_service_cannot_be_continued(service: Recorder) -> None:
    with pytest.raises(ServiceError, match="404"):
        hb.Batch.from_batch_id(9, backend=ServiceBackend())
    with pytest.raises(BatchException, match=r"from_batch_id\(1\) needs a batch of a service"):
        hb.Batch.from_batch_id(1, backend=LocalBackend())


# bunches


def test_many_jobs_go_in_bunches_and_are_committed_once(service: Recorder, b: hb.Batch) -> None:
    jobs = [b.new_job().command("true") for _ in range(2500)]
    jobs[-1].depends_on(jobs[0])

    run = b.run()

    assert service.short[1] == "POST batches/create"
    assert service.short.count("POST batches/1/updates/1/jobs/create") == 3
    assert service.short.index("PATCH batches/1/updates/1/commit") == 5
    assert sorted(len(body) for body in service.posted("jobs/create")) == [452, 1024, 1024]
    assert [spec["job_id"] for spec in service.specs()] == list(range(1, 2501))
    assert service.specs()[-1]["in_update_parent_ids"] == [1]
    assert run.snapshot().complete
    assert not run.used_fast_path
    b.new_job("more").depends_on(jobs[-1])
    assert b.run().used_fast_path


def test_many_jobs_are_added_in_bunches_too(service: Recorder, b: hb.Batch) -> None:
    b.new_job("first")
    b.run()
    for _ in range(1025):
        b.new_job()

    b.run()

    assert service.posted("updates/create")[0]["n_jobs"] == 1025
    assert len(service.specs()) == 1026


def test_no_bunch_is_a_mebibyte_or_more(service: Recorder, b: hb.Batch) -> None:
    for number in range(5):
        b.new_job(f"j{number}").env("X", "x" * 300_000)

    b.run()

    sizes = [len(request.data) for request in service.requests if request.path.endswith("jobs/create")]
    assert len(sizes) == 2
    assert max(sizes) < 1 << 20
    assert service.batches[1]["jobs"].keys() == {1, 2, 3, 4, 5}


def test_a_job_that_no_bunch_holds_is_refused_with_nothing_posted(service: Recorder, b: hb.Batch) -> None:
    b.new_job("large").env("X", "x" * (1 << 20))

    with pytest.raises(SubmitError, match="job 'large' takes .* bytes to describe, and a service takes less than 1048576"):
        b.run()
    assert service.posted() == []


def test_posting_goes_on_where_the_service_failed_for_a_while(service: Recorder, b: hb.Batch) -> None:
    b.backend.service.transport._first_delay_s = 0.001  # type: ignore[attr-defined]  # of this backend
    service.trouble = [(503, ""), (500, "")]
    b.new_job("j")

    assert b.run().id == 1
    assert len(service.batches) == 1


# looking at a run


def test_a_run_is_seen_while_it_goes_on(service: Recorder, b: hb.Batch) -> None:
    service.outcome = None
    for name in ("one", "two", "three"):
        b.new_job(name)
    run = b.run(wait=False)
    heard: list[str] = []
    stop = run.subscribe(lambda snapshot: heard.append("".join(view.state.value[0] for view in snapshot.jobs)))
    service.set_state(1, "Running")
    wait_until(lambda: heard and heard[-1] == "RRR" and run.snapshot().jobs[0].phase == "main", story=lambda: heard)
    service.set_state(1, "Success", 0)
    service.set_state(2, "Failed", 137, log="killed\nhere\n", reason="out of memory", ended=9)
    service.set_state(3, "Cancelled")

    status = run.wait(90)
    wait_until(lambda: heard[-1] == "SFC", story=lambda: heard)
    stop()

    assert (status["state"], status["n_failed"]) == ("failure", 1)
    view = run.snapshot().jobs[1]
    assert (view.exit_code, view.reason, view.duration_s, view.ended_ms) == (137, "out of memory", 1.5, 1772600769500)
    assert run.snapshot().cost_usd == 0.75
    assert run.snapshot() == type(run.snapshot()).empty([1, 2, 3]).after(run.events(), strict=True)
    told = str(run.error())
    assert "job 'two' failed (out of memory), exit code 137 in run 1" in told
    assert told.endswith("\n    | killed\n    | here")
    assert run.cost_text() == "$0.7500 on the batch service"


def test_a_service_takes_no_limit_for_one_run(b: hb.Batch) -> None:
    b.new_job("one")

    with pytest.raises(ValueError, match="ServiceBackend does not support any of these keywords: {'max_cost_usd': 5}"):
        b.run(max_cost_usd=5)


def test_a_run_waits_for_some_of_its_jobs(service: Recorder, b: hb.Batch) -> None:
    service.outcome = None
    b.new_job("one")
    b.new_job("two")
    run = b.run(wait=False)
    service.set_state(1, "Success", 0)

    run.wait(90, [1])
    with pytest.raises(TimeoutError):
        run.wait(0.1)


def test_cancel_logs_jobs_and_delete_reach_the_service(service: Recorder, b: hb.Batch) -> None:
    service.outcome = None
    b.new_job("one")
    b.new_job("two")
    run = b.run(wait=False)
    service.set_state(1, "Success", 0, log="0123456789")

    assert [run.log(1, start=start, length=length) for start, length in ((-4, None), (0, 2))] == [b"6789", b"01"]
    assert run.get_job_log(1) == {"main": "0123456789"}
    run.cancel()
    assert run.wait(90)["state"] == "cancelled"
    assert [(entry["name"], entry["state"]) for entry in run.jobs()] == [("one", "Success"), ("two", "Cancelled")]
    assert [entry["name"] for entry in run.jobs(q="cancelled")] == ["two"]
    assert run.get_job(2)["attributes"] == {"name": "two"}
    with pytest.raises(BatchException, match="batch 1 has no job 3"):
        run.get_job(3)
    assert [job["log"] for job in run.debug_info()["jobs"]] == [{"main": "0123456789"}, {"main": ""}]
    run.delete()
    run.delete()
    assert service.batches == {}


def test_an_append_to_a_cancelled_batch_is_refused_in_the_services_words(service: Recorder, b: hb.Batch) -> None:
    service.outcome = None
    b.new_job("one")
    b.run(wait=False).cancel()
    b.new_job("two")

    with pytest.raises(ServiceError, match="Cannot submit new jobs or job groups to a cancelled batch"):
        b.run(wait=False)


def test_a_job_can_be_asked_as_hailtops(service: Recorder, b: hb.Batch) -> None:
    service.outcome = None
    b.new_job("one", {"sample": "s"})
    job = b.run(wait=False).get_job(1)
    assert (job.id, job.attributes(), job["state"]) == ((1, 1), {"sample": "s", "name": "one"}, "Ready")
    assert [job.is_ready(), job.is_running(), job.is_pending(), job.is_complete()] == [True, False, False, False]
    service.set_state(1, "Running", log="hello")
    assert (job.is_running(), job.log(), job.container_log("main")) == (True, {"main": "hello"}, b"hello")

    service.set_state(1, "Failed", 3)

    status = job.wait()
    assert (status["state"], job.exit_code(status), job.total_duration_msecs(status)) == ("Failed", 3, None)
    assert [attempt["reason"] for attempt in job.attempts()] == ["completed"]
    assert job.resource_usage() == {}


def test_the_page_is_opened_when_asked_for(service: Recorder, b: hb.Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    b.new_job()

    b.run(open=True)

    assert opened == [f"{service.url}/batches/1"]
