"""Decoding children that serve one run of a test after another.

Starting one takes an eighth of a second, more than what most tests have decoded. The children are real, and
as locked down as ever; only their end is put off. Starting and ending them is tested in ``unit/media``.
"""

from __future__ import annotations

import atexit
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from smallsight.media import decoder
from smallsight.media.child_process import ChildProcess
from smallsight.settings import MIB

_MAX_RSS_BYTES = 128 * MIB  # of a child that is kept
_IDLE: dict[tuple[int, bool], deque[ChildProcess]] = defaultdict(deque)
_STARTER = ThreadPoolExecutor(1, "starts decoders")  # a child ends with the thread that started it


class LentChild:
    """A child for one decoder; closing it leaves it to the next."""

    def __init__(self, memory_bytes: int, *, must_be_restricted: bool = False) -> None:
        self._idle = _IDLE[memory_bytes, must_be_restricted]
        with suppress(IndexError):
            while not (child := self._idle.pop()).is_alive():
                pass
            self._child = child
            return
        started = _STARTER.submit(ChildProcess, memory_bytes, must_be_restricted=must_be_restricted)
        self._child = started.result()

    def __getattr__(self, name: str) -> object:
        return getattr(self._child, name)

    def close(self) -> None:
        if self._child.is_alive() and self._child.rss_bytes() < _MAX_RSS_BYTES:
            self._idle.append(self._child)
        else:
            self._child.close()


@atexit.register
def _end_all() -> None:
    for idle in _IDLE.values():
        while idle:
            idle.pop().close()


@contextmanager
def lasting_decoders() -> Iterator[None]:
    """Let decoders that begin in the block share their children."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder, "ChildProcess", LentChild)
        yield
