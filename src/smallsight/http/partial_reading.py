"""Which part of a file a request wants, and whether its client has the file already (RFC 9110, 13 and 14)."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

from starlette.datastructures import Headers
from starlette.types import Scope

_TAG = re.compile(r'"[^"]*"')
_RANGE = re.compile(r"\s*(?:(\d{1,18})\s*-\s*(\d{1,18})?|-\s*(\d{1,18}))\s*")
_MAX_RANGES = 100


def is_known_to_client(headers: Headers, etag: str, changed_s: float | None = None) -> bool:
    """Return whether a client that asks for a change has this version: it gets 304.

    ``changed_s`` is when the file was changed, in seconds since 1970; it counts only without tags.
    """
    if "if-none-match" in headers:
        given = ",".join(headers.getlist("if-none-match"))
        return given.strip() == "*" or not set(_TAG.findall(etag)).isdisjoint(_TAG.findall(given))
    if changed_s is None:
        return False
    try:
        return int(changed_s) <= parsedate_to_datetime(headers["if-modified-since"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return False


def keep_usable_range(scope: Scope, size_bytes: int) -> None:
    """Take the header Range out of a request where it does not count, and the parts that the file lacks.

    Starlette refuses what RFC 9110 has ignored (findings/starlette_ranges.sh). Where the file has nothing of
    what is wanted, the header asks for a part behind the end, for a 416.
    """
    headers = Headers(scope=scope)
    given = headers.get("range")
    if given is None:
        return
    usable = _usable(given, size_bytes) if scope["method"] == "GET" else None
    others = [(name, value) for name, value in scope["headers"] if name.lower() != b"range"]
    scope["headers"] = others if usable is None else [*others, (b"range", usable.encode("ascii"))]


def _usable(given: str, size_bytes: int) -> str | None:
    """Return the ranges that the file has, all if it has none of them, None if the header does not count."""
    unit, _, listed = given.partition("=")
    wanted = [one for one in listed.split(",") if one.strip()]
    ranges = [_RANGE.fullmatch(one) for one in wanted]
    if unit.strip().lower() != "bytes" or not 0 < len(ranges) <= _MAX_RANGES:
        return None
    kept = []
    for one in ranges:
        if one is None:
            return None
        first, last, suffix = (None if part is None else int(part) for part in one.groups())
        if first is not None and last is not None and last < first:
            return None
        if size_bytes and (suffix or (first is not None and first < size_bytes)):
            kept.append("".join(one[0].split()))
    return f"bytes={','.join(kept) or f'{size_bytes}-'}"
