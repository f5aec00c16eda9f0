"""Where settings and data are unless something else is said: the data folder and the file of settings."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from smallsight.errors import SettingsError


def default_home() -> Path:
    """Return the platform's folder for this user's application data, without creating it."""
    try:
        return Path(platformdirs.user_data_dir("smallsight", appauthor=False))
    except RuntimeError as error:  # in a container, under a user that the system does not know
        raise SettingsError(
            "This user has no home folder.", hint="set HOME, or set SMALLSIGHT_HOME to a folder for the data."
        ) from error


def expanded(path: str) -> Path:
    """Return a path in which ``~`` stands for a home folder; raises SettingsError for one of nobody."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise SettingsError(
            f"There is no user with this home folder: {path}", hint="write it out."
        ) from error


def config_path() -> Path:
    """Return the path of ``smallsight.toml``; the file need not exist."""
    if named := os.environ.get("SMALLSIGHT_CONFIG"):
        return expanded(named)
    home = os.environ.get("SMALLSIGHT_HOME")
    return (expanded(home) if home else default_home()) / "smallsight.toml"
