"""Loads the magics into IPython and takes them out again."""

from __future__ import annotations

from typing import Any  # IPython carries no types

_LOADED = "_hail_batch_jupyter"
_BATCH = ("hail_batch_jupyter.batch.batch", "Batch")


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext hail_batch_jupyter` does; again does nothing more.

    Prints one line at most, about runs of this notebook that go on or ended while it was away.
    """
    if getattr(shell, _LOADED, None) is not None:
        return
    from hail_batch_jupyter.jupyter.cells.completion import Completer, ipython_matcher
    from hail_batch_jupyter.jupyter.cells.offers import Offers
    from hail_batch_jupyter.jupyter.desk import place_of
    from hail_batch_jupyter.jupyter.magics import BatchMagics
    from hail_batch_jupyter.jupyter.news import news
    from hail_batch_jupyter.jupyter.plainwords import show_user_frames

    magics = BatchMagics(shell)
    shell.register_magics(magics)
    completer = Completer(_parsers(magics), Offers(magics.desk))
    matcher = ipython_matcher(completer)
    shell.Completer.custom_matchers.append(matcher)
    _show_batches(shell, magics.desk)
    show_user_frames()
    setattr(shell, _LOADED, (magics, matcher))
    line = news(place_of(shell))
    if line:
        print(line)


def unload_ipython_extension(shell: Any) -> None:
    """Take the magics, the completion and the display of batches away; batches and runs stay."""
    from hail_batch_jupyter.jupyter.plainwords import show_all_frames

    loaded = getattr(shell, _LOADED, None)
    if loaded is None:
        return
    show_all_frames()
    magics, matcher = loaded
    for kind, names in magics.magics.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    if matcher in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(matcher)
    for formatter in _formatters(shell).values():
        formatter.pop(f"{_BATCH[0]}.{_BATCH[1]}", None)
    setattr(shell, _LOADED, None)


def _parsers(magics: Any) -> dict[str, Any]:
    names = {name for kind in magics.magics.values() for name in kind}
    return {name: getattr(type(magics), name).parser for name in names}


def _formatters(shell: Any) -> dict[str, Any]:
    formatters = shell.display_formatter.formatters
    return {kind: formatters[kind] for kind in ("text/plain", "text/html")}


def _show_batches(shell: Any, desk: Any) -> None:
    """A Batch that a cell gives is shown as the graph of its stages."""

    def as_html(batch: Any) -> str:
        from hail_batch_jupyter.jupyter.batchview import batch_html

        return batch_html(batch, lambda name: desk.cell_is_gone(batch, name))

    def as_text(batch: Any, printer: Any, cycle: bool) -> None:  # noqa: ARG001 - IPython calls it so
        from hail_batch_jupyter.jupyter.batchview import batch_text

        printer.text(batch_text(batch, lambda name: desk.cell_is_gone(batch, name)))

    formatters = _formatters(shell)
    formatters["text/html"].for_type_by_name(*_BATCH, as_html)
    formatters["text/plain"].for_type_by_name(*_BATCH, as_text)
