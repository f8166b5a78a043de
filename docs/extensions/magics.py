"""The directive `magics`: every magic with its options, taken from the magics themselves."""

from __future__ import annotations

import argparse
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from hail_batch_jupyter.jupyter.magics import BatchMagics


class MagicsDirective(SphinxDirective):
    """One section a magic: what it does, and a table of its options."""

    def run(self) -> list[nodes.Node]:
        """The sections, in the order of the source."""
        return [section(name) for name in magic_names()]


def magic_names() -> list[str]:
    """All magics with their percent signs, in the order of the source."""
    kinds = {**dict.fromkeys(BatchMagics.magics["line"], "%"), **dict.fromkeys(BatchMagics.magics["cell"], "%%")}
    return [kinds[name] + name for name in sorted(kinds, key=lambda name: function_of(name).__code__.co_firstlineno)]


def function_of(name: str) -> Any:
    """The function behind a magic."""
    return getattr(BatchMagics, str({**BatchMagics.magics["line"], **BatchMagics.magics["cell"]}[name.lstrip("%")]))


def section(name: str) -> nodes.section:
    """The section on one magic."""
    parser: argparse.ArgumentParser = function_of(name).parser
    actions = [action for action in parser._actions if action.help != argparse.SUPPRESS]  # noqa: SLF001 - argparse tells its options in no other way
    made = nodes.section(ids=[nodes.make_id(name)], names=[name])
    made += nodes.title("", "", nodes.literal(text=name))
    for text in (parser.description or "").strip().split("\n\n"):
        made += nodes.paragraph(text=" ".join(text.split()))
    if actions:
        made += _table([(_form(action), action.help or "") for action in actions])
    return made


def _form(action: argparse.Action) -> str:
    words = action.metavar if isinstance(action.metavar, str) else (action.dest.upper() if action.nargs != 0 else "")
    names = ", ".join(action.option_strings)
    return f"{names} {words}".strip()


def _table(rows: list[tuple[str, str]]) -> nodes.table:
    body = nodes.tbody()
    for form, text in rows:
        row = nodes.row()
        row += nodes.entry("", nodes.paragraph("", "", nodes.literal(text=form)))
        row += nodes.entry("", nodes.paragraph(text=text))
        body += row
    group = nodes.tgroup(cols=2)
    group += [nodes.colspec(colwidth=30), nodes.colspec(colwidth=70), body]
    return nodes.table("", group)


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's hook."""
    app.add_directive("magics", MagicsDirective)
    return {"parallel_read_safe": True}
