"""Alarms ring in time, once, in one thread; cancelled ones do not."""

from __future__ import annotations

import os
import threading
import time

import pytest

from smallsight.media.alarms import Alarms

SOON_S, LATER_S, LONG_S = 0.05, 0.15, 600.0


@pytest.fixture
def rung():
    return threading.Semaphore(0)


def test_an_alarm_rings_in_time_and_once(rung):
    alarms = Alarms()
    started_s = time.monotonic()
    alarms.set(SOON_S, rung.release)
    assert rung.acquire(timeout=10)
    assert time.monotonic() - started_s >= SOON_S
    assert not rung.acquire(timeout=LATER_S)


@pytest.mark.parametrize("first_s", [SOON_S, LONG_S])
def test_one_that_is_set_later_rings_whether_it_is_due_before_or_after_another(rung, first_s):
    alarms = Alarms()
    alarms.set(first_s, lambda: None)
    time.sleep(0.01)  # the thread sleeps until then
    alarms.set(LATER_S, rung.release)
    assert rung.acquire(timeout=10)


def test_a_cancelled_one_does_not_ring_and_the_next_does(rung):
    alarms = Alarms()
    for _ in range(100):
        alarms.cancel(alarms.set(SOON_S, lambda: pytest.fail("it was cancelled")))
    alarms.set(LATER_S, rung.release)
    assert rung.acquire(timeout=10)
    alarms.set(SOON_S, rung.release)  # after the thread had nothing to wait for
    assert rung.acquire(timeout=10)


def test_all_alarms_share_a_thread(rung):
    alarms = Alarms()
    before = threading.active_count()
    for _ in range(20):
        alarms.set(LATER_S, rung.release)
    assert threading.active_count() == before + 1
    for _ in range(20):
        assert rung.acquire(timeout=10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_alarms_of_its_own(rung):
    from smallsight.media.alarms import alarms

    alarms.cancel(alarms.set(LONG_S, lambda: None))
    pid = os.fork()
    if pid == 0:
        alarms.set(SOON_S, rung.release)
        os._exit(0 if rung.acquire(timeout=10) else 1)
    assert os.waitpid(pid, 0)[1] == 0
