"""Small tables, all of one look: left-aligned and compact, as HTML without a style sheet or as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_CELL = "text-align:left;padding:2px 8px"


def row_html(cells: Iterable[str]) -> str:
    """One row of cells that are HTML already."""
    return "<tr>" + "".join([f'<td style="{_CELL}">{cell}</td>' for cell in cells]) + "</tr>"


def table_html(caption: str, heads: Sequence[str], rows: Sequence[str], more: str = "") -> str:
    """A line above, the rows of `row_html` under their heads, and a line below; without rows the lines only."""
    head = "".join([f'<th style="{_CELL}">{name}</th>' if name else "<td></td>" for name in heads])  # an empty head says nothing to a screen reader
    body = "".join(rows)
    table = f'<table style="border-collapse:collapse;margin:4px 0"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>' if rows else ""
    return f"<div>{caption}</div>{table}" + (f"<div>{more}</div>" if more else "")


def table_text(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """The same as text: columns in which nothing stands are left out."""
    used = [index for index in range(len(heads)) if any(row[index] for row in rows)]
    lines = [[heads[index] for index in used], *[[row[index] for index in used] for row in rows]] if rows else []
    widths = [max(len(line[column]) for line in lines) for column in range(len(used))] if lines else []
    table = ["  ".join([cell.ljust(width) for cell, width in zip(line, widths, strict=True)]).rstrip() for line in lines]
    return "\n".join([caption, *table, *notes])


def cut(text: str, length: int = 80) -> str:
    """The text, or its beginning with '…'."""
    return text if len(text) <= length else text[: length - 1] + "…"
