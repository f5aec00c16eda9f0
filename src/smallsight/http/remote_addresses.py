"""Decides from which URLs pictures may be fetched. Plain policy: it opens no connections.

A URL is parsed once, for the check and for the connection, so the two cannot differ.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from smallsight.errors import BadRequestError

ANY_HOST = "*"
MAX_URL_CHARS = 2048
_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))+")
_PRINTABLE_ASCII = re.compile(r"[!-~]+")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Not public, though Python's tables (which differ between versions) may say so.
_NEVER = [
    ipaddress.ip_network(network)
    for network in (
        *("168.63.129.16/32", "192.88.99.0/24", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15"),
        *("fec0::/10", "3fff::/20", "2001:db8::/32", "2001::/23", "64:ff9b:1::/48", "5f00::/16", "100::/64"),
    )
]

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class RemoteUrl:
    """A parsed URL; ``target`` is path and query as sent in the request."""

    scheme: str
    host: str
    port: int
    target: str


def read_remote_url(url: str, allowed_hosts: Collection[str]) -> RemoteUrl:
    """Parse a URL; raises BadRequestError for one that is not allowed or not plain.

    Accepts only host names, never IP addresses, only the scheme's default port, and nothing that parsers
    disagree about.
    """
    if not allowed_hosts:
        raise _refused("This server does not fetch pictures", "send them as data: URLs, base64.")
    if len(url) > MAX_URL_CHARS or not _PRINTABLE_ASCII.fullmatch(url) or "\\" in url:
        raise _refused(
            "The picture's URL has characters that are not allowed, or is too long",
            "write it in ASCII, percent-encoded.",
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused("The picture's URL is invalid", "check it.") from error
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if scheme not in _PORTS or "@" in parts.netloc or port not in (None, _PORTS[scheme]):
        raise _refused(
            "The picture's URL has a scheme, user or port that is not allowed",
            "use http or https, without a user, on the usual port.",
        )
    if not _HOST_NAME.fullmatch(host) or _is_number(host):
        raise _refused("The picture's URL has no valid host name", "use a host name, not an address.")
    if ANY_HOST not in allowed_hosts and host not in {one.lower() for one in allowed_hosts}:
        raise _refused(f"This server does not fetch pictures from {host}", "send it as a data: URL, base64.")
    query = f"?{parts.query}" if parts.query else ""
    return RemoteUrl(scheme, host, _PORTS[scheme], (parts.path or "/") + query)


def is_public(address: str) -> bool:
    """Return whether an IP address, with all IPv4 addresses embedded in it, is public."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(
        one.is_global
        and not one.is_multicast
        and not one.is_reserved
        and not any(one.version == network.version and one in network for network in _NEVER)
        for one in _unwrapped(ip)
    )


def _unwrapped(ip: IPAddress) -> list[IPAddress]:
    """Return an address and the IPv4 addresses embedded in it; a mapped one is replaced by its IPv4."""
    found: list[IPAddress] = []
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    if ip.ipv4_mapped is not None:
        return [ip.ipv4_mapped]
    if ip.sixtofour is not None:
        found.append(ip.sixtofour)
    if ip.teredo is not None:
        found += ip.teredo
    if ip in _NAT64:
        return [*found, ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)]
    return [*found, ip]


def _is_number(host: str) -> bool:
    """Return whether a host could be parsed as an IP address: its last label is decimal or hexadecimal."""
    return re.fullmatch(r"(?:\d+|0x[0-9a-f]*)", host.rpartition(".")[2]) is not None


def _refused(why: str, hint: str) -> BadRequestError:
    return BadRequestError(f"{why}.", hint=hint, param="image_url")
