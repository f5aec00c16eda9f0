"""Configures logging: to standard error, from the level in the settings."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING

from smallsight.policy.log import configure_later
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

_REPEAT_EVERY_S = 10.0
_REPEAT_CHARS, _REPEAT_KEYS = 200, 100


def configure_logging(log_level: str, log_format: str = "text") -> None:
    """Send log lines of this level and above to standard error.

    "text" is for people, in colour only on a terminal; "json" is one object a line, in ASCII.
    """
    level = logging.getLevelNamesMapping()[log_level.upper()]
    configure_later(level, lambda: _configure(level, log_format))
    logging.getLogger().handlers[:] = [
        one for one in logging.getLogger().handlers if not isinstance(one, _LibraryRecords)
    ]
    if log_format == "json":
        logging.getLogger().addHandler(_LibraryRecords(logging.WARNING))


def _configure(level: int, log_format: str) -> None:
    """Configure structlog; no format prints local variables, which may hold people's questions and keys."""
    import structlog  # noqa: PLC0415 - see policy.log

    def as_json() -> tuple[Processor, ...]:
        render = structlog.processors.JSONRenderer(ensure_ascii=True, default=str)
        return structlog.processors.format_exc_info, render

    def as_text() -> tuple[Processor, ...]:
        plain = structlog.dev.plain_traceback
        render = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
        return _escape_values, render

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *(as_json() if log_format == "json" else as_text()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Standard error is looked up for each line: a program around ours may replace and close it.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


class _LibraryRecords(logging.Handler):
    """Writes the log records of libraries in the same format."""

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record."""
        import structlog  # noqa: PLC0415 - see policy.log

        structlog.get_logger().log(record.levelno, record.getMessage(), logger=record.name)


def collapse_repeats(*names: str) -> None:
    """Let these libraries' loggers write the same line at most once in ten seconds, with a count."""
    for name in names:
        logger = logging.getLogger(name)
        if not any(isinstance(one, NoRepeats) for one in logger.filters):
            logger.addFilter(NoRepeats())


class NoRepeats(logging.Filter):
    """Drops records with a message that was written a short time ago; the next one counts them."""

    def __init__(self, every_s: float = _REPEAT_EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s = every_s
        self._clock = clock
        self._written: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is written."""
        key = f"{record.levelno} {record.msg}"[:_REPEAT_CHARS]
        written_s, num_dropped = self._written.get(key, (-self._every_s, 0))
        now_s = self._clock()
        if now_s - written_s < self._every_s:
            self._written[key] = (written_s, num_dropped + 1)
            return False
        if len(self._written) >= _REPEAT_KEYS:
            self._written.clear()
        self._written[key] = (now_s, 0)
        if num_dropped:
            record.msg, record.args = f"{record.getMessage()} ({num_dropped} more like this)", None
        return True


def _escape_values(_: object, __: str, event: EventDict) -> EventDict:
    """Escape control characters of file names, requests and other servers' answers."""
    return {
        key: on_one_line(value) if isinstance(value, str | PurePath) else value
        for key, value in event.items()
    }
