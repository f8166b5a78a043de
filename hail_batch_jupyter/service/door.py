"""Where the service listens, and who may come from where: nobody sends a token over a network in the clear."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import NamedTuple

from hail_batch_jupyter.errors import ConfigError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ANY = ("0.0.0.0", "::")


class Door(NamedTuple):
    """An address of this machine; port 0 is any that is free.

    cert, key      files of a certificate and its key, for TLS
    behind_proxy   whether a proxy in front speaks TLS, and this machine's network is trusted
    """

    host: str
    port: int
    cert: str | None = None
    key: str | None = None
    behind_proxy: bool = False

    @property
    def scheme(self) -> str:
        """What the service itself speaks."""
        return "https" if self.cert else "http"

    @property
    def secure(self) -> bool:
        """Whether browsers come by TLS."""
        return bool(self.cert) or self.behind_proxy

    def place(self, port: int) -> str:
        """Host and port as clients write them."""
        host = socket.getfqdn() if self.host in _ANY else self.host
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def context(self) -> ssl.SSLContext | None:
        """How TLS is spoken, None without.

        Raises ConfigError for an address that others reach without TLS, and for files that are no certificate and key.
        """
        if bool(self.cert) != bool(self.key):
            raise ConfigError("TLS needs a certificate and its key; give both --tls-cert FILE and --tls-key FILE")
        if not self.cert or not self.key:
            if self.host not in LOOPBACK and not self.behind_proxy:
                ways = "--tls-cert FILE and --tls-key FILE, or --behind-proxy where a proxy in front of it does that"
                raise ConfigError(f"host {self.host!r} is of the network, where tokens would be sent in the clear without TLS; give {ways}")
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(Path(self.cert).expanduser(), Path(self.key).expanduser())
        except (OSError, ssl.SSLError) as error:
            why = error.strerror or error.reason if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigError(f"{self.cert!r} and {self.key!r} are no certificate and its key ({why}); name two files in PEM format") from error
        return context
