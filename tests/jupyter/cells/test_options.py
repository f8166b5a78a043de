from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError

from hail_batch_jupyter.errors import TemplateError, UnitError
from hail_batch_jupyter.jupyter.cells.options import read_line, split
from hail_batch_jupyter.jupyter.cells.settings import settings_of
from hail_batch_jupyter.jupyter.magics import BatchMagics

JOB: Any = BatchMagics.batch_job
PYTHON: Any = BatchMagics.batch_python


def read(line: str, **names: object) -> Any:
    return read_line(JOB, line, names)


def test_all_options_of_a_job_cell_are_read() -> None:
    line = "fit --cpu 2 --memory 1Gi --storage 5Gi --image bwa --env A=1 --env 'B=two words' --after a b --timeout 15m"
    parsed = read(line + " --always-run --no-spot --attempts 3 --shell '/bin/bash -u' --output model=out/m.bin")

    settings = settings_of(parsed)

    assert parsed.name == "fit"
    assert parsed.after == ["a", "b"]
    assert settings.values == {
        "cpu": "2", "memory": "1Gi", "storage": "5Gi", "timeout": 900.0, "image": "bwa",
        "shell": "/bin/bash -u", "spot": False, "n_max_attempts": 3, "always_run": True,
    }  # fmt: skip
    assert settings.env == {"A": "1", "B": "two words"}
    assert settings.outputs == {"model": "out/m.bin"}
    assert (settings.retry, settings.group) == ({}, ("", None))


def test_a_line_says_when_a_job_is_tried_again_where_it_runs_and_with_whom() -> None:
    line = "fit --retry 4 --retry-on out-of-memory timeout 137 --retry-delay 10s --retry-memory 3 --group loads --at-most 2 --region a b"

    settings = settings_of(read(line))

    assert settings.retry == {"attempts": 4, "on": ["out of memory", "timeout", 137], "delay": "10s", "memory_factor": 3.0}
    assert settings_of(read("fit --spot --no-spot-after 2")).retry == {"attempts": 1, "no_spot_after": 2}
    assert settings.group == ("loads", 2)
    assert settings.values == {"regions": ["a", "b"]}


def test_what_is_not_said_is_not_set() -> None:
    assert settings_of(read("fit")).values == {}


@pytest.mark.parametrize("word", ["{threads}", "$threads"])
def test_a_whole_value_may_be_a_variable(word: str) -> None:
    assert read(f"fit --cpu {word}", threads=4).cpu == 4


def test_a_variable_may_have_attributes_and_items_and_stand_behind_an_equals_sign(tmp_path: Path) -> None:
    parsed = read("fit --cpu={sizes['big one'][0]} --env TOKEN={token} --output model={folder}", sizes={"big one": [8]}, token="s3 cret", folder=tmp_path)

    assert parsed.cpu == 8
    assert settings_of(parsed).env == {"TOKEN": "s3 cret"}
    assert settings_of(parsed).outputs == {"model": str(tmp_path)}


def test_a_list_among_the_values_of_an_option_is_spread() -> None:
    assert read("fit --after x {jobs} y", jobs=["a", "b"]).after == ["x", "a", "b", "y"]


def test_an_unknown_variable_is_an_error_that_names_a_close_one() -> None:
    with pytest.raises(TemplateError, match="no variable 'thread'; did you mean threads"):
        read("fit --cpu {thread}", threads=4)


def test_dollars_and_braces_within_a_value_are_text() -> None:
    assert settings_of(read("fit --env 'A=x $HOME {b}'")).env == {"A": "x $HOME {b}"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("fit --cpus 2", "batch_job has no option --cpus; did you mean --cpu", id="close option"),
        pytest.param("fit --mem 2", "no option --mem; did you mean --memory", id="abbreviation"),
        pytest.param("fit --zzz", "no option --zzz; there are --shell, --cpu", id="no close option"),
        pytest.param("", "the following arguments are required: NAME", id="no name"),
        pytest.param("fit two", "'two' belongs to no option; a value with blanks needs quotes", id="two names"),
        pytest.param("fit --cpu", "--cpu: expected one argument", id="no value"),
        pytest.param("fit --attempts two", "invalid int value: 'two'", id="no number"),
        pytest.param("fit --cpu '2", "no closing quotation", id="open quote"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(line)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("fit --output model", "--output 'model': it takes NAME=DEST", id="output"),
        pytest.param("fit --output model=", "--output 'model=': it takes NAME=DEST", id="output without a destination"),
        pytest.param("fit --env A", "--env: it takes NAME=VALUE", id="env"),
        pytest.param("fit --env 1A=x", "--env '1A': the name of a variable", id="env name"),
        pytest.param("fit --attempts 0", "--attempts 0: a job needs one attempt", id="attempts"),
        pytest.param("fit --at-most 2", "--at-most 2: it limits the jobs of a group; add --group GROUP", id="limit without a group"),
    ],
)
def test_settings_that_make_no_sense_say_what_does(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        settings_of(read(line))


@pytest.mark.parametrize(
    "line",
    [
        "--memory 3Gb",
        "--memory -3Gi",
        "--cpu -.5",
        "--cpu many",
        "--storage 3Gb",
        "--timeout soon",
        "--retry 0",
        "--retry 2 --retry-on rain",
        "--retry-delay soon",
        "--group g --at-most 0",
    ],
)
def test_units_are_checked_at_once(line: str) -> None:
    with pytest.raises(UnitError):
        settings_of(read(f"fit {line}"))


@pytest.mark.parametrize("line", ["fit --env TOKEN=hush-1 hush-2", "fit --env hush-1", "fit --env TOKEN=hush-1 --env hush-2 --cpus 1"])
def test_values_of_the_environment_are_in_no_message(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings_of(read(line))

    assert "hush" not in str(caught.value)


def test_settings_do_not_show_values_of_the_environment() -> None:
    settings = settings_of(read("fit --env TOKEN=hush"))

    assert "TOKEN" in repr(settings)
    assert "hush" not in repr(settings)


def test_a_python_cell_names_its_results() -> None:
    assert read_line(PYTHON, "evaluate -o score loss --cpu 1 -o extra", {}).results == ["score", "loss", "extra"]


def test_the_first_word_keeps_its_quotes_where_it_is_an_expression() -> None:
    assert split("evaluate['my score'] 'out dir/x'", raw=True) == ["evaluate['my score']", "out dir/x"]


@pytest.mark.parametrize("magic", ["batch", "batch_job", "batch_python", "batch_run", "batch_wait", "batch_output", "batch_jobs", "batch_log"])
def test_help_lists_every_option(magic: str) -> None:
    function = getattr(BatchMagics, magic)

    for action in function.parser._actions:
        for option in action.option_strings:
            assert option in function.__doc__
