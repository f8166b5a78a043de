"""The commands `hail-batch-jupyter auth …`."""

from __future__ import annotations

import argparse
import sys

from hail_batch_jupyter.errors import ConfigError


def add_auth(parser: argparse.ArgumentParser) -> None:
    """Give the parser its commands."""
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    login = commands.add_parser("login", help="log in, in a browser unless one of the options says otherwise")
    ways = login.add_mutually_exclusive_group()
    ways.add_argument("--no-browser", action="store_true", help="print the address to log in at, for a browser of another machine")
    ways.add_argument("--copy-paste-token", metavar="WORD", help="the word that a page of the service shows after logging in there")
    ways.add_argument("--token", action="store_true", help="ask for a token of the service, such as that which `serve` made, or read it from standard input")
    login.set_defaults(command=_login)
    commands.add_parser("logout", help="end the session, and forget its token and identity").set_defaults(command=_logout)
    commands.add_parser("list", help="print the namespaces with a token, with a star before the one in use, and the identity").set_defaults(command=_list)


def _login(arguments: argparse.Namespace) -> int:
    from hail_batch_jupyter.client.browser import by_browser, by_hand
    from hail_batch_jupyter.client.login import login_by_copy_paste, login_by_provider, login_by_token
    from hail_batch_jupyter.config.deploy import deployment

    place = deployment()
    if arguments.token:
        name = login_by_token(place, _secret("Token: "))
    elif arguments.copy_paste_token:
        name = login_by_copy_paste(place, arguments.copy_paste_token)
    else:
        visit = by_hand(_say, sys.stdin.readline) if arguments.no_browser else by_browser(_say)
        name = login_by_provider(place, visit)
    print(f"Logged in to {place.page_url()} as {name}.")
    return 0


def _logout(_: argparse.Namespace) -> int:
    from hail_batch_jupyter.client.login import logout
    from hail_batch_jupyter.config.deploy import deployment

    place = deployment()
    print("Logged out." if logout(place) else f"Not logged in to namespace {place.namespace!r}; nothing was changed.")
    return 0


def _list(_: argparse.Namespace) -> int:
    from hail_batch_jupyter.config.deploy import deployment, stored_tokens
    from hail_batch_jupyter.config.files import identity_file

    active = deployment().namespace
    for name in sorted(stored_tokens()):
        print(f"{'*' if name == active else ' '} {name}")
    if identity_file().is_file():
        print(f"an identity, which is used before tokens: {identity_file()}")
    return 0


def _secret(prompt: str) -> str:
    """What the user types, which nobody sees; or the first line of the standard input."""
    import getpass

    token = (getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline()).strip()
    if not token:
        raise ConfigError("no token was given; paste one, or redirect the standard input from the file that holds it")
    return token


def _say(text: str) -> None:
    print(text, flush=True)
