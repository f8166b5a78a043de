from __future__ import annotations

import configparser
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.config import configured
from hail_batch_jupyter.config.files import create_profile, delete_profile, load_profile, profiles, set_value, unset_value, with_value
from hail_batch_jupyter.config.variables import VARIABLES, checked, shown
from hail_batch_jupyter.errors import ConfigError


def test_a_setting_that_is_written_is_read_again(folder: Path) -> None:
    set_value("batch/billing_project", "lab-a")
    set_value("domain", " example.org ")

    assert configured("batch", "billing_project") == "lab-a"
    assert (folder / "config.ini").read_text() == "[batch]\nbilling_project = lab-a\n\n[global]\ndomain = example.org\n"
    assert stat.S_IMODE((folder / "config.ini").stat().st_mode) == 0o600


def test_comments_order_and_mode_of_a_file_stay(folder: Path) -> None:
    path = folder / "config.ini"
    path.write_text("# mine\n[batch]\n; who pays\nBilling_Project: old\n   goes on\nregions=us-east1\n\n[global]\n# none yet\n")
    path.chmod(0o640)

    set_value("batch/billing_project", "lab-a")
    set_value("batch/backend", "service")

    assert path.read_text() == "# mine\n[batch]\n; who pays\nbilling_project = lab-a\nregions=us-east1\nbackend = service\n\n[global]\n# none yet\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(entry.name for entry in folder.iterdir()) == ["config.ini"]


def test_a_file_behind_a_link_is_the_one_that_changes(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "real.ini").write_text("")
    (folder / "config.ini").symlink_to(tmp_path / "real.ini")

    set_value("batch/backend", "local")

    assert (folder / "config.ini").is_symlink()
    assert (tmp_path / "real.ini").read_text() == "[batch]\nbackend = local\n"


def test_unsetting_takes_one_setting_out(folder: Path) -> None:
    set_value("batch/backend", "service")
    set_value("batch/regions", "us-east1,us-central1")

    assert unset_value("batch/backend") is not None
    assert unset_value("batch/backend") is None
    assert (folder / "config.ini").read_text() == "[batch]\nregions = us-east1,us-central1\n"


def test_a_file_that_is_no_ini_file_is_left_alone(folder: Path) -> None:
    (folder / "config.ini").write_text("nonsense\n")

    with pytest.raises(ConfigError, match="cannot be read"):
        set_value("batch/backend", "local")
    assert (folder / "config.ini").read_text() == "nonsense\n"


OPTION = st.sampled_from(["backend", "regions", "billing_project", "remote_tmpdir"])
VALUE = st.text("abc/:%=;# ", min_size=1, max_size=12).map(lambda text: "x" + text.rstrip())


@given(st.lists(st.tuples(st.sampled_from(["batch", "global"]), OPTION, st.one_of(st.none(), VALUE)), max_size=12))
def test_any_changes_leave_what_a_dictionary_would_hold(changes: list[tuple[str, str, str | None]]) -> None:
    text, expected = "# mine\n", {}
    for section, option, value in changes:
        text = with_value(text, section, option, value)
        expected[(section, option)] = value

    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    assert {key: parser.get(*key, fallback=None) for key in expected} == expected
    assert text.startswith("# mine\n")


def test_settings_go_to_the_active_profile(folder: Path) -> None:
    set_value("batch/backend", "local")
    create_profile("work")
    load_profile("work")
    set_value("batch/backend", "service")

    assert (configured("batch", "backend"), profiles()) == ("service", ["default", "work"])
    load_profile("default")
    assert configured("batch", "backend") == "local"


@pytest.mark.usefixtures("folder")
def test_profiles_that_cannot_be_are_refused() -> None:
    create_profile("work")
    load_profile("work")

    with pytest.raises(ConfigError, match="is there already; load it"):
        create_profile("work")
    with pytest.raises(ConfigError, match="cannot be the name of a file"):
        create_profile("../work")
    with pytest.raises(ConfigError, match="the profiles are: default, work"):
        load_profile("home")
    with pytest.raises(ConfigError, match="is the active one"):
        delete_profile("work")
    with pytest.raises(ConfigError, match="'default' cannot be deleted"):
        delete_profile("default")
    load_profile("default")
    delete_profile("work")
    assert profiles() == ["default"]


@pytest.mark.parametrize(
    ("name", "value", "wants"),
    [
        ("domain", "nowhere", "a domain such as hail.is"),
        ("batch/backend", "cloud", "one of local, slurm, service"),
        ("batch/billing_project", "a/b", "a name without"),
        ("batch/remote_tmpdir", "bucket/folder", "a folder such as gs://bucket/folder"),
        ("batch/regions", "us east", "names with commas between"),
        ("gcs/bucket_allow_list", "gs://bucket", "bucket names"),
        ("http/timeout_in_seconds", "0", "a number of seconds above zero"),
        ("query/batch_driver_memory", "much", "lowmem, standard, highmem"),
    ],
)
def test_a_value_that_a_setting_cannot_have_is_refused(name: str, value: str, wants: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} '.*' is not valid; it must be {wants}"):
        checked(name, value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("batch/billing_projects", "did you mean batch/billing_project"),
        ("billing_project", "batch/billing_project"),
        ("zzz", "the settings are: domain, gcs_requester_pays/project"),
        ("profile", "config profile load NAME"),
    ],
)
def test_an_unknown_setting_is_told_with_what_is_close(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        checked(name, "x")


def test_signatures_of_addresses_are_not_shown() -> None:
    assert shown("https://account.blob.core.windows.net/c/tmp?sv=1&sig=secret") == "https://account.blob.core.windows.net/c/tmp?…"
    assert shown("gs://bucket/tmp") == "gs://bucket/tmp"


def test_every_setting_has_a_section_of_the_file() -> None:
    assert VARIABLES["domain"].place == ("global", "domain")
    assert VARIABLES["gcs_requester_pays/project"].place == ("gcs_requester_pays", "project")
