"""Changing the configuration files: one value at a time, in one step, comments and order kept."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hail_batch_jupyter.config import DEFAULT_PROFILE, active_profile, config_folder, main_file, profile_file, read_ini
from hail_batch_jupyter.config.variables import checked, variable
from hail_batch_jupyter.errors import ConfigError

_SECTION = re.compile(r"\s*\[([^\]]+)\]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def set_value(name: str, value: str) -> Path:
    """Write a setting into the file of the active profile, and give that file.

    Raises ConfigError for an unknown setting or a value that it cannot have.
    """
    text, path = checked(name, value), profile_file(active_profile())
    _change(path, *variable(name).place, text)
    return path


def unset_value(name: str) -> Path | None:
    """Take a setting out of the file of the active profile, and give that file; None when the setting is not in it."""
    path = profile_file(active_profile())
    section, option = variable(name).place
    parser = read_ini(path)
    if parser is None or not parser.has_option(section, option):
        return None
    _change(path, section, option, None)
    return path


def profiles() -> list[str]:
    """The names of all profiles, the default one first."""
    return [DEFAULT_PROFILE, *sorted(path.stem for path in config_folder().glob("*.ini") if path.name != "config.ini")]


def load_profile(name: str) -> None:
    """Make a profile the active one."""
    _check_profile(name)
    if name != active_profile():
        _change(main_file(), "global", "profile", None if name == DEFAULT_PROFILE else name)


def create_profile(name: str) -> None:
    """Make an empty profile."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"profile {name!r} cannot be the name of a file; use letters, digits, '.', '_' and '-'")
    if name in (*profiles(), "config"):
        raise ConfigError(f"profile {name!r} is there already; load it with: hail-batch-jupyter config profile load {name}")
    main_file()
    write_whole(profile_file(name), "")


def delete_profile(name: str) -> None:
    """Remove a profile and its settings; not the default one, and not the active one."""
    _check_profile(name)
    if name == DEFAULT_PROFILE:
        raise ConfigError("profile 'default' cannot be deleted; unset its settings instead")
    if name == active_profile():
        raise ConfigError(f"profile {name!r} is the active one; load another one first, such as: hail-batch-jupyter config profile load default")
    profile_file(name).unlink()


def _check_profile(name: str) -> None:
    if name not in profiles():
        raise ConfigError(f"there is no profile {name!r}; the profiles are: {', '.join(profiles())}")


def _change(path: Path, section: str, option: str, value: str | None) -> None:
    read_ini(path)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    write_whole(path, with_value(text, section, option, value))


def with_value(text: str, section: str, option: str, value: str | None) -> str:
    """The text of an ini file with one option set, or with None taken out; every other line stays."""
    lines = text.splitlines()
    begin = next((n for n, line in enumerate(lines) if (found := _SECTION.match(line)) and found[1] == section), None)
    if begin is None:
        gap = [""] if lines and lines[-1].strip() else []
        return text if value is None else "\n".join([*lines, *gap, f"[{section}]", f"{option} = {value}", ""])
    end = next((n for n in range(begin + 1, len(lines)) if _SECTION.match(lines[n])), len(lines))
    new = [] if value is None else [f"{option} = {value}"]
    place = _lines_of(lines, begin + 1, end, option)
    if place is None:
        after = max((n + 1 for n in range(begin, end) if lines[n].strip()), default=end)
        place = (after, after)
    return "\n".join([*lines[: place[0]], *new, *lines[place[1] :], ""])


def _lines_of(lines: list[str], begin: int, end: int, option: str) -> tuple[int, int] | None:
    """First line of an option and the line after its last: a value goes on in lines that are indented."""
    pattern = re.compile(rf"{re.escape(option)}\s*([=:]|$)", re.IGNORECASE)
    for n in range(begin, end):
        if pattern.match(lines[n]):
            after = n + 1
            while after < end and lines[after][:1] in (" ", "\t") and lines[after].strip():
                after += 1
            return n, after
    return None


def identity_file() -> Path:
    """Where the identity of an external provider is kept, as `hailctl auth` does."""
    return config_folder() / "identity.json"


def write_identity(identity: Mapping[str, Any]) -> None:
    """Keep an identity in a file that only the user can read."""
    write_whole(identity_file(), json.dumps(identity) + "\n", secret=True)


def write_whole(path: Path, text: str, *, secret: bool = False) -> None:
    """Replace a file in one step; a new or `secret` one can be read by its owner only, another one keeps its mode."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() and not secret else 0o600
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.chmod(mode)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
