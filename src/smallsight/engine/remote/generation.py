"""A request to another server: delivers text as it arrives and can be cancelled at any time."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from smallsight.engine.decoding.sampler import TokenChoice
from smallsight.engine.generation import Generation, Outcome
from smallsight.engine.remote.events import AnswerMetadata


class RemoteGeneration(Generation):
    """A request in progress; cancelling it closes its connection, so that the other server notices."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = False
        self._started_s = time.perf_counter()
        self._first_s: float | None = None
        self._cancelled = threading.Event()
        self._connection: Any = None
        self._inner: Generation | None = None
        self._texts: list[str] = []

    def cancel(self) -> None:
        """Cancel the request: closes its connection and cancels the fallback's request."""
        super().cancel()
        self._cancelled.set()
        if self._inner is not None:
            self._inner.cancel()
        if self._connection is not None and not self.is_done:
            _shut(self._connection)

    def can_wait(self, seconds: float) -> bool:
        """Wait before another attempt; return False if the request is cancelled meanwhile."""
        return not self._cancelled.wait(seconds)

    def trace(self, event: str, details: Mapping[str, Any]) -> None:
        """Store the connection once it is open; the HTTP client's trace callback."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._connection = details["return_value"]
            if self.is_cancelled:
                _shut(self._connection)

    def add(self, text: str, choice: TokenChoice | None = None) -> None:
        """Deliver new text; only the engine calls this."""
        if not self.has_begun:
            self.has_begun, self._first_s = True, time.perf_counter()
        self._texts.append(text)
        super().add(text, choice)

    def follow(self, inner: Generation | None, name: str | None) -> bool:
        """Deliver another engine's text and outcome as this request's; return False if ``inner`` is None."""
        if inner is None:
            return False
        self._inner = inner
        if self.is_cancelled:
            inner.cancel()
        for text in inner.pieces():
            self.add(text)
        self.finish(replace(inner.result(), answered_by=name))
        return True

    def outcome(self, metadata: AnswerMetadata, reason: str | None) -> Outcome:
        """Return the outcome; without a token count from the server, pieces are counted."""
        now_s = time.perf_counter()
        first_s = now_s if self._first_s is None else self._first_s
        ended = reason or ("length" if metadata.finish_reason == "length" else "stop")
        return Outcome(
            text="".join(self._texts),
            choices=(),
            finish_reason="cancelled" if ended == "cancelled" else "length" if ended == "length" else "stop",
            prompt_tokens=metadata.prompt_tokens or 0,
            image_tokens=metadata.image_tokens,
            cached_tokens=metadata.cached_tokens,
            vision_s=0.0,
            prefill_s=first_s - self._started_s,
            first_token_s=first_s - self._started_s,
            decode_s=now_s - first_s,
            total_s=now_s - self._started_s,
            tool_calls=metadata.called(),
            num_tokens=len(self._texts) if metadata.completion_tokens is None else metadata.completion_tokens,
        )


def _shut(connection: Any) -> None:  # noqa: ANN401 - a stream of the HTTP library
    """Shut a connection down, which ends a blocked read."""
    with contextlib.suppress(AttributeError, OSError):  # already closed
        connection.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
