"""How many requests may be under way, and whether new ones are taken at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from smallsight.errors import ServerStoppingError, TooManyRequestsError

_RETRY_AFTER_S = 1
_RETRY_ELSEWHERE_S = 5


class Admission:
    """Counts requests that ask a model, from the moment they are understood to their last byte."""

    def __init__(self, max_requests: int) -> None:
        self.max_requests = max_requests
        self.num_requests = 0
        self.is_stopping = False

    def require_room(self) -> None:
        """Raise TooManyRequestsError when full, ServerStoppingError when stopping."""
        if self.is_stopping:
            raise ServerStoppingError(
                "The server is stopping.", hint="ask again in a moment.", retry_after_s=_RETRY_ELSEWHERE_S
            )
        if self.num_requests >= self.max_requests:
            raise TooManyRequestsError(
                f"{self.num_requests} requests are under way (limit {self.max_requests}).",
                hint="ask again in a moment.",
                retry_after_s=_RETRY_AFTER_S,
            )

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place for as long as the block lasts; raises as ``require_room`` does."""
        self.require_room()
        self.num_requests += 1
        try:
            yield
        finally:
            self.num_requests -= 1
