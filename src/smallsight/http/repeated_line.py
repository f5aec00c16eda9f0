"""A log line that clients can cause as often as they like: once in a while for each address, with a count."""

from __future__ import annotations

import time
from collections.abc import Callable

from smallsight.policy.log import get_logger

log = get_logger(__name__)

_EVERY_S = 10.0
_MAX_ADDRESSES = 256  # more than that share one line


class RepeatedLine:
    """One event; belongs to the event loop."""

    def __init__(
        self, event: str, every_s: float = _EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._event = event
        self._every_s = every_s
        self._clock = clock
        self._written: dict[str, tuple[float, int]] = {}

    def write(self, client: str, **details: object) -> None:
        """Write the line for this address, unless one was written a short time ago; the next counts it."""
        now_s = self._clock()
        if client not in self._written and len(self._written) >= _MAX_ADDRESSES:
            self._written = {
                one: value for one, value in self._written.items() if now_s - value[0] < self._every_s
            }
            client = client if len(self._written) < _MAX_ADDRESSES else "others"
        written_s, num_dropped = self._written.get(client, (now_s - self._every_s, 0))
        if now_s - written_s < self._every_s:
            self._written[client] = (written_s, num_dropped + 1)
            return
        self._written[client] = (now_s, 0)
        more = {"more_like_this": num_dropped} if num_dropped else {}
        log.warning(self._event, client=client, **details, **more)
