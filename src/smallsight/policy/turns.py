"""Decides which client is served next. Pure policy: no clock, no I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TypeVar

_Item = TypeVar("_Item")
MAX_CLIENTS = 1024  # whose last turn is kept; an older one counts as new


class Turns:
    """Serves the client whose last turn is longest ago; each client's items in order of arrival.

    A client is any name; "" stands for work without a client.
    """

    def __init__(self) -> None:
        self._served: OrderedDict[str, None] = OrderedDict()  # last served at the end

    def order(self, items: Iterable[_Item], client_of: Callable[[_Item], str]) -> list[_Item]:
        """Return the items in the order of service, one per client in each round."""
        by_client: dict[str, list[_Item]] = {}
        for item in items:
            by_client.setdefault(client_of(item), []).append(item)
        if len(by_client) < 2:
            return next(iter(by_client.values()), [])
        last_turn = {client: index for index, client in enumerate(self._served)}
        clients = sorted(by_client, key=lambda client: last_turn.get(client, -1))
        num_rounds = max(len(own) for own in by_client.values())
        return [
            by_client[client][index]
            for index in range(num_rounds)
            for client in clients
            if index < len(by_client[client])
        ]

    def serve(self, client: str) -> None:
        """Record a turn of this client."""
        self._served[client] = None
        self._served.move_to_end(client)
        if len(self._served) > MAX_CLIENTS:
            self._served.popitem(last=False)
