from __future__ import annotations

from pathlib import Path

import pytest

from hail_batch_jupyter.config import configured, configured_list, keep_runs_days, keep_runs_gb, variable_of
from hail_batch_jupyter.errors import ConfigError


def test_argument_environment_profile_file_and_fallback_come_in_this_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def value(argument: str | None = None) -> str:
        return configured("batch", "backend", argument, fallback="fallback")

    assert value() == "fallback"
    (folder / "config.ini").write_text("[global]\nprofile = work\n[batch]\nbackend = from %(file)\n")
    assert value() == "from %(file)"
    (folder / "work.ini").write_text("[batch]\nbackend = from-profile\n")
    assert value() == "from-profile"
    monkeypatch.setenv("HAIL_BATCH_BACKEND", "from-environment")
    assert value() == "from-environment"
    assert value("argument") == "argument"


@pytest.mark.usefixtures("folder")
def test_without_a_fallback_a_setting_may_be_none() -> None:
    assert configured("batch", "billing_project") is None


def test_variables_are_named_for_section_and_option() -> None:
    assert variable_of("gcs_requester_pays", "project") == "HAIL_GCS_REQUESTER_PAYS_PROJECT"


@pytest.mark.usefixtures("folder")
def test_the_home_folder_is_where_files_are_without_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".config" / "hail").mkdir(parents=True)
    (tmp_path / "home" / ".config" / "hail" / "config.ini").write_text("[batch]\nbackend = x\n")

    assert configured("batch", "backend") == "x"


def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "config.ini").write_text("no section = 1\n")

    with pytest.raises(ConfigError, match=r"config.ini' cannot be read .*; mend it, or move it away"):
        configured("batch", "backend")


def test_runs_are_kept_for_30_days_and_20_gb_unless_the_settings_say_otherwise(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (keep_runs_days(), keep_runs_gb()) == (30, 20)

    (folder / "config.ini").write_text("[batch]\nkeep_runs_days = 7\n")
    monkeypatch.setenv("HAIL_BATCH_KEEP_RUNS_GB", "inf")

    assert (keep_runs_days(), keep_runs_gb()) == (7, float("inf"))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("text", ["a month", "-1", "nan"])
def test_a_setting_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("HAIL_BATCH_KEEP_RUNS_DAYS", text)

    with pytest.raises(
        ConfigError, match=f"batch/keep_runs_days is '{text}', and it is a number of 0 or more, or inf; mend it with `HAIL_BATCH_KEEP_RUNS_DAYS`"
    ):
        keep_runs_days()


def test_the_former_name_of_the_file_becomes_its_present_one(folder: Path) -> None:
    (folder / "config.yaml").write_text("[batch]\nbackend = service\n")

    assert configured("batch", "backend") == "service"
    assert [path.name for path in folder.iterdir()] == ["config.ini"]


@pytest.mark.usefixtures("folder")
def test_a_list_has_commas_between(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configured_list("batch", "regions") is None
    monkeypatch.setenv("HAIL_BATCH_REGIONS", "us-east1, us-central1,")

    assert configured_list("batch", "regions") == ["us-east1", "us-central1"]
    assert configured_list("batch", "regions", []) == []
