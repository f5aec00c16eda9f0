"""Whose turn it is among clients. Plain policy: no clock, no input or output."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TypeVar

_Item = TypeVar("_Item")
MAX_REMEMBERED = 1024  # clients; one that is forgotten counts as new


class Turns:
    """Serves first the client whose last turn is the longest ago; of one client, what came first.

    A client is any name; work of nobody in particular is that of the client "".
    """

    def __init__(self) -> None:
        self._served: OrderedDict[str, None] = OrderedDict()  # the one served last at the end

    def order(self, items: Iterable[_Item], client_of: Callable[[_Item], str]) -> list[_Item]:
        """Return the items as they would be served, one of each client in each round."""
        by_client: dict[str, list[_Item]] = {}
        for item in items:
            by_client.setdefault(client_of(item), []).append(item)
        if len(by_client) < 2:
            return next(iter(by_client.values()), [])
        place = {client: index for index, client in enumerate(self._served)}
        clients = sorted(by_client, key=lambda client: place.get(client, -1))
        num_rounds = max(len(own) for own in by_client.values())
        return [
            by_client[client][index]
            for index in range(num_rounds)
            for client in clients
            if index < len(by_client[client])
        ]

    def serve(self, client: str) -> None:
        """Count a turn."""
        self._served[client] = None
        self._served.move_to_end(client)
        if len(self._served) > MAX_REMEMBERED:
            self._served.popitem(last=False)
