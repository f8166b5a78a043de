from __future__ import annotations

import pytest

from hail_batch_jupyter.jupyter.magics import BatchMagics


@pytest.mark.parametrize(
    ("magic", "first"),
    [
        ("batch_job", "%%batch_job NAME [options]"),
        ("batch", "%batch [NAME] [options]"),
        ("batch_wait", "%batch_wait [JOB …]"),
        ("batch_attach", "%batch_attach RUN"),
    ],
)
def test_help_begins_with_the_line_as_people_write_it(magic: str, first: str) -> None:
    assert getattr(BatchMagics, magic).__doc__.splitlines()[0] == first


def test_help_lists_every_option_with_what_it_takes_and_nothing_more() -> None:
    text = BatchMagics.batch_job.__doc__ or ""

    assert "\n  --env NAME=VALUE       environment variable" in text
    assert "\n  --after JOB …          wait for these" in text
    assert "\n  NAME                   the job's name" in text
    assert "::" not in text
    assert "<" not in text
