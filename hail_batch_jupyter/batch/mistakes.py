"""Words for what was probably meant; loaded only when something went wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(wanted: str, known: Iterable[str]) -> str:
    """ ", did you mean 'command'?", or '' when nothing is close."""
    close = difflib.get_close_matches(wanted, list(known), 3)
    return f", did you mean {' or '.join(map(repr, close))}?" if close else ""


def no_such_method(job: object, name: str) -> str:
    """What to say when a file of a job is called."""
    kind = type(job).__name__
    methods = [known for known in dir(type(job)) if not known.startswith("_") and callable(getattr(type(job), known))]
    hint = did_you_mean(name, methods)
    return f"a {kind} has no method {name!r}{hint or '; any other name after the dot is a file of the job, and a file cannot be called'}"
