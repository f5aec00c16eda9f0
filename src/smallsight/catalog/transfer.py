"""Downloads one file over HTTP: resumes where it stopped, verifies the digest, replaces atomically.

The hub library restarts a file from the beginning after the program was ended, which can cost hours for a
model of several gigabytes. Here the bytes go to a partial file that outlives the program.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2
import huggingface_hub

from smallsight.catalog.hub_errors import refused, unreachable
from smallsight.catalog.manifest import RemoteFile
from smallsight.errors import DownloadError

PART_SUFFIX = ".smallsight-part"
_CHUNK_BYTES = 256 * 1024
_TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
_BUSY_STATUSES = {408, 429, 500, 502, 503, 504}
_MAX_DELAY_S = 30.0


@dataclass(frozen=True)
class Retries:
    """When to retry: attempts in a row without a single new byte, and the delay after the first failure."""

    max_failures: int = 5
    first_delay_s: float = 1.0

    def delay_s(self, num_failures: int, asked_s: float | None) -> float:
        """Return how long to wait: as the server requested, else doubled after each failure; at most 30 s."""
        delay_s = self.first_delay_s * 2 ** (num_failures - 1) if asked_s is None else asked_s
        return min(delay_s, _MAX_DELAY_S)


@dataclass(frozen=True)
class Request:
    """Where to request a file; the headers may hold a token and are never logged."""

    url: str
    headers: Mapping[str, str]
    repository: str


class _TransferRetryError(Exception):
    """A transfer ended early and may succeed when retried."""

    def __init__(self, why: str, *, status: int | None = None, asked_s: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.status = status
        self.asked_s = asked_s


def fetch(
    request: Request,
    file: RemoteFile,
    destination: Path,
    *,
    on_bytes: Callable[[int], None],
    retries: Retries,
) -> int:
    """Download a file to ``destination`` and return how many bytes were received.

    ``on_bytes`` is called with how many of the file's bytes are on this machine. The destination appears
    complete and verified, or not at all; after a failure the partial file stays for the next attempt, unless
    its bytes were wrong.
    """
    num_failures = 0
    with _Partial(destination, file) as partial:
        on_bytes(partial.size_bytes)
        while partial.size_bytes < file.size_bytes:
            before = partial.size_bytes
            try:
                _append(request, file, partial, on_bytes)
            except (_TransferRetryError, httpx2.TransportError) as error:
                num_failures = 1 if partial.size_bytes > before else num_failures + 1
                if num_failures >= retries.max_failures:
                    raise _final_error(error, request, file) from error
                time.sleep(retries.delay_s(num_failures, getattr(error, "asked_s", None)))
        partial.finish()
        return partial.received_bytes


def verify(path: Path, file: RemoteFile) -> bool:
    """Return whether a file on disk has the size and digest that the hub reports."""
    if path.stat().st_size != file.size_bytes:
        return False
    hasher = file.hasher()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest() == file.digest


class _Partial:
    """The bytes of a file so far, with their running digest."""

    def __init__(self, destination: Path, file: RemoteFile) -> None:
        self._destination = destination
        self._path = destination.with_name(destination.name + PART_SUFFIX)
        self._file = file
        self._hasher = file.hasher()
        self.size_bytes = 0
        self.received_bytes = 0

    def __enter__(self) -> Self:
        self._destination.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self._path.open("a+b")
        self._stream.seek(0)
        while chunk := self._stream.read(_CHUNK_BYTES):
            self._hasher.update(chunk)
            self.size_bytes += len(chunk)
        if self.size_bytes > self._file.size_bytes:
            self.restart()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def append(self, chunk: bytes) -> None:
        """Add bytes at the end; deletes the file and raises DownloadError if there are too many."""
        if self.size_bytes + len(chunk) > self._file.size_bytes:
            self._stream.close()
            self._path.unlink()
            raise DownloadError(
                f"The hub sent more than the {self._file.size_bytes} bytes that {self._file.path} has.",
                hint="try again; if it happens again, check HF_ENDPOINT.",
            )
        self._stream.write(chunk)
        self._hasher.update(chunk)
        self.size_bytes += len(chunk)
        self.received_bytes += len(chunk)

    def restart(self) -> None:
        """Discard what was downloaded."""
        self._stream.truncate(0)
        self._hasher = self._file.hasher()
        self.size_bytes = 0

    def finish(self) -> None:
        """Verify the digest and move the file into place, or delete it and raise DownloadError."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        if self._hasher.hexdigest() != self._file.digest:
            self._path.unlink()
            raise DownloadError(
                f"{self._file.path} arrived with the wrong checksum: {self._hasher.hexdigest()}, "
                f"not {self._file.digest}.",
                hint="it was deleted: try again; if it happens again, check the connection and HF_ENDPOINT.",
            )
        self._path.replace(self._destination)


def _append(request: Request, file: RemoteFile, partial: _Partial, on_bytes: Callable[[int], None]) -> None:
    """Request the missing bytes once and append what arrives."""
    # identity: a compressed response would make byte positions meaningless
    headers = {**request.headers, "Accept-Encoding": "identity"}
    if partial.size_bytes:
        headers["Range"] = f"bytes={partial.size_bytes}-"
    with huggingface_hub.get_session().stream(
        "GET", request.url, headers=headers, timeout=_TIMEOUT
    ) as response:
        _check_status(response, request, file, partial)
        for chunk in response.iter_bytes():  # as it arrives: a dropped connection loses nothing
            partial.append(chunk)
            on_bytes(partial.size_bytes)
    if partial.size_bytes < file.size_bytes:
        raise _TransferRetryError(
            f"the connection ended after {partial.size_bytes} of {file.size_bytes} bytes"
        )


def _check_status(response: httpx2.Response, request: Request, file: RemoteFile, partial: _Partial) -> None:
    status = response.status_code
    if status == HTTPStatus.PARTIAL_CONTENT:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {partial.size_bytes}-"):
            partial.restart()
            raise _TransferRetryError("the server sent a different range than requested")
    elif status == HTTPStatus.OK:
        if partial.size_bytes:  # a server that cannot resume sends everything again
            partial.restart()
    elif status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        partial.restart()
        raise _TransferRetryError("the server refused to resume")
    elif status in _BUSY_STATUSES:
        asked = response.headers.get("Retry-After", "")
        asked_s = float(asked) if asked.isdecimal() else None
        raise _TransferRetryError(f"HTTP {status}", status=status, asked_s=asked_s)
    else:
        raise refused(status, request.repository, file.path)


def _final_error(error: Exception, request: Request, file: RemoteFile) -> DownloadError:
    if isinstance(error, _TransferRetryError) and error.status is not None:
        return refused(error.status, request.repository, file.path)
    return unreachable(request.repository, error, is_partly_here=True)
