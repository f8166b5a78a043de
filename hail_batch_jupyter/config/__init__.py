"""Settings: an argument, else the environment (HAIL_SECTION_OPTION), else the user's config.ini (a profile over the default), else a fallback.

The files are those of `hailctl config`: $XDG_CONFIG_HOME/hail/config.ini, and NAME.ini beside it for the profile that
`global/profile` names. Nothing is read before it is asked for, and nothing is remembered.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, overload

from hail_batch_jupyter.errors import ConfigError

if TYPE_CHECKING:
    from configparser import ConfigParser

DEFAULT_PROFILE = "default"


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


def configured_list(section: str, option: str, argument: list[str] | None = None) -> list[str] | None:
    """The setting as a list: the argument, or the parts between commas without blanks; None without one."""
    if argument is not None:
        return argument
    text = configured(section, option)
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


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


def profile_file(profile: str) -> Path:
    """The file of a profile; that of the default one is config.ini."""
    return config_folder() / ("config.ini" if profile == DEFAULT_PROFILE else f"{profile}.ini")


def active_profile() -> str:
    """The profile whose values lie over the default ones."""
    main = read_ini(main_file())
    return (main.get("global", "profile", fallback="") if main is not None else "") or DEFAULT_PROFILE


def main_file() -> Path:
    """The default file; one with its former name, config.yaml, is renamed."""
    path = profile_file(DEFAULT_PROFILE)
    former = path.with_name("config.yaml")
    if not path.exists() and former.is_file():
        former.rename(path)
    return path


def value_in_files(section: str, option: str) -> str | None:
    """The value that the user's files give, the profile's first; None without one."""
    for parser in _parsers():
        value = parser.get(section, option, fallback=None)
        if value is not None:
            return value
    return None


def values_in_files() -> dict[tuple[str, str], str]:
    """Every (section, option) of the files with its value, the profile's over the default ones."""
    found: dict[tuple[str, str], str] = {}
    for parser in reversed(_parsers()):
        found.update({(section, option): value for section in parser.sections() for option, value in parser.items(section)})
    return found


def _parsers() -> list[ConfigParser]:
    """The files that are there, the one that counts most first."""
    main = read_ini(main_file())
    if main is None:
        return []
    profile = main.get("global", "profile", fallback="") or DEFAULT_PROFILE
    overrides = read_ini(profile_file(profile)) if profile != DEFAULT_PROFILE else None
    return [main] if overrides is None else [overrides, main]


def read_ini(path: Path) -> ConfigParser | None:
    """What is in a configuration file, None where there is none.

    Raises ConfigError for a file that is no ini file.
    """
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
