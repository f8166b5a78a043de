"""Words for a disk on which there is no room, or no more for this user."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Union

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LEAST_BYTES = 1 << 16


def told(error: Union[OSError, ValueError], place: str = "") -> str:
    """What the system said, with the place where it was said and, for want of room, what to do."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    where = str(error.filename or place)
    words = f"{where!r}: {error.strerror}" if where else error.strerror
    return f"{words}; free space there, or choose another place" if error.errno in FULL else words


def no_room(folder: str) -> bool:
    """Whether hardly anything can be written in a folder; tried, for a quota shows in no other way."""
    path = os.path.join(folder, f".room-{os.getpid()}")
    try:
        with open(path, "wb") as file:
            file.write(bytes(_LEAST_BYTES))
    except OSError as error:
        return error.errno in FULL
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)
    return False
