"""Loggers that import structlog when the first line is written: most commands never write one."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

_pending: Callable[[], None] | None = None
_lowest = logging.WARNING  # until a program configures it: a library is silent when all is well


def get_logger(name: str) -> Logger:
    """Return the logger of a module."""
    return Logger(name)


def configure_later(lowest: int, configure: Callable[[], None]) -> None:
    """Have ``configure`` called before the next line of level ``lowest`` or above; drop lines below it."""
    global _pending, _lowest
    _lowest, _pending = lowest, configure
    if "structlog" in sys.modules:
        _configure_now()


def _configure_now() -> None:
    global _pending
    configure, _pending = _pending, None
    if configure is not None:
        configure()


class Logger:
    """Writes lines: the name of an event, and values by name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, event: str, **values: Any) -> None:  # noqa: ANN401
        """Write a line for those who look for a fault in this program."""
        self._write(logging.DEBUG, "debug", event, values)

    def info(self, event: str, **values: Any) -> None:  # noqa: ANN401
        """Write a line about something that works as it should."""
        self._write(logging.INFO, "info", event, values)

    def warning(self, event: str, **values: Any) -> None:  # noqa: ANN401
        """Write a line about something that works less well than it could."""
        self._write(logging.WARNING, "warning", event, values)

    def error(self, event: str, **values: Any) -> None:  # noqa: ANN401
        """Write a line about something that failed."""
        self._write(logging.ERROR, "error", event, values)

    def exception(self, event: str, **values: Any) -> None:  # noqa: ANN401
        """Write a line about something that failed, with the traceback."""
        self._write(logging.ERROR, "exception", event, values)

    def _write(self, level: int, method: str, event: str, values: dict[str, Any]) -> None:
        if level < _lowest:
            return
        import structlog  # noqa: PLC0415 - it takes a tenth of a second

        _configure_now()
        getattr(structlog.get_logger(self._name), method)(event, **values)
