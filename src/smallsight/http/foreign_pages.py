"""Decides which Host and Origin headers are accepted, and which addresses are loopback ones.

A page may point its name at this machine (DNS rebinding), or just send requests here. The Host header shows
the first, Origin and Sec-Fetch-Site the second. Plain policy; ``host_guard`` applies it.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")
# What containers call the machine they run on. ``.internal`` is reserved for private networks, so no page of
# the internet has such a name, and none can point it here.
CONTAINER_HOSTS = frozenset({"host.docker.internal", "host.containers.internal"})
ANY = "*"
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def own_names() -> frozenset[str]:
    """Return this machine's names: localhost, the host name, with ``.local`` too, and those in containers."""
    name = socket.gethostname().lower()
    return frozenset({"localhost", name, f"{name}.local"}) | CONTAINER_HOSTS


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_known_host(header: str | None, names: Collection[str]) -> bool:
    """Return whether a Host header names this server: any IP address, or one of these names.

    Addresses are safe: a browser sends the name of an attacker's page, never an address in its stead.
    """
    host = host_of(header)
    return host is not None and (_is_address(host) or host in names or ANY in names)


def is_single_label(header: str | None) -> bool:
    """Return whether a Host header is a name without a dot, as containers and home networks have."""
    host = host_of(header)
    return host is not None and "." not in host and not _is_address(host)


def host_of(header: str | None) -> str | None:
    """Return the host in a Host header in lower case, without port and brackets; None if it is malformed."""
    match = _HOST.fullmatch(header or "")
    return None if match is None else match[1].strip("[]").lower()


def is_foreign(method: str | None, headers: Mapping[str, str], allowed_origins: Collection[str]) -> bool:
    """Return whether a page of another site requests more than reading.

    ``method`` is None for a WebSocket handshake. It counts as more than reading: a page of any site may read
    the messages that follow. Programs other than browsers send neither header, and are not refused here.
    """
    if method in _SAFE_METHODS and headers.get("upgrade", "").lower() != "websocket":
        return False
    origin = headers.get("origin")
    if origin is not None and (origin in allowed_origins or ANY in allowed_origins):
        return False
    site = headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return True
    return origin is not None and not _is_same(origin, headers.get("host"))


def _is_same(origin: str, host: str | None) -> bool:
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == (host or "").lower()
    except ValueError:
        return False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
