"""The command line: `hail-batch-jupyter …`, which is also `python -m hail_batch_jupyter …`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hail_batch_jupyter.authcli import add_auth
from hail_batch_jupyter.config import active_profile, profile_file, values_in_files
from hail_batch_jupyter.config.files import create_profile, delete_profile, load_profile, profiles, set_value, unset_value
from hail_batch_jupyter.config.variables import VARIABLES, shown, variable
from hail_batch_jupyter.errors import BatchException, ConfigError
from hail_batch_jupyter.runscli import add_runs

_PIPE_CLOSED = 141
"""The status of a command whose reader had read enough, as `head` does: 128 and the number of SIGPIPE."""
_PROFILES: dict[str, tuple[Callable[[str], None], str]] = {
    "load": (load_profile, "make a profile the active one"),
    "create": (create_profile, "make an empty profile"),
    "delete": (delete_profile, "remove a profile and its settings"),
}


_SLURM = (
    ("partition", "P", "partition of the jobs"),
    ("account", "A", "account of the jobs"),
    ("qos", "Q", "quality of service of the jobs"),
    ("options", "WORDS", "more options of sbatch, as one word: --options='--constraint=avx2 --nice'"),
    ("spot-options", "WORDS", "options of sbatch, as one word, for jobs that may be preempted: --spot-options=--partition=spare"),
    ("work-directory", "DIR", "folder that every node sees, for logs and scratch; the data folder if left out"),
    ("max-jobs", "N", "no more jobs of a batch than this are queued or running at once"),
    ("setup", "LINE", "line of shell before the command of each job, such as 'module load samtools'"),
    ("pack", "N", "so many jobs at most share a task of an array; 1: never"),
    ("logins", "WAY", "run the jobs of every other user under the user's own account: sudo on this machine, or a HOST to which the service logs in by ssh"),
    ("login-directory", "DIR", "folder for the runs of such an account, with %%u for its name; one in its home directory if left out"),
    ("login-setup", "LINE", "line of shell before a runner is started under such an account, such as 'module load slurm'"),
    ("container-engine", "ENGINE", "what runs images on the nodes: apptainer, singularity or podman"),
)
"""Options of `serve` that are those of SlurmBackend: name, what follows, about it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status: 0, 1 when it could not be done, 2 for words that mean nothing here."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        status = command(arguments)
        sys.stdout.flush()
        return status
    except BatchException as error:
        print(f"hail-batch-jupyter: {error}", file=sys.stderr)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python says at its end that it cannot write the rest
        return _PIPE_CLOSED
    except OSError as error:
        print(f"hail-batch-jupyter: {error.filename or 'the file'}: {error.strerror}; free space, or change who may write there", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("hail-batch-jupyter", description="Batch jobs from notebooks.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_config(commands.add_parser("config", help="settings, in the same files as `hailctl config`"))
    _add_cluster(commands.add_parser("cluster", help="connections to clusters by ssh"))
    add_auth(commands.add_parser("auth", help="log in to a batch service and out again, with the same files as `hailctl auth`"))
    _add_copy(commands.add_parser("copy", help="copy files and folders to, from and between object stores"))
    _add_serve(commands.add_parser("serve", help="a batch service of your own, on this machine"))
    _add_backup(commands.add_parser("backup", help="copy all that a batch service of your own keeps, while it works"))
    add_runs(commands)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    names = "\n".join(f"  {known.name:<45} {known.meaning}" for known in VARIABLES.values())
    parser.epilog, parser.formatter_class = f"settings:\n{names}", argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], words: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=words)
        made.set_defaults(command=command)
        return made

    setting = add("set", _set, "write a setting")
    setting.add_argument("name", metavar="NAME")
    setting.add_argument("value", metavar="VALUE")
    add("get", _get, "print a setting").add_argument("name", metavar="NAME")
    add("unset", _unset, "forget a setting").add_argument("name", metavar="NAME")
    add("list", _list, "print all settings that have a value").add_argument("section", metavar="SECTION", nargs="?")
    add("config-location", _location, "print where the settings of the active profile are")
    _add_profiles(commands.add_parser("profile", help="settings under a name, which lie over the default ones"))


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    words = {"login": "open a connection, with a password or a code where it is asked for; batches and jobs use it from then on", "logout": "end it"}
    for name, command in (("login", _login), ("logout", _logout)):
        made = commands.add_parser(name, help=words[name])
        made.add_argument("host", metavar="HOST", help="a name or address, or an alias of ~/.ssh/config")
        made.add_argument("--user", help="who logs in; else as ~/.ssh/config says")
        made.add_argument("--config", metavar="FILE", help="instead of ~/.ssh/config")
        made.set_defaults(command=command)
        if name == "login":
            made.add_argument("--hours", type=float, default=12.0, help="how long it stays after it was used last (%(default)s)")


