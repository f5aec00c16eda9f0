"""What ``test_decoder`` cannot see from outside: how one exchange ends."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from smallsight.media.child_process import ChildEndedError, ChildProcess, ChildTimeoutError
from smallsight.settings import MIB


@pytest.fixture
def child():
    process = ChildProcess(512 * MIB)
    yield process
    process.kill()


def test_a_trial_answers_and_the_child_lives_on(child):
    for _ in range(2):
        reply, parts = child.exchange({"trial": True}, b"", 30, max_reply_bytes=0)
        assert reply["trial"]
        assert parts == b""
    assert child.is_alive()
    assert child.rss_bytes() > 5 * MIB
    child.close()
    assert not child.is_alive()
    assert child.rss_bytes() == 0


def test_a_reply_longer_than_agreed_ends_the_child(child, encode, scene):
    request = {
        "format": "PNG",
        "max_image_pixels": 10**6,
        "max_image_side_px": 10**4,
        "max_frames": 1,
        "max_side_px": 400,
        "timeout_s": 10.0,
    }
    data = encode(scene, "PNG")
    with pytest.raises(ChildEndedError):
        child.exchange(request, data, 10, max_reply_bytes=100)
    assert not child.is_alive()


def test_a_request_that_breaks_the_child_says_how(child):
    with pytest.raises(ChildEndedError, match="exit code 1"):
        child.exchange({"nonsense": True, "timeout_s": 1.0}, b"", 10, max_reply_bytes=0)


def test_time_is_up_while_nothing_was_asked(child):
    started = time.monotonic()
    with pytest.raises(ChildTimeoutError):
        child.exchange(None, b"", 0.1, max_reply_bytes=0)
    assert time.monotonic() - started >= 0.1
    assert not child.is_alive()


@pytest.mark.skipif(sys.platform != "linux", reason="large pages are Linux's")
def test_only_the_decoding_child_asks_for_large_pages(child):
    other = ChildProcess(0, module="lying_child", more_arguments=("die_in_the_middle",))
    try:
        asks = [b"hugetlb=1" in Path(f"/proc/{one.pid}/environ").read_bytes() for one in (child, other)]
    finally:
        other.kill()
    assert asks == [True, False]


def answer_of(lie):
    child = ChildProcess(0, module="lying_child", more_arguments=(lie,))
    try:
        return child.exchange({}, b"picture", 10, max_reply_bytes=1000)
    finally:
        assert child.is_alive() is False or lie in ("take_early_rows_back", "hold_more_than_was_sent")
        child.kill()


@pytest.mark.parametrize("lie", ["announce_too_much", "announce_too_much_after_early_rows"])
def test_a_child_that_announces_more_than_it_may_is_ended_before_there_is_memory_for_it(lie):
    with pytest.raises(ChildEndedError):
        answer_of(lie)


@pytest.mark.parametrize(
    "lie", ["die_in_the_middle", "die_in_the_middle_of_early_rows", "die_after_early_rows"]
)
def test_a_child_that_dies_before_all_has_arrived_says_how(lie):
    with pytest.raises(ChildEndedError, match="exit code 3"):
        answer_of(lie)


@pytest.mark.parametrize(
    ("lie", "reply", "parts"),
    [
        ("take_early_rows_back", {"error": "corrupt_picture"}, b"x"),
        ("hold_more_than_was_sent", {"holds": True}, b"more"),
    ],
)
def test_what_follows_early_rows_replaces_them_unless_it_only_confirms_them(lie, reply, parts):
    assert answer_of(lie) == (reply, parts)
