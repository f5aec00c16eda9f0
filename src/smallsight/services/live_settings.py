"""Settings that may change while a server runs: the file is read again after a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smallsight.errors import SettingsError
from smallsight.policy.log import get_logger
from smallsight.settings import Settings, config_path, load_settings, settings_in_file

log = get_logger(__name__)

_ACTIVE = "active_model"
_NEVER = (-1, -1, -1)  # the mark of no file


class LiveSettings:
    """The settings in force; ``overrides`` come before file and environment.

    The active model is an exception: a server starts with the one from its flag or environment, and a name
    written into the file later overrides both. If the file becomes invalid, an error is logged and the old
    settings stay in force. Only the constructor raises SettingsError.
    """

    def __init__(self, overrides: Mapping[str, Any] | None = None) -> None:
        self._overrides = dict(overrides or {})
        self._seen: tuple[int, int, int] | None = _mark_of_file()
        self._settings = load_settings(**self._overrides)
        self._first_in_file = settings_in_file().get(_ACTIVE)

    @property
    def overrides(self) -> Mapping[str, Any]:
        """What comes before file and environment: the options of the command."""
        return self._overrides

    def note_choice(self) -> None:
        """Say that a person has just chosen the active model in the file, so that it comes first."""
        self._first_in_file = None
        self._seen = _NEVER

    def current(self) -> Settings:
        """Return the current settings; reads the file again if it has changed."""
        seen = _mark_of_file()
        if seen != self._seen:
            self._seen = seen
            try:
                self._settings = self._read_again()
                log.info("settings_read_again")
            except SettingsError as error:
                log.error("settings_not_changed", why=str(error))
        return self._settings

    def _read_again(self) -> Settings:
        settings = load_settings(**self._overrides)  # raises SettingsError for an invalid file
        named = settings_in_file().get(_ACTIVE)
        if named in (None, self._first_in_file, settings.active_model):
            return settings
        return load_settings(**{**self._overrides, _ACTIVE: named})


def _mark_of_file() -> tuple[int, int, int] | None:
    try:
        status = config_path().stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
