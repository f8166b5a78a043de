"""The commands that clients' own jobs run in the image of Hail's tools, to write inputs out and to clear shared folders, done by this package.

A service of ours so needs neither that image nor credentials inside of it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from hail_batch_jupyter.errors import BatchException
from hail_batch_jupyter.storage.access import of_key
from hail_batch_jupyter.storage.files import Files

_MODULES = {"hailtop.aiotools.delete": "delete", "hailtop.aiotools.copy": "copy"}
_STORES = ("gs://", "https://")
_ON_NODE = """"$1" -c 'import hail_batch_jupyter' 2>/dev/null || {
echo "node $(hostname) has no $1 with hail_batch_jupyter, which clears and copies buckets here; install the service where the nodes see it, too" >&2
exit 1
}
exec "$@"
"""


def own_tool(command: Sequence[str], key_file: str | None = None) -> tuple[str, ...]:
    """The command that does the same as `python3 -m hailtop.aiotools.delete ADDRESS…` and `….copy PROJECT JSON` here; () for every other one.

    Only addresses in object stores are taken: what is done outside of a container must not reach files of the machine. With a key file
    it has the rights of that account alone, and only Google's store is taken.
    """
    if len(command) < 4 or tuple(command[:2]) != ("python3", "-m") or command[2] not in _MODULES:
        return ()
    what = _MODULES[command[2]]
    try:
        addresses = command[3:] if what == "delete" else [pair[end] for pair in json.loads(command[-1]) for end in ("from", "to")]
        payer = json.loads(command[3]) if what == "copy" and len(command) > 4 else None
    except (ValueError, KeyError, TypeError):
        return ()
    stores = _STORES if key_file is None else _STORES[:1]
    if not all(isinstance(address, str) and address.startswith(stores) for address in addresses):
        return ()
    said = command[3:] if what == "delete" else (payer if isinstance(payer, str) else "", command[-1])
    return (sys.executable, "-m", __name__, key_file or "", what, *said)


def on_node(command: tuple[str, ...]) -> tuple[str, ...]:
    """The command for a node of a cluster, where it first looks whether the environment of the service is there, and says so kindly if not."""
    return ("/bin/sh", "-c", _ON_NODE, "sh", *command) if command else ()


def main(words: Sequence[str]) -> None:
    """Run `KEYFILE delete ADDRESS…` or `KEYFILE copy PROJECT JSON`; ends the process with the reason when it fails."""
    key_file, what, *rest = words
    access = of_key(key_file or None)
    try:
        if what == "delete":
            for address in rest:
                Files(access).remove(address)
        else:
            payer, transfers = rest
            Files(access.paid_by(payer) if payer else access).copy([(pair["from"], pair["to"]) for pair in json.loads(transfers)])
    except BatchException as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
