"""Settings: an argument, else the environment (HAIL_SECTION_OPTION), else the user's config.ini (a profile over the default), else a fallback.

The files are those of `hailctl config`: $XDG_CONFIG_HOME/hail/config.ini, and NAME.ini beside it for the profile that
`global/profile` names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, overload

from hail_batch_jupyter.errors import ConfigError

if TYPE_CHECKING:
    from configparser import ConfigParser


@overload
def configured(section: str, option: str, argument: str | None = None, *, fallback: str) -> str: ...


@overload
def configured(section: str, option: str, argument: str | None = None, *, fallback: None = None) -> str | None: ...


def configured(section: str, option: str, argument: str | None = None, *, fallback: str | None = None) -> str | None:
    """The value of a setting; an empty variable of the environment counts as unset.

    Raises ConfigError for a file that is no ini file.
    """
    if argument is not None:
        return argument
    from_environment = os.environ.get(variable_of(section, option))
    if from_environment:
        return from_environment
    from_file = value_in_files(section, option)
    return fallback if from_file is None else from_file


def variable_of(section: str, option: str) -> str:
    """'HAIL_BATCH_BACKEND' of batch/backend."""
    return f"HAIL_{section}_{option}".upper()


def keep_runs_days() -> float:
    """`batch/keep_runs_days`: ended runs are removed after so many days, 30; `inf` for never."""
    return _number("batch", "keep_runs_days", "30")


def keep_runs_gb() -> float:
    """`batch/keep_runs_gb`: the oldest ended runs are removed while all take more room than this (10^9 bytes), 20; `inf` for any."""
    return _number("batch", "keep_runs_gb", "20")


def _number(section: str, option: str, fallback: str) -> float:
    text = configured(section, option, fallback=fallback)
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not number >= 0:
        raise ConfigError(
            f"{section}/{option} is {text!r}, and it is a number of 0 or more, or inf; mend it with `{variable_of(section, option)}` or in config.ini"
        )
    return number


def config_folder() -> Path:
    """Where the configuration files are."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "hail"


def value_in_files(section: str, option: str) -> str | None:
    """The value that the user's files give, the profile's first; None without one."""
    folder = config_folder()
    main = _read(folder / "config.ini")
    if main is None:
        return None
    profile = main.get("global", "profile", fallback=None)
    overrides = _read(folder / f"{profile}.ini") if profile and profile != "default" else None
    for parser in (overrides, main):
        value = None if parser is None else parser.get(section, option, fallback=None)
        if value is not None:
            return value
    return None


def _read(path: Path) -> ConfigParser | None:
    if not path.is_file():
        return None
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(f"configuration file {str(path)!r} cannot be read ({first}); mend it, or move it away") from error
    return parser
