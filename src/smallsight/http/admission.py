"""Limits the requests in progress, in total and per client, and refuses new ones while stopping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from smallsight.errors import ServerStoppingError, TooManyRequestsError

_RETRY_AFTER_S = 1
_RETRY_ELSEWHERE_S = 5
_KEPT_SHARE = 8  # one slot in eight is kept for clients that have less than their share


class Admission:
    """Counts requests for answers of models, each from its parsed body to its last byte."""

    def __init__(self, max_requests: int) -> None:
        self.max_requests = max_requests
        self.is_stopping = False
        self._by_client: Counter[str] = Counter()
        self._num_kept = max_requests // _KEPT_SHARE

    @property
    def num_requests(self) -> int:
        """How many requests are in progress."""
        return self._by_client.total()

    def require_room(self, client: str) -> None:
        """Raise TooManyRequestsError when full for this client, ServerStoppingError when stopping."""
        if self.is_stopping:
            raise ServerStoppingError(
                "The server is stopping.", hint="try again in a moment.", retry_after_s=_RETRY_ELSEWHERE_S
            )
        num_free = self.max_requests - self.num_requests
        if num_free <= 0 or (num_free <= self._num_kept and not self._has_less_than_its_share(client)):
            raise TooManyRequestsError(
                f"Too many requests in progress: {self.num_requests}, of which {self._by_client[client]} "
                f"yours (limit {self.max_requests}).",
                hint="try again in a moment.",
                retry_after_s=_RETRY_AFTER_S,
            )

    @contextmanager
    def slot(self, client: str) -> Iterator[None]:
        """Take a slot for as long as the block lasts; raises as ``require_room`` does."""
        self.require_room(client)
        self._by_client[client] += 1
        try:
            yield
        finally:
            self._by_client[client] -= 1
            if not self._by_client[client]:
                del self._by_client[client]

    def _has_less_than_its_share(self, client: str) -> bool:
        num_clients = len(self._by_client.keys() | {client})
        return num_clients > 1 and self._by_client[client] < self.max_requests / num_clients
