"""Batch.estimate_cost: earlier runs of this and of another process, the setting, and what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.cost.history import SAME_NAME, SAME_STAGE, TIMEOUT, UNKNOWN
from hail_batch_jupyter.errors import ConfigError


@pytest.fixture(autouse=True)
def own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_BATCH_JUPYTER_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("HAIL_BATCH_RATE_CARD", raising=False)


def described(name: str | None = "nightly") -> hb.Batch:
    batch = hb.Batch(name=name)
    for number in range(2):
        batch.new_job(name=f"fit-{number}").command("true")
    return batch


def test_before_any_run_the_timeout_counts_or_nothing_is_known() -> None:
    batch = described()
    batch.new_job(name="sort").timeout("1h").command("true")

    found = batch.estimate_cost("hail-classic")

    assert [job.basis for job in found.jobs] == [UNKNOWN, UNKNOWN, TIMEOUT]
    assert found.expected_usd == pytest.approx(0.0217, abs=1e-5)


def test_jobs_of_the_same_name_in_runs_of_an_earlier_process_tell_the_duration() -> None:
    described().run()
    batch = described()
    batch.new_job(name="fit-7").command("true")

    found = batch.estimate_cost("hail")

    assert [job.basis for job in found.jobs] == [SAME_NAME, SAME_NAME, SAME_STAGE]
    assert len(found.runs) == 1
    assert 0 < found.low_usd <= found.expected_usd <= found.high_usd


def test_a_batch_without_a_name_knows_the_runs_of_this_process_only() -> None:
    described(None).run()
    mine = described(None)
    assert {job.basis for job in mine.estimate_cost().jobs} == {UNKNOWN}

    mine.run()
    mine.new_job(name="fit-0").command("true")

    assert [job.basis for job in mine.estimate_cost().jobs] == [SAME_NAME]


def test_the_setting_chooses_the_card_and_this_machine_is_free_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert described().estimate_cost().card.name == "this-machine"

    monkeypatch.setenv("HAIL_BATCH_RATE_CARD", "core-hours:0.02")
    assert described().estimate_cost().card.name == "core-hours:0.02"

    monkeypatch.setenv("HAIL_BATCH_RATE_CARD", "nonsense")
    with pytest.raises(ConfigError, match="there is no rate card 'nonsense'"):
        described().estimate_cost()


def test_a_notebook_shows_parts_and_stages_and_escapes_names() -> None:
    batch = described("<b>")
    batch.new_job(name="<i>x</i>").timeout("1h").command("true")

    html = batch.estimate_cost("hail")._repr_html_()

    assert "<b>3 jobs</b>" in html
    assert "network fee" in html
    assert "&lt;i&gt;x" in html
    assert "<i>" not in html
