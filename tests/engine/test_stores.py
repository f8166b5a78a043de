from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hail_batch_jupyter.engine.stores import Stores, is_remote


def test_copies_end_with_their_own_results(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    stores = Stores(sys.executable, sys.path, None, os.environ)
    try:
        good, bad = stores.copy(str(tmp_path / "x"), str(tmp_path / "y")), stores.copy(str(tmp_path / "none"), str(tmp_path / "z"))

        assert good.result(timeout=90) == {} and (tmp_path / "y").read_text() == "x"
        with pytest.raises(OSError, match="none' does not exist"):
            bad.result(timeout=90)
    finally:
        stores.close()


def test_copies_fail_when_the_helper_has_ended() -> None:
    stores = Stores(sys.executable, [], None, os.environ)

    with pytest.raises(OSError, match="the process that copies files of object stores ended"):
        stores.copy("a", "b").result(timeout=90)
    stores.close()


def test_what_is_in_an_object_store() -> None:
    far, near = ("gs://b/x", "https://a.blob.core.windows.net/c/x"), ("/a", "file:///a", "${BATCH_TMPDIR}/x")

    assert [is_remote(path) for path in (*far, *near)] == [True, True, False, False, False]
