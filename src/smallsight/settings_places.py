"""Where settings and data are unless something else is said: the data folder and the file of settings."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def default_home() -> Path:
    """Return the platform's folder for this user's application data, without creating it."""
    return Path(platformdirs.user_data_dir("smallsight", appauthor=False))


def config_path() -> Path:
    """Return the path of ``smallsight.toml``; the file need not exist."""
    if named := os.environ.get("SMALLSIGHT_CONFIG"):
        return Path(named).expanduser()
    home = os.environ.get("SMALLSIGHT_HOME")
    return (Path(home).expanduser() if home else default_home()) / "smallsight.toml"