def _ssh_words(arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    if arguments.host.startswith("-"):
        raise BatchException(f"host {arguments.host!r} is no name or address")
    return (["-F", arguments.config] if arguments.config else []), [*(["-l", arguments.user] if arguments.user else []), arguments.host]


def _login(arguments: argparse.Namespace) -> int:
    from hail_batch_jupyter.cluster.protocols.login import log_in

    opened = log_in(*_ssh_words(arguments), arguments.hours)
    print(f"{'Connected' if opened else 'There is a connection already'} to {arguments.host}; hail-batch-jupyter cluster logout {arguments.host} ends it")
    return 0


def _logout(arguments: argparse.Namespace) -> int:
    from hail_batch_jupyter.cluster.protocols.login import log_out

    print("Logged out" if log_out(*_ssh_words(arguments)) else f"there was no connection to {arguments.host}")
    return 0


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address of this machine to listen at (%(default)s); others than its own need TLS")
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate, for https")
    parser.add_argument("--tls-key", metavar="FILE", help="key of the certificate")
    parser.add_argument("--behind-proxy", action="store_true", help="a proxy in front of it speaks TLS")
    parser.add_argument("--port", type=int, default=5055, help="port to listen at, 0 for any that is free (%(default)s)")
    parser.add_argument("--data", metavar="DIR", help="folder for all that the service keeps (beside the runs of this user)")
    parser.add_argument("--no-images", action="store_true", help="run jobs as processes of yours, whatever image they name")
    parser.add_argument(
        "--rate-card", metavar="CARD", help="what jobs are granted and cost: hail, hail-classic, core-hours:RATE or a file; nothing costs anything if left out"
    )
    parser.add_argument("--quota", metavar="SIZE", help="no user keeps files of more than this in the service's storage, such as 200G")
    slurm = parser.add_argument_group(
        "jobs on Slurm", "What is left out comes from the settings slurm/partition and so on; --data and --work-directory are folders that nodes see."
    )
    slurm.add_argument("--slurm", action="store_true", help="run jobs on the cluster whose login node this machine is")
    for name, metavar, words in _SLURM:
        slurm.add_argument(f"--{name}", metavar=metavar, type=int if metavar == "N" else str, help=words)
    parser.set_defaults(command=_serve)
    parser.usage = "%(prog)s [OPTION …]\n       %(prog)s user COMMAND …"
    _add_users(parser.add_subparsers(title="commands", metavar="user", prog=parser.prog).add_parser("user", help="who may use the service"))


def _add_users(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add = commands.add_parser("add", help="let a user in, and write the token into a file to hand over")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--role", choices=("user", "admin"), default="user", help="administrators make billing projects, members and limits (%(default)s)")
    add.add_argument("--project", metavar="PROJECT", help="billing project of the user; NAME if left out")
    add.add_argument(
        "--runs-as", metavar="ACCOUNT", help="account of the machine under which the user's jobs run where the service has --logins; NAME if left out"
    )
    add.set_defaults(command=_add_user)
    login = commands.add_parser("login", help="have the jobs of a user run under another account of the machine; the service is to be started with --logins")
    login.add_argument("name", metavar="NAME")
    login.add_argument("login", metavar="ACCOUNT", nargs="?", help="NAME if left out")
    login.set_defaults(command=_set_login)
    remove = commands.add_parser("remove", help="let a user in no more; batches and files stay")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(command=_remove_user)
    listing = commands.add_parser("list", help="print users, roles and billing projects")
    listing.set_defaults(command=_list_users)
    quota = commands.add_parser("quota", help="limit the cores that the jobs of a user have at once")
    quota.add_argument("name", metavar="NAME")
    quota.add_argument("cores", metavar="CORES", help="a number such as 4 or 0.5, or none for no limit")
    quota.add_argument("--project", action="store_true", help="NAME is a billing project")
    quota.set_defaults(command=_set_quota)
    account = commands.add_parser("account", help="the service account by which files of object stores are copied for a user; without KEYFILE prints its name")
    account.add_argument("name", metavar="NAME")
    account.add_argument("key", metavar="KEYFILE", nargs="?", help="JSON key of a Google service account, which is copied")
    account.add_argument("--remove", action="store_true", help="forget the key")
    account.set_defaults(command=_set_account)
    for each in (add, login, remove, listing, quota, account):
        each.add_argument("--data", metavar="DIR", default=argparse.SUPPRESS, help="folder of the service (beside the runs of this user)")


def _data_of(arguments: argparse.Namespace) -> Path:
    from hail_batch_jupyter.backends.own_service import default_data

    return Path(arguments.data).expanduser().absolute() if arguments.data else default_data()


def _add_user(arguments: argparse.Namespace) -> int:
    from hail_batch_jupyter.service import users

    print(users.add(_data_of(arguments), arguments.name, arguments.role, arguments.project or arguments.name, arguments.runs_as))
    return 0


def _set_login(arguments: argparse.Namespace) -> int:
    from hail_batch_jupyter.service import users

    print(users.set_login(_data_of(arguments), arguments.name, arguments.login))
    return 0


def _remove_user(arguments: argparse.Namespace) -> int:
    from hail_batch_jupyter.service import users

    print(users.remove(_data_of(arguments), arguments.name))
    return 0


def _list_users(arguments: argparse.Namespace) -> int:
    from hail_batch_jupyter.service import users

    print(users.listed(_data_of(arguments)))
    return 0


def _set_account(arguments: argparse.Namespace) -> int:
    from hail_batch_jupyter.service import users

    data, key = _data_of(arguments), Path(arguments.key) if arguments.key else None
    print(users.remove_account(data, arguments.name) if arguments.remove else users.set_account(data, arguments.name, key))
    return 0


def _set_quota(arguments: argparse.Namespace) -> int:
    from hail_batch_jupyter.service import users

    print(users.set_quota(_data_of(arguments), "project" if arguments.project else "user", arguments.name, arguments.cores))
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    from hail_batch_jupyter.core.units import parse_bytes
    from hail_batch_jupyter.service.app import serve
    from hail_batch_jupyter.service.door import Door

    quota_bytes = parse_bytes(arguments.quota) if arguments.quota else None
    how = {"images": not arguments.no_images, "slurm": _slurm_of(arguments), "rate_card": arguments.rate_card, "quota_bytes": quota_bytes}
    door = Door(arguments.host, arguments.port, arguments.tls_cert, arguments.tls_key, arguments.behind_proxy)
    serve(door, _data_of(arguments), **how, say=lambda text: print(text, flush=True))
    return 0


def _slurm_of(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """The options for Slurm that were given, None without Slurm."""
    given = {name: getattr(arguments, name.replace("-", "_")) for name, _, _ in _SLURM}
    if not arguments.slurm:
        named = [f"--{name}" for name, value in given.items() if value is not None]
        if named:
            raise ConfigError(f"{named[0]} is about jobs on Slurm; add --slurm, or leave it out")
        return None
    options = {name.replace("-", "_"): value for name, value in given.items() if value is not None}
    engine = {"engine": options.pop("container_engine")} if "container_engine" in options else {}
    words: dict[str, Any] = {name: _words(name, options.pop(name)) for name in ("options", "spot_options") if name in options}
    return {**options, **engine, **words}


def _words(name: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"--{name.replace('_', '-')} {text!r} cannot be split into words ({error}); close the quotes as in a shell") from error


def _add_backup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="DIR", help="folder of the service (beside the runs of this user)")
    parser.add_argument("target", metavar="TARGET", help="folder to make; a service starts from it with --data")
    parser.set_defaults(command=_backup)


def _backup(arguments: argparse.Namespace) -> int:
    from hail_batch_jupyter.service.backup import back_up

    print(back_up(_data_of(arguments), Path(arguments.target)))
    return 0


def _add_profiles(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    commands.add_parser("list", help="print the profiles, with a star before the active one").set_defaults(command=_list_profiles)
    for name, (_, words) in _PROFILES.items():
        made = commands.add_parser(name, help=words)
        made.add_argument("profile", metavar="PROFILE")
        made.set_defaults(command=_change_profile, change=name)


def _add_copy(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "A folder is copied with all that is in it. With several sources, or a DEST that ends in '/', each goes into DEST under its own name."
    parser.add_argument(
        "sources", metavar="SRC", nargs="+", help="gs://BUCKET/FILE, https://ACCOUNT.blob.core.windows.net/CONTAINER/FILE, file:///PATH or a path"
    )
    parser.add_argument("dest", metavar="DEST", help="the same kinds of places")
    parser.add_argument("--key-file", metavar="FILE", help="key of a Google service account; else the application-default credentials")
    parser.add_argument("--project", metavar="PROJECT", help="Google project that pays for reading buckets whose owner does not")
    parser.add_argument("--quiet", action="store_true", help="say only what failed")
    parser.set_defaults(command=_copy)


def _set(arguments: argparse.Namespace) -> int:
    set_value(arguments.name, arguments.value)
    return 0


def _get(arguments: argparse.Namespace) -> int:
    value = values_in_files().get(variable(arguments.name).place)
    if value is None:
        print(f"hail-batch-jupyter: {arguments.name} has no value; give it one with: hail-batch-jupyter config set {arguments.name} VALUE", file=sys.stderr)
        return 1
    print(shown(value))
    return 0


def _unset(arguments: argparse.Namespace) -> int:
    if unset_value(arguments.name) is None:
        print(f"hail-batch-jupyter: {arguments.name} has no value in profile {active_profile()!r}; nothing was changed", file=sys.stderr)
        return 1
    return 0


def _list(arguments: argparse.Namespace) -> int:
    for (section, option), value in sorted(values_in_files().items()):
        if arguments.section in (None, section):
            print(f"{option if section == 'global' else f'{section}/{option}'}={shown(value)}")
    return 0


def _location(_: argparse.Namespace) -> int:
    print(profile_file(active_profile()))
    return 0


def _list_profiles(_: argparse.Namespace) -> int:
    active = active_profile()
    for name in profiles():
        print(f"{'*' if name == active else ' '} {name}")
    return 0


def _change_profile(arguments: argparse.Namespace) -> int:
    _PROFILES[arguments.change][0](arguments.profile)
    return 0


def _copy(arguments: argparse.Namespace) -> int:
    from hail_batch_jupyter.storage.access import configured_access
    from hail_batch_jupyter.storage.copy import Summary, copy, targets

    live = sys.stderr.isatty() and not arguments.quiet

    def told(summary: Summary) -> None:
        print(f"\r{summary.head()}", end="\033[K", file=sys.stderr, flush=True)

    transfers = targets(arguments.sources, arguments.dest)
    summary = copy(transfers, configured_access(arguments.project, arguments.key_file), told=told if live else None)
    if live:
        print("\r", end="\033[K", file=sys.stderr)
    if summary.failed:
        print(summary.text(), file=sys.stderr)
        return 1
    if not arguments.quiet:
        print(summary.text())
    return 0
