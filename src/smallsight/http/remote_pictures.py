"""Fetches pictures by their URL, where the operator allows it.

The name is resolved once, all its addresses must be public, the connection goes to the first of them, and
each redirect is checked like the first URL.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx2

from smallsight.errors import BadRequestError, PictureTooLargeError
from smallsight.http.remote_addresses import RemoteUrl, is_public, read_remote_url
from smallsight.policy.log import get_logger
from smallsight.settings import ServerSettings
from smallsight.version import __version__

log = get_logger(__name__)

MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)

Resolve = Callable[[str, int], Awaitable[list[str]]]
Connect = Callable[[RemoteUrl, str], str]


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """The bytes behind a URL; ``name`` is the path of the final URL, which may end in a file name."""

    name: str
    data: bytes


class RemotePictures:
    """Fetches pictures within limits of size and time; callers may replace the parts that use the network."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        resolve: Resolve | None = None,
        is_allowed: Callable[[str], bool] = is_public,
        connect_to: Connect | None = None,
    ) -> None:
        self._settings = settings
        self._resolve = resolve or _resolve
        self._is_allowed = is_allowed
        self._connect_to = connect_to or _pinned
        self._tls: ssl.SSLContext | None = None

    async def fetch(self, url: str) -> FetchedFile:
        """Return the bytes behind a URL; raises BadRequestError and PictureTooLargeError."""
        try:
            async with asyncio.timeout(self._settings.fetch_timeout_s):
                return await self._follow(url)
        except TimeoutError as error:
            raise _failed(f"took longer than {self._settings.fetch_timeout_s:g} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            log.info("picture_not_fetched", why=repr(error))
            raise _failed("failed") from error

    async def _follow(self, url: str) -> FetchedFile:
        for _ in range(MAX_REDIRECTS + 1):
            remote = read_remote_url(url, self._settings.picture_hosts)
            address = await self._public_address(remote)
            answer = await self._get(remote, address)
            if isinstance(answer, FetchedFile):
                return answer
            url = urljoin(f"{remote.scheme}://{remote.host}{remote.target}", answer)
        raise _failed(f"was redirected more than {MAX_REDIRECTS} times")

    async def _public_address(self, remote: RemoteUrl) -> str:
        """Resolve a name once and return its first address; raises BadRequestError if any is private."""
        addresses = await self._resolve(remote.host, remote.port)
        if not addresses or not all(map(self._is_allowed, addresses)):
            raise _failed("is not allowed: its host has no public address, or also has a private one")
        return addresses[0]

    async def _get(self, remote: RemoteUrl, address: str) -> FetchedFile | str:
        """Return the picture, or the target of a redirect."""
        if self._tls is None:
            self._tls = httpx2.create_ssl_context()
        headers = {"host": remote.host, "accept": "image/*, video/*", "accept-encoding": "identity"}
        headers["user-agent"] = f"smallsight/{__version__}"
        client = httpx2.AsyncClient(
            verify=self._tls, trust_env=False, follow_redirects=False, timeout=self._settings.fetch_timeout_s
        )
        async with client:
            request = client.stream(
                "GET",
                self._connect_to(remote, address),
                headers=headers,
                extensions={"sni_hostname": remote.host},
            )
            async with request as response:
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    return str(response.headers["location"])
                if response.status_code != 200:
                    raise _failed(f"returned status {response.status_code}")
                return FetchedFile(remote.target.partition("?")[0], await self._read(response))

    async def _read(self, response: httpx2.Response) -> bytes:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise _failed("returned compressed data, which was not requested")
        announced = response.headers.get("content-length", "0")
        data = bytearray()
        if announced.isdecimal() and int(announced[:20]) > self._settings.max_fetch_bytes:
            raise self._too_large()
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > self._settings.max_fetch_bytes:
                raise self._too_large()
        return bytes(data)

    def _too_large(self) -> PictureTooLargeError:
        return PictureTooLargeError(
            f"The picture behind the URL is too large (limit {self._settings.max_fetch_bytes} bytes).",
            hint="raise server.max_fetch_bytes or send a smaller one.",
        )


async def _resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


def _pinned(remote: RemoteUrl, address: str) -> str:
    """Return the URL to connect to, with the address as its host, so that no name is resolved again."""
    literal = f"[{address}]" if ":" in address else address
    return f"{remote.scheme}://{literal}:{remote.port}{remote.target}"


def _failed(how: str) -> BadRequestError:
    return BadRequestError(
        f"Fetching the picture {how}.", hint="send it as a data: URL, base64.", param="image_url"
    )
