"""A library that a long-lived process keeps open, for reading and for edits, each from its first use.

It need not exist when the process starts.
"""

from __future__ import annotations

import threading

from smallsight.errors import LibraryError
from smallsight.services.application import Application
from smallsight.settings import Settings


class OpenedLibrary:
    """May be used from any thread; holds no lock between calls. Close it at the end."""

    def __init__(
        self, settings: Settings, *, answers_many: bool = True, configures_logging: bool = False
    ) -> None:
        """With ``answers_many``, load the text model that is slow to load and fast for each query."""
        self._settings = settings
        self._answers_many = answers_many
        self._configures_logging = configures_logging
        self._turn = threading.RLock()
        self._reader: Application | None = None
        self._writer: Application | None = None
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether it can no longer be used."""
        return self._is_closed

    @property
    def exists(self) -> bool:
        """Whether something was indexed."""
        return self._settings.database_path.is_file()

    def reading(self) -> Application:
        """Return the library, open for reading; raises LibraryMissingError until something was indexed."""
        with self._turn:
            self.require_open()
            if self._reader is None:
                reader = Application(
                    self._reader_settings(), for_writing=False, configures_logging=self._configures_logging
                )
                if self._answers_many:
                    _ = reader.embedder
                self._reader = reader
            return self._reader

    def editing(self) -> Application:
        """Return the library, open for edits; raises LibraryMissingError until something was indexed."""
        with self._turn:
            self.require_open()
            if self._writer is None:
                self._writer = Application.for_editing(
                    self._settings, configures_logging=self._configures_logging
                )
            return self._writer

    def close(self) -> None:
        """Close both, once no call is in progress; may be called again."""
        with self._turn:
            self._is_closed = True
            opened, self._reader, self._writer = (self._reader, self._writer), None, None
        for one in opened:
            if one is not None:
                one.close()

    def _reader_settings(self) -> Settings:
        """Return settings with which the few tokens of a search are embedded by one thread.

        Two take twice the processor time for them, most of it waiting for each other.
        """
        return self._settings.model_copy(update={"threads": 1}) if self._answers_many else self._settings

    def require_open(self) -> None:
        """Raise LibraryError after ``close``."""
        if self._is_closed:
            raise LibraryError(
                "The library has been closed.", hint="open it again with smallsight.open_library."
            )
