"""A request to another server as its asker sees it: text as it comes, and an end when it is given up."""

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
from smallsight.engine.remote.events import Told


class RemoteGeneration(Generation):
    """A request on its way; giving it up closes its connection, so that the other server notices."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = False
        self._started_s = time.perf_counter()
        self._first_s: float | None = None
        self._given_up = threading.Event()
        self._connection: Any = None
        self._inner: Generation | None = None
        self._texts: list[str] = []

    def cancel(self) -> None:
        """Give the request up, in whatever it is doing."""
        super().cancel()
        self._given_up.set()
        if self._inner is not None:
            self._inner.cancel()
        if self._connection is not None and not self.is_done:
            _shut(self._connection)

    def can_wait(self, seconds: float) -> bool:
        """Wait before another try; False when it is given up meanwhile."""
        return not self._given_up.wait(seconds)

    def trace(self, event: str, details: Mapping[str, Any]) -> None:
        """Remember the connection when there is one."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._connection = details["return_value"]
            if self.is_cancelled:
                _shut(self._connection)

    def add(self, text: str, choice: TokenChoice | None = None) -> None:
        """Hand on new text; only the engine calls this."""
        if not self.has_begun:
            self.has_begun, self._first_s = True, time.perf_counter()
        self._texts.append(text)
        super().add(text, choice)

    def follow(self, inner: Generation | None, name: str | None) -> bool:
        """Take over everything that another engine's request brings; False when there is none."""
        if inner is None:
            return False
        self._inner = inner
        if self.is_cancelled:
            inner.cancel()
        for text in inner.pieces():
            self.add(text)
        self.finish(replace(inner.result(), answered_by=name))
        return True

    def outcome(self, told: Told, reason: str | None) -> Outcome:
        """Sum up; tokens that the server did not count are counted as pieces."""
        now_s = time.perf_counter()
        first_s = now_s if self._first_s is None else self._first_s
        ended = reason or ("length" if told.finish_reason == "length" else "stop")
        return Outcome(
            text="".join(self._texts),
            choices=(),
            finish_reason="cancelled" if ended == "cancelled" else "length" if ended == "length" else "stop",
            prompt_tokens=told.prompt_tokens or 0,
            image_tokens=told.image_tokens,
            cached_tokens=told.cached_tokens,
            vision_s=0.0,
            prefill_s=first_s - self._started_s,
            first_token_s=first_s - self._started_s,
            decode_s=now_s - first_s,
            total_s=now_s - self._started_s,
            num_tokens=len(self._texts) if told.completion_tokens is None else told.completion_tokens,
        )


def _shut(connection: Any) -> None:  # noqa: ANN401 - a stream of the HTTP library
    """Wake whoever reads from a connection, with its end."""
    with contextlib.suppress(AttributeError, OSError):  # it has ended by itself
        connection.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
