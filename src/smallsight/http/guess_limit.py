"""Limits how often a password may be guessed: by each address, and by all together.

Each has a number of attempts that comes back with time. Attempts of addresses that have logged in before do
not count among those of all, so that strangers cannot lock the household out.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable

from smallsight.errors import TooManyRequestsError

_OF_ONE, _ONE_BACK_S = 5, 60.0
_OF_ALL, _ALL_BACK_S = 30, 10.0
_MAX_ADDRESSES = 4096
_IPV6_NETWORK_BITS = 64  # what one customer of a provider has


class _Attempts:
    """A number of attempts, one of which comes back after ``back_s``."""

    def __init__(self, most: int, back_s: float, now_s: float) -> None:
        self._most, self._back_s = most, back_s
        self._left, self._at_s = float(most), now_s

    def left(self, now_s: float) -> float:
        gained = max(0.0, now_s - self._at_s) / self._back_s
        self._left, self._at_s = min(self._most, self._left + gained), now_s
        return self._left

    def is_full(self, now_s: float) -> bool:
        return self.left(now_s) >= self._most

    def wait_s(self, now_s: float) -> float:
        return max(0.0, (1 - self.left(now_s)) * self._back_s)

    def take(self) -> None:
        self._left -= 1


class GuessLimit:
    """Counts attempts; belongs to the event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of_all = _Attempts(_OF_ALL, _ALL_BACK_S, clock())
        self._by_address: dict[str, _Attempts] = {}

    def take(self, address: str, *, is_known: bool = False) -> None:
        """Count an attempt before it is made; raises TooManyRequestsError when none is left."""
        now_s = self._clock()
        of_one = self._of(_network(address), now_s)
        counted = [of_one] if is_known else [of_one, self._of_all]
        wait_s = max(one.wait_s(now_s) for one in counted)
        if wait_s > 0:
            raise TooManyRequestsError(
                "Too many attempts to log in.",
                hint=f"wait {math.ceil(wait_s)} seconds.",
                retry_after_s=math.ceil(wait_s),
            )
        for one in counted:
            one.take()

    def forget(self, address: str) -> None:
        """Give an address its attempts back: it knew the password."""
        self._by_address.pop(_network(address), None)

    def _of(self, network: str, now_s: float) -> _Attempts:
        if network not in self._by_address and len(self._by_address) >= _MAX_ADDRESSES:
            self._by_address = {
                one: attempts for one, attempts in self._by_address.items() if not attempts.is_full(now_s)
            }
            if len(self._by_address) >= _MAX_ADDRESSES:
                network = "others"
        return self._by_address.setdefault(network, _Attempts(_OF_ONE, _ONE_BACK_S, now_s))


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _IPV6_NETWORK_BITS), strict=False))
    return address
