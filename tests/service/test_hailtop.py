"""Hail's own client, unchanged, in an environment of its own: what it does to its service it does to ours."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.requirements import requires
from tests.service.servers import Server

SCRIPT = """
import json, warnings
import hailtop.batch as hb
from hailtop.batch_client.client import BatchClient

warnings.simplefilter("ignore")
backend = hb.ServiceBackend(remote_tmpdir="gs://bucket/tmp", gcs_bucket_allow_list=["bucket"])
b = hb.Batch(name="hail", backend=backend, attributes={"who": "hailtop"})
first = b.new_job(name="first").command("echo file > $BATCH_TMPDIR/x; cat $BATCH_TMPDIR/x; echo $HAIL_JOB_ID")
bad = b.new_job(name="bad").command("echo because >&2; exit 3").depends_on(first)
b.new_job(name="child").depends_on(bad).command("true")
b.new_job(name="always").depends_on(bad).always_run().cpu(0.5).memory("lowmem").command("true")
b.run(wait=True, disable_progress_bar=True)
b.new_job(name="more").depends_on(first).command("echo appended")
run = b.run(wait=True, disable_progress_bar=True)

many = hb.Batch(name="many", backend=backend)
for number in range(60):  # too much for one request
    many.new_job(name=f"j{number}").command("true").env("LARGE", "x" * 20_000)
held = many.new_job(name="held").command("mkfifo $BATCH_TMPDIR/hold; read -r _ < $BATCH_TMPDIR/hold")
cancelled = many.run(wait=False, disable_progress_bar=True)
cancelled.cancel()
end = cancelled.wait(disable_progress_bar=True)

client = BatchClient("local")
found = {
    "status": run.status(),
    "jobs": [[job["name"], job["state"], job["exit_code"]] for job in run.jobs()],
    "failed": [job["name"] for job in run.jobs("failed")],
    "logs": [run.get_job(1).container_log("main").decode(), run.get_job(2).container_log("main").decode(), run.get_job_log(5)["main"]],
    "code": run.get_job(2).exit_code(run.get_job(2).status()),
    "attempts": len(run.get_job(1).attempts()),
    "end": end,
    "listed": [batch.id for batch in client.list_batches("who=hailtop")] == [run.id],
    "regions": backend.supported_regions(),
    "project": client.get_billing_project("local")["billing_project"],
}
run.delete()
try:
    run.status()
except Exception as error:
    found["deleted"] = str(error)
print("found " + json.dumps(found))
client.close()
backend.close()
"""


@pytest.mark.slow
def test_hailtops_client_submits_waits_lists_reads_appends_cancels_and_deletes(server: Server, tmp_path: Path) -> None:
    python = requires("hailtop")
    images = {"HAIL_GENETICS_HAIL_IMAGE": "hail:1", "HAIL_GENETICS_HAILTOP_IMAGE": "hailtop:1"}  # else its import asks for Pythons that it has images for
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **server.environment(), **images}

    done = subprocess.run([python, "-c", SCRIPT], env=env, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stderr
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("found "))[len("found ") :])
    assert found["jobs"] == [["first", "Success", 0], ["bad", "Failed", 3], ["child", "Cancelled", None], ["always", "Success", 0], ["more", "Success", 0]]
    assert (found["status"]["state"], found["status"]["n_jobs"], found["status"]["attributes"]) == ("failure", 5, {"who": "hailtop", "name": "hail"})
    assert (found["failed"], found["logs"]) == (["bad"], ["file\n1\n", "because\n", "appended\n"])
    assert (found["code"], found["attempts"], found["listed"], found["regions"], found["project"]) == (3, 1, True, ["local"], "local")
    assert (found["end"]["state"], found["end"]["complete"], found["end"]["n_jobs"]) == ("cancelled", True, 61)
    assert "404" in found["deleted"]
