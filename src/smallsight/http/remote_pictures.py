"""Fetching pictures by their URL, where the operator allows it.

The name is resolved once, every answer has to be public, the connection goes to that very address, and each
redirect is looked at like the first URL.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx2
import structlog

from smallsight.errors import BadRequestError, PictureTooLargeError
from smallsight.http.remote_addresses import RemoteUrl, is_public, read_remote_url
from smallsight.settings import ServerSettings
from smallsight.version import __version__

log = structlog.get_logger(__name__)

MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)

Resolve = Callable[[str, int], Awaitable[list[str]]]
Connect = Callable[[RemoteUrl, str], str]


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """What was behind a URL: its bytes, and the path it was found at, which may end in a file name."""

    name: str
    data: bytes


class RemotePictures:
    """Fetches pictures within bounds of size and time. The parts that touch the network can be replaced."""

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
            raise _failed("did not succeed") from error

    async def _follow(self, url: str) -> FetchedFile:
        for _ in range(MAX_REDIRECTS + 1):
            place = read_remote_url(url, self._settings.picture_hosts)
            address = await self._public_address(place)
            answer = await self._get(place, address)
            if isinstance(answer, FetchedFile):
                return answer
            url = urljoin(f"{place.scheme}://{place.host}{place.target}", answer)
        raise _failed(f"was redirected more than {MAX_REDIRECTS} times")

    async def _public_address(self, place: RemoteUrl) -> str:
        """Resolve a name once; one private address among the answers is enough to refuse it."""
        addresses = await self._resolve(place.host, place.port)
        if not addresses or not all(map(self._is_allowed, addresses)):
            raise _failed("is not allowed: its host has no public address, or a private one too")
        return addresses[0]

    async def _get(self, place: RemoteUrl, address: str) -> FetchedFile | str:
        """Return the picture, or where it has moved to."""
        if self._tls is None:
            self._tls = httpx2.create_ssl_context()
        headers = {"host": place.host, "accept": "image/*, video/*", "accept-encoding": "identity"}
        headers["user-agent"] = f"smallsight/{__version__}"
        client = httpx2.AsyncClient(
            verify=self._tls, trust_env=False, follow_redirects=False, timeout=self._settings.fetch_timeout_s
        )
        async with client:
            request = client.stream(
                "GET",
                self._connect_to(place, address),
                headers=headers,
                extensions={"sni_hostname": place.host},
            )
            async with request as response:
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    return str(response.headers["location"])
                if response.status_code != 200:
                    raise _failed(f"was answered with status {response.status_code}")
                return FetchedFile(place.target.partition("?")[0], await self._read(response))

    async def _read(self, response: httpx2.Response) -> bytes:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise _failed("came compressed, which was not asked for")
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


def _pinned(place: RemoteUrl, address: str) -> str:
    """Return the URL to dial: the address itself, so that nobody resolves the name again."""
    literal = f"[{address}]" if ":" in address else address
    return f"{place.scheme}://{literal}:{place.port}{place.target}"


def _failed(how: str) -> BadRequestError:
    return BadRequestError(
        f"Fetching the picture {how}.", hint="send it as a data: URL, base64.", param="image_url"
    )
