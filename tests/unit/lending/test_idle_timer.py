"""Names that nobody uses are reported once, used ones are not."""

from __future__ import annotations

import queue
import threading

import pytest

from smallsight.lending.idle_timer import IdleTimer

WAIT_S = 60
DELAY_S = 0.5  # several names are set in less on a busy machine too


def test_names_are_reported_in_the_order_of_their_last_use():
    idle: queue.Queue[str] = queue.Queue()
    timer = IdleTimer(DELAY_S, idle.put)
    for name in ("a", "b", "a"):
        timer.set(name)
    assert [idle.get(timeout=WAIT_S), idle.get(timeout=WAIT_S)] == ["b", "a"]
    assert not timer.is_set("a")
    timer.set("a")  # from rest
    assert idle.get(timeout=WAIT_S) == "a"
    timer.close()
    assert idle.empty()


def test_a_cleared_name_is_not_reported():
    idle: queue.Queue[str] = queue.Queue()
    timer = IdleTimer(DELAY_S, idle.put)
    timer.set("a")
    timer.set("b")
    timer.clear("a")
    assert idle.get(timeout=WAIT_S) == "b"
    timer.close()
    assert idle.empty()


@pytest.mark.parametrize("is_used", [True, False])
def test_closing_ends_the_thread(is_used: bool):
    before = threading.active_count()
    timer = IdleTimer(3600, [].append)
    if is_used:
        timer.set("a")
    timer.close()
    timer.set("b")
    assert threading.active_count() == before
