"""What `%batch_save` does: a script, and where it needs values that are no text, a file of them beside it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from hail_batch_jupyter.errors import BatchException
from hail_batch_jupyter.jupyter.script.writer import Writer
from hail_batch_jupyter.jupyter.words import plural
from hail_batch_jupyter.observe.rundir import write_private

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.jupyter.script.values import Values


def save_batch(batch: Batch, asked: object, known: Mapping[str, Any]) -> str:
    """Write the batch as a script that needs no notebook; gives a sentence about it.

    Raises UsageError for a batch without jobs, for a place that cannot be written, and for values that cannot be pickled.
    """
    path = Path(str(asked)).expanduser()
    if path.suffix != ".py":
        raise UsageError(f"%batch_save {asked}: a script ends in .py; write %batch_save {path.with_suffix('.py') if path.name else 'study.py'}")
    if not batch.jobs:
        raise UsageError(f"batch {batch.name!r} has no jobs yet; a cell that begins with %%batch_job NAME makes one")
    writer = Writer(batch, known)
    body = writer.body()
    beside = path.with_suffix(".values")
    stored = _pickled(writer.values)
    text = script_text(batch.name or "", body, writer.values, beside.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if stored:
            write_private(beside, "")
            beside.write_bytes(stored)
        else:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"%batch_save {asked}: {error.filename!r} cannot be written ({error.strerror}); choose another place") from error
    values = f", with {plural(len(writer.values.stored), 'value')} beside it in {beside}, which only you can read" if stored else ""
    return f"{plural(len(batch.jobs), 'job')} of batch {batch.name!r} written to {path}{values}; run it with: python {path}"


def script_text(name: str, body: list[str], values: Values, beside: str) -> str:
    """The whole script."""
    standard = sorted(line for line in values.imports)
    imports = [*standard, *(["import dill"] if values.stored else []), "", "import hail_batch_jupyter.batch as hb"]
    if values.stored and "from pathlib import Path" not in standard:
        imports.insert(0, "from pathlib import Path")
    parts = [f'"""Batch {name}."""', "", *[line for line in imports if line or standard or values.stored], ""]
    if values.stored:
        parts += [f'values = dill.loads(Path(__file__).with_name("{beside}").read_bytes())', ""]
    for definition in values.definitions:
        parts += ["", definition, ""]
    return "\n".join([*parts, *([""] if values.definitions else []), *body, "", 'if __name__ == "__main__":', "    b.run()", ""])


def _pickled(values: Values) -> bytes:
    if not values.stored:
        return b""
    import dill

    made: dict[str, Any] = {}
    for name, value in values.stored.items():
        try:
            dill.dump(value, io.BytesIO(), recurse=True)
        except Exception as error:  # whatever a user's object raises
            raise BatchException(f"%batch_save: the value {name!r}, a {type(value).__name__}, cannot be saved ({error}); use plain data instead") from error
        made[name] = value
    return bytes(dill.dumps(made, recurse=True))
