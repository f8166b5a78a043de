"""HTML from values: every text is escaped unless it is Html already."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

_VOID = frozenset({"input", "link", "meta", "br", "hr"})


class Html(str):
    """Text that is HTML."""

    __slots__ = ()


Child = Any
"""Html, text, a number, None for nothing, or a list of these."""


def tag(name: str, /, *children: Child, **attributes: Any) -> Html:
    """An element; attributes lose a final '_' and have '-' for '_', None and False leave one out, True writes its name alone."""
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None and value is not False)
    return Html(f"<{name}{given}>" if name in _VOID else f"<{name}{given}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Html:
    """These, one after the other."""
    return Html("".join(_html(child) for child in children))


def _html(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, (list, tuple)):
        return joined(child)
    return escape(str(child))


def _attribute(key: str, value: Any) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def table(caption: str, heads: Iterable[Child], rows: Iterable[Html], **attributes: Any) -> Html:
    """A table that screen readers can walk through; `rows` are elements."""
    head = tag("thead", tag("tr", *[tag("th", each, scope="col") for each in heads]))
    return tag(
        "div", tag("table", tag("caption", caption), head, tag("tbody", *rows), **attributes), class_="scroll", tabindex=0, role="region", aria_label=caption
    )


def row(head: Child, *cells: Child) -> Html:
    """A line of a table, which its first cell names."""
    return tag("tr", tag("th", head, scope="row"), *[tag("td", cell) for cell in cells])


def facts(pairs: Iterable[tuple[str, Child]]) -> Html:
    """Names and what they stand for; without those that stand for nothing."""
    return tag("dl", *[(tag("dt", name), tag("dd", value)) for name, value in pairs if value not in (None, "")])
