"""The user's way to an identity provider and back: through a browser of this machine, or with the address copied by hand."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer

from hail_batch_jupyter.errors import NotAuthenticatedError

_LIMIT_S = 300.0
_PAGE = b"<!doctype html><title>Logged in</title><p>You can close this page and go back to where you came from."

Say = Callable[[str], None]


def by_browser(say: Say) -> Callable[[Callable[[str], str]], str]:
    """Opens a browser here, and waits until it comes back to a port of this machine.

    Raises NotAuthenticatedError when nobody comes back within five minutes.
    """

    def visit(address: Callable[[str], str]) -> str:
        came_back: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if "state=" in self.path:  # browsers ask for an icon, too
                    came_back.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(_PAGE)

            def log_message(self, *_: object) -> None:
                return

        class Server(HTTPServer):
            timeout = _LIMIT_S

            def handle_timeout(self) -> None:
                raise NotAuthenticatedError("nobody came back from the browser within five minutes; log in again, or with --no-browser")

        with Server(("127.0.0.1", 0), Handler) as server:
            there = address(f"http://127.0.0.1:{server.server_port}/")
            say(f"Log in in your browser. If none opens, go to:\n{there}")
            webbrowser.open(there)
            while not came_back:
                server.handle_request()
        return came_back[-1]

    return visit


def by_hand(say: Say, ask: Callable[[], str]) -> Callable[[Callable[[str], str]], str]:
    """Has the user open the address on any machine, and copy the address where that ends, which shows no page."""

    def visit(address: Callable[[str], str]) -> str:
        there = address("http://127.0.0.1:1/")
        say(f"Open this address in a browser of any machine, and log in:\n{there}\nIt ends at a page that cannot be shown. Copy its whole address to here:")
        return ask()

    return visit
