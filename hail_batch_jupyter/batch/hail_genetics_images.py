"""The container images that the Hail team publishes: their names, and which one suits this Python."""

from __future__ import annotations

import sys

HAIL_GENETICS = "hailgenetics/"
HAIL_GENETICS_IMAGES = [HAIL_GENETICS + name for name in ("hail", "hailtop", "genetics", "python-dill", "vep-grch37-85", "vep-grch38-95")]
HAIL_VERSION = "0.2.139"
"""The release of Hail whose images are meant."""
_BUILT_WITH = range(10, 14)
_UNMARKED = 11
"""The minor version of Python whose image has no '-py3.N' in its tag."""


def hailgenetics_hail_image_for_current_python_version() -> str:
    """The image of Hail with the minor version of Python that runs here.

    Raises ValueError where there is none.
    """
    minor = sys.version_info.minor
    if minor not in _BUILT_WITH:
        first, last = _BUILT_WITH[0], _BUILT_WITH[-1]
        raise ValueError(f"no image of Hail {HAIL_VERSION} has Python 3.{minor}, only 3.{first} to 3.{last}; name an image with Python 3.{minor} and dill")
    tag = HAIL_VERSION if minor == _UNMARKED else f"{HAIL_VERSION}-py3.{minor}"
    return f"{HAIL_GENETICS}hail:{tag}"


def hail_image() -> str:
    """What Python jobs run in where a container is needed and none is named: $HAIL_GENETICS_HAIL_IMAGE, else Hail's image for this Python."""
    import os

    return os.environ.get("HAIL_GENETICS_HAIL_IMAGE") or hailgenetics_hail_image_for_current_python_version()


def hailtop_image() -> str:
    """The image with Hail's own file tools: $HAIL_GENETICS_HAILTOP_IMAGE, else the release's."""
    import os

    return os.environ.get("HAIL_GENETICS_HAILTOP_IMAGE") or f"{HAIL_GENETICS}hailtop:{HAIL_VERSION}"
