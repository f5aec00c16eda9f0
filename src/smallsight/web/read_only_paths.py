"""Which requests of the pages change nothing and need nothing that only one process of a server has.

Pages with the state of models, indexing or uploads are not among them.
"""

from __future__ import annotations

import re

__all__ = ["is_events_line", "is_read_only", "is_read_only_line"]

_PATH = (
    r"/app/(?:|results|tiles|pictures/[0-9]{1,18}|thumbs/[0-9]{1,5}/[0-9a-f]{64}|files/[0-9a-f]{64}"
    r"|static/[\w./-]{1,200}|tag-colours\.css)"
)
_READ_PATH = re.compile(_PATH, re.ASCII)
_READ_LINE = re.compile(rb"(?:GET|HEAD) " + _PATH.encode() + rb"(?:\?[!-~]*)? HTTP/1\.1\r\n")
_EVENTS_LINE = re.compile(rb"GET /app/events(?:\?[!-~]*)? HTTP/1\.1\r\n")


def is_read_only(method: str, path: str) -> bool:
    """Return whether a request only reads the library."""
    return method in {"GET", "HEAD"} and _READ_PATH.fullmatch(path) is not None


def is_read_only_line(line: bytes) -> bool:
    """Return whether a request with this first line only reads; false for one that is not whole."""
    return _READ_LINE.fullmatch(line) is not None


def is_events_line(line: bytes) -> bool:
    """Return whether a request with this first line opens the socket that keeps a page up to date."""
    return _EVENTS_LINE.fullmatch(line) is not None
