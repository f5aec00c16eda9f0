"""Downloads of models in the background: each in a thread, with progress, and cancelled at any time.

What has been downloaded is kept after a cancellation, a failure and the end of the program; the next download
continues there. Variants of a model share its files, so a download is known by the name of the base model.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from smallsight.errors import SmallsightError
from smallsight.inventory.listing import ModelService
from smallsight.policy.log import get_logger

log = get_logger(__name__)

_REPORT_EVERY_S = 0.25


class DownloadState(StrEnum):
    """The stages of a download."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Download:
    """One download; ``rate_bytes_s`` is 0 until it is known, ``problem`` says why it failed."""

    name: str
    state: DownloadState = DownloadState.RUNNING
    here_bytes: int = 0
    total_bytes: int = 0
    rate_bytes_s: float = 0.0
    problem: str = ""

    @property
    def is_active(self) -> bool:
        """Whether it is still in progress."""
        return self.state in (DownloadState.RUNNING, DownloadState.CANCELLING)

    @property
    def remaining_s(self) -> float | None:
        """The seconds that are left at the present rate, or None while it is not known."""
        if self.rate_bytes_s <= 0 or not self.total_bytes:
            return None
        return (self.total_bytes - self.here_bytes) / self.rate_bytes_s


class _CancelledError(Exception):
    """The person cancelled; raised inside the transfer to end it."""


class ModelDownloads:
    """The downloads of one process. Thread-safe; ``on_change`` is called from their threads."""

    def __init__(self, service: Callable[[], ModelService], on_change: Callable[[], None]) -> None:
        self._service = service
        self._on_change = on_change
        self._turn = threading.Lock()
        self._downloads: dict[str, Download] = {}

    def start(self, name: str) -> Download:
        """Start the download of a model's files, unless it is in progress; raises UnknownModelError."""
        service = self._service()
        base = service.catalog.base_of(service.catalog.find(name)).name
        with self._turn:
            known = self._downloads.get(base)
            if known is not None and known.is_active:
                return known
            download = self._downloads[base] = Download(base)
        # a daemon: a connection that hangs must not keep the program from ending
        threading.Thread(
            target=self._run, args=(service, base), name="smallsight-download", daemon=True
        ).start()
        self._on_change()
        return download

    def cancel(self, name: str) -> None:
        """Cancel a download; it ends at its next bytes."""
        with self._turn:
            known = self._downloads.get(name)
            if known is None or known.state is not DownloadState.RUNNING:
                return
            self._downloads[name] = replace(known, state=DownloadState.CANCELLING)
        self._on_change()

    def find(self, name: str) -> Download | None:
        """Return the present or last download of a base model, or None."""
        return self._downloads.get(name)

    def close(self) -> None:
        """Cancel everything; does not wait."""
        for name in list(self._downloads):
            self.cancel(name)

    def _run(self, service: ModelService, name: str) -> None:
        reporter = _Rate()

        def on_bytes(here_bytes: int, total_bytes: int, path: str) -> None:  # noqa: ARG001 - files are not shown
            if self._downloads[name].state is DownloadState.CANCELLING:
                raise _CancelledError
            if reporter.is_due(here_bytes):
                self._note(
                    name, here_bytes=here_bytes, total_bytes=total_bytes, rate_bytes_s=reporter.bytes_per_s
                )

        try:
            pulled = service.pull(name, on_progress=on_bytes)
        except _CancelledError:
            self._note(name, state=DownloadState.CANCELLED)
        except SmallsightError as error:
            log.warning("model_not_downloaded", model=name, why=str(error))
            self._note(name, state=DownloadState.FAILED, problem=_sentences(error))
        except Exception as error:
            log.exception("model_download_failed", model=name)
            self._note(name, state=DownloadState.FAILED, problem=f"It failed: {type(error).__name__}.")
        else:
            self._note(
                name, state=DownloadState.DONE, here_bytes=pulled.size_bytes, total_bytes=pulled.size_bytes
            )

    def _note(self, name: str, **changed: object) -> None:
        with self._turn:
            self._downloads[name] = replace(self._downloads[name], **changed)  # type: ignore[arg-type]
        self._on_change()


class _Rate:
    """When progress is worth reporting, and at which rate it goes: the mean of the last seconds."""

    def __init__(self) -> None:
        self.bytes_per_s = 0.0
        self._reported_s = 0.0
        self._seen: list[tuple[float, int]] = []

    def is_due(self, here_bytes: int) -> bool:
        now_s = time.monotonic()
        if now_s - self._reported_s < _REPORT_EVERY_S:
            return False
        self._reported_s = now_s
        self._seen = [*self._seen[-20:], (now_s, here_bytes)]
        first_s, first_bytes = self._seen[0]
        if now_s > first_s:
            self.bytes_per_s = (here_bytes - first_bytes) / (now_s - first_s)
        return True


def _sentences(error: SmallsightError) -> str:
    hint = error.hint or ""
    return f"{error.message} {hint[:1].upper()}{hint[1:]}".strip()
