"""Sends callbacks to the one configured application, and reads no more than the status of its answers."""

from __future__ import annotations

import asyncio
import os
from urllib.parse import urlsplit

import httpx2

from smallsight.errors import SettingsError
from smallsight.generator.callback import AnswerMeaning, Callback, judge

__all__ = ["SCHEME", "AppClient", "app_address"]

SCHEME = "http"  # meme-search has no TLS in its network of containers
_PATH = "/image_cores/"
_READ_BYTES = 64 * 1024
_MAX_WHY_CHARS = 200


def app_address(configured: str | None) -> str:
    """Return the URL below which the receivers are; raises SettingsError.

    Without a setting it is ``GEN_URL``, else the port ``APP_PORT`` of this machine, as for the original.
    """
    port = os.environ.get("APP_PORT") or "3000"
    url = configured or os.environ.get("GEN_URL") or f"{SCHEME}://127.0.0.1:{port}"
    return require_address(url).rstrip("/") + _PATH


def require_address(url: str) -> str:
    """Return a URL of a server; raises SettingsError for anything else."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        is_usable = is_usable and not parts.query and not parts.fragment
    except ValueError:
        is_usable = False
    if not is_usable:
        raise SettingsError(
            f"The address of the application cannot be used: {url}.",
            hint=f"set generator.app_url or GEN_URL to one such as {SCHEME}://meme_search:3000.",
        )
    return url


class AppClient:
    """The connection to the application. Follows no redirects and uses no proxy. Close it at the end."""

    def __init__(self, address: str, timeout_s: float, max_connections: int) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._http = httpx2.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=timeout_s,
            limits=httpx2.Limits(
                max_connections=max_connections, max_keepalive_connections=max_connections, keepalive_expiry=2
            ),
        )

    async def send(self, callback: Callback) -> tuple[AnswerMeaning, str]:
        """Send a callback once; return what the answer means, and why it was not accepted."""
        try:
            async with asyncio.timeout(self._timeout_s):
                status = await self._post(callback)
        except TimeoutError:
            return AnswerMeaning.APP_AWAY, f"exception no answer within {self._timeout_s:g} s"
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            return AnswerMeaning.APP_AWAY, f"exception {type(error).__name__}: {error}"[:_MAX_WHY_CHARS]
        return judge(status), f"response code {status}"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _post(self, callback: Callback) -> int:
        async with self._http.stream(
            "POST",
            self.address + callback.receiver,
            content=callback.body.encode(),
            headers={"content-type": "application/json"},
        ) as response:
            num_bytes = 0
            async for part in response.aiter_raw():  # read, so that the connection can be used again
                num_bytes += len(part)
                if num_bytes > _READ_BYTES:
                    break
            return response.status_code
