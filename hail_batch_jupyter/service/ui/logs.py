"""Logs on pages: the end of one on the page of its job, a part of one on a page of its own, and the bytes of it; never all of a large one in memory."""

from __future__ import annotations

from typing import Any

from hail_batch_jupyter.core.units import format_bytes
from hail_batch_jupyter.service.api.joblogs import Log
from hail_batch_jupyter.service.api.ranges import file_answer
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.ui.html import Child, Html, tag
from hail_batch_jupyter.service.ui.layout import batch_link, button, link, page
from hail_batch_jupyter.service.ui.pages import PageAsked
from hail_batch_jupyter.service.ui.terminal import painted
from hail_batch_jupyter.service.web import Answer

TAIL_BYTES = 1 << 16
PART_BYTES = 1 << 18
_TEXT_BYTES = 4 << 20
"""A log up to this size is offered as one page of text."""


def end_of(path: str, name: str, log: Log | None, goes_on: bool) -> Html:
    """The end of one log, which grows while it is looked at, and the ways to all of it."""
    size = log.size() if log else 0
    if not size and not goes_on:
        return tag("section", tag("h3", name.capitalize()), tag("p", "Nothing was written.", class_="muted"), aria_label=f"Log of {name}")
    start = max(0, size - TAIL_BYTES)
    place = f"{path}/log/{name}"
    cut = tag("p", f"The last {format_bytes(TAIL_BYTES)} of {format_bytes(size)}.", class_="muted") if start else None
    parts = link(f"{place}/part", "Read in parts", {"at": 0}) if start else None
    shown = _text(log, start, size, name, "log", data_log=place, data_size=size)
    return tag("section", tag("h3", name.capitalize()), cut, shown, _ways(path, name, size, {}, parts), aria_label=f"Log of {name}, with links")


def show_part(asked: PageAsked) -> Answer:
    """A part of a log, and the ways to the other parts."""
    names, attempt = asked.names, asked.query.get("attempt_id")
    number, job_id, name = names["b"], names["j"], names["c"]
    log = asked.service.rules.reading.log(asked.user, number, job_id, name, attempt)
    size = log.size() if log else 0
    start = _start(asked.query.get("at"), size)
    end = min(size, start + PART_BYTES)
    path, more = f"/batches/{number}/jobs/{job_id}", {} if attempt is None else {"attempt_id": attempt}
    return page(
        asked.request,
        f"Log of {name}, job {job_id} of batch {number}",
        tag("p", f"Attempt {attempt}.") if attempt else None,
        tag("p", f"Bytes {start:,} to {end:,} of {size:,}." if size else "The log is empty.", id="place"),
        _steps(f"{path}/log/{name}/part", start, end, size, more),
        _text(log, start, end, name, "log part"),
        _ways(path, name, size, more),
        above=[batch_link(asked.service.rules.reading.batch(asked.user, number)), link(path, f"Job {job_id}")],
    )


def send(asked: PageAsked) -> Answer:
    """The bytes of a log, or of a range of it, as text or as a file."""
    names = asked.names
    log = asked.service.rules.reading.log(asked.user, names["b"], names["j"], names["c"], asked.query.get("attempt_id"))
    found = file_answer(log, asked.request.headers.get("range"))
    if "download" in asked.query:
        name = f"batch-{names['b']}-job-{names['j']}-{names['c']}.log"
        return found._replace(headers=[*found.headers, ("Content-Disposition", f'attachment; filename="{name}"')])
    return found._replace(content_type="text/plain; charset=utf-8")


def _start(asked: str | None, size: int) -> int:
    """Where a part begins: at the byte that was asked for, else where the last part does."""
    last = max(0, size - PART_BYTES)
    if not asked:
        return last
    if not asked.isascii() or not asked.isdigit() or len(asked) > 18:
        raise Refusal(400, f"byte {asked!r} is no number; write how many bytes to leave out, such as 1000000")
    return min(int(asked), last)


def _steps(place: str, start: int, end: int, size: int, more: dict[str, Any]) -> Html | None:
    if size <= PART_BYTES:
        return None
    steps = [("Start", 0, start > 0), ("Earlier", max(0, start - PART_BYTES), start > 0), ("Later", end, end < size), ("End", size, end < size)]
    links = [link(place, word, {**more, "at": at}) if there else tag("span", word, class_="muted") for word, at, there in steps]
    hidden = [tag("input", type="hidden", name=key, value=value) for key, value in more.items()]
    box = tag("input", name="at", id="at", inputmode="numeric", value=start, size=14)
    jump = tag("form", *hidden, tag("label", "From byte", for_="at"), box, button("Show"), method="get", action=place, class_="row")
    return tag("nav", *links, jump, aria_label="Parts of the log", class_="steps")


def _ways(path: str, name: str, size: int, more: dict[str, Any], *first: Child) -> Html:
    place = f"{path}/log/{name}"
    ways: list[Child] = [*first, link(place, "As text", more) if size <= _TEXT_BYTES else None]
    ways += [link(place, f"Download ({format_bytes(size)})", {**more, "download": 1}, download=f"{name}.log")]
    return tag("p", *[part for way in ways if way is not None for part in (" · ", way)][1:], class_="muted")


def _text(log: Log | None, start: int, end: int, name: str, class_: str, **attributes: Any) -> Html:
    data = b"" if log is None else log.read(start, end - start)
    return tag("pre", painted(data), tabindex=0, role="log", aria_label=f"Log of {name}", class_=class_, **attributes)
