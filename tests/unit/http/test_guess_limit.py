"""How often a password may be guessed."""

from __future__ import annotations

import pytest

from smallsight.errors import TooManyRequestsError
from smallsight.http.guess_limit import GuessLimit

HOUR_S = 3_600.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def num_allowed(limit: GuessLimit, clock: Clock, addresses: list[str], seconds: float, every_s: float) -> int:
    """Return how many attempts succeed when the addresses try in turn for this time."""
    allowed, ends_s, turn = 0, clock.now_s + seconds, 0
    while clock.now_s < ends_s:
        try:
            limit.take(addresses[turn % len(addresses)])
            allowed += 1
        except TooManyRequestsError:
            pass
        turn += 1
        clock.now_s += every_s
    return allowed


def test_one_address_has_five_attempts_then_one_a_minute(clock: Clock):
    limit = GuessLimit(clock)
    for _ in range(5):
        limit.take("192.0.2.1")
    with pytest.raises(TooManyRequestsError) as refused:
        limit.take("192.0.2.1")
    assert refused.value.retry_after_s == 60
    clock.now_s += 60
    limit.take("192.0.2.1")
    assert num_allowed(GuessLimit(clock), clock, ["192.0.2.1"], HOUR_S, 5.0) == pytest.approx(65, abs=2)


def test_many_addresses_together_have_one_every_ten_seconds(clock: Clock):
    addresses = [f"198.51.{number // 250}.{number % 250}" for number in range(5000)]
    allowed = num_allowed(GuessLimit(clock), clock, addresses, HOUR_S, 1.0)
    assert allowed == pytest.approx(30 + HOUR_S / 10, abs=2)


def test_an_ipv6_network_counts_as_one_address(clock: Clock):
    limit = GuessLimit(clock)
    for number in range(5):
        limit.take(f"2001:db8:0:1::{number:x}")
    with pytest.raises(TooManyRequestsError):
        limit.take("2001:db8:0:1:ffff::1")
    limit.take("2001:db8:0:2::1")


def test_strangers_cannot_lock_out_who_has_logged_in_before(clock: Clock):
    limit = GuessLimit(clock)
    assert num_allowed(limit, clock, [f"198.51.100.{number}" for number in range(200)], 1.0, 0.01) == 30
    with pytest.raises(TooManyRequestsError):
        limit.take("203.0.113.5")
    limit.take("203.0.113.5", is_known=True)


def test_whoever_knew_the_password_gets_the_attempts_back(clock: Clock):
    limit = GuessLimit(clock)
    for _ in range(4):
        limit.take("192.0.2.1")
    limit.forget("192.0.2.1")
    for _ in range(5):
        limit.take("192.0.2.1")


def test_many_addresses_do_not_need_much_memory(clock: Clock):
    limit = GuessLimit(clock)
    num_allowed(limit, clock, [f"10.{a}.{b}.1" for a in range(100) for b in range(100)], 10_000.0, 1.0)
    assert len(limit._by_address) <= 4097  # noqa: SLF001 - there is no other way to look
