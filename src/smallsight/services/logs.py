"""Configures logging: to standard error, from the level in the settings."""

from __future__ import annotations

import logging
import sys
from pathlib import PurePath

import structlog
from structlog.typing import EventDict, Processor

from smallsight.policy.shown_text import on_one_line

# Neither format prints local variables in tracebacks: they may hold people's questions, and keys.
_AS_JSON: tuple[Processor, ...] = (
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(ensure_ascii=True, default=str),
)


def configure_logging(log_level: str, log_format: str = "text") -> None:
    """Send log lines of this level and above to standard error.

    "text" is for people, in colour only on a terminal; "json" is one object a line, in ASCII.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *(_AS_JSON if log_format == "json" else (_escape_values, _text_renderer())),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[log_level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.getLogger().handlers[:] = [
        one for one in logging.getLogger().handlers if not isinstance(one, _LibraryRecords)
    ]
    if log_format == "json":
        logging.getLogger().addHandler(_LibraryRecords(logging.WARNING))


class _LibraryRecords(logging.Handler):
    """Writes the log records of libraries in the same format."""

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record."""
        structlog.get_logger().log(record.levelno, record.getMessage(), logger=record.name)


def _escape_values(_: object, __: str, event: EventDict) -> EventDict:
    """Escape control characters of file names, requests and other servers' answers."""
    return {
        key: on_one_line(value) if isinstance(value, str | PurePath) else value
        for key, value in event.items()
    }


def _text_renderer() -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
