"""Tells requests of our own pages, and of people who follow an address, from those of other sites.

Stricter than ``http.foreign_pages``: origins that may use the API may not use the pages, and no other site
may load a page into itself or measure how long one takes. Other programs send none of these headers.
"""

from __future__ import annotations

from starlette.requests import HTTPConnection

from smallsight.http.foreign_pages import is_foreign


def is_from_elsewhere(connection: HTTPConnection) -> bool:
    """Return whether a page of another origin causes this request, other than by a link to a whole page."""
    return is_foreign(None, connection.headers, ()) and not _is_link(connection)


def _is_link(connection: HTTPConnection) -> bool:
    headers = connection.headers
    return (
        connection.scope.get("method") in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
        and "origin" not in headers
    )
