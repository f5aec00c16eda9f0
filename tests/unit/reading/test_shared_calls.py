"""Which call of a network a picture gets, alone and beside others."""

from __future__ import annotations

import threading

import numpy as np

from smallsight.reading.network_calls import Pixels
from smallsight.reading.shared_calls import PicturesDetector, SharedCalls

WAIT_S = 30.0
PIXELS = np.zeros((32, 32, 3), np.uint8)


def test_a_second_call_is_lent_while_nobody_waits_for_a_first_one():
    calls = SharedCalls(["a", "b"])
    with calls.one() as own:
        spare = calls.spare()
        assert {own, spare} == {"a", "b"}
        assert calls.spare() is None
        assert not calls.is_wanted
        assert spare is not None
        calls.give_back(spare)
        assert calls.spare() == spare
        calls.give_back(spare)


def test_who_waits_for_a_first_call_goes_before_who_wants_a_second_one():
    calls = SharedCalls(["a", "b"])
    got, may_end = threading.Event(), threading.Event()

    def other_picture() -> None:
        with calls.one():
            got.set()
            may_end.wait(WAIT_S)

    with calls.one():
        spare = calls.spare()
        assert spare is not None
        other = threading.Thread(target=other_picture)
        other.start()
        while not calls.is_wanted:
            threading.Event().wait(0.001)
        assert not got.is_set()
        calls.give_back(spare)
        assert got.wait(WAIT_S)
        assert calls.spare() is None
        may_end.set()
        other.join(WAIT_S)
        assert calls.spare() == spare


def detecting(answer: int) -> tuple[PicturesDetector, list[str]]:
    used: list[str] = []

    def whole(_: Pixels) -> Pixels:
        used.append("whole")
        return np.full((32, 32), answer, np.uint8)

    def make() -> object:
        used.append("made")

        def beside(_: Pixels) -> Pixels:
            used.append("beside")
            return np.full((32, 32), answer, np.uint8)

        return beside

    return PicturesDetector(whole, make), used


def test_the_detector_uses_all_threads_for_a_picture_that_is_alone():
    detector, used = detecting(7)
    find = detector.for_one_picture()
    with detector.picture():
        assert (find(PIXELS) == 7).all()
    assert used == ["whole"]


def test_the_detector_uses_a_part_of_the_threads_beside_another_picture():
    detector, used = detecting(7)
    first, second = detector.for_one_picture(), detector.for_one_picture()
    with detector.picture():
        with detector.picture():
            first(PIXELS)
            second(PIXELS)
            first(PIXELS)
        first(PIXELS)
    assert used == ["made", "beside", "made", "beside", "beside", "whole"]


def test_without_another_call_pictures_take_turns():
    inside = most = 0

    def whole(_: Pixels) -> Pixels:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.02)
        inside -= 1
        return np.zeros((32, 32), np.uint8)

    detector = PicturesDetector(whole, None)

    def one_picture() -> None:
        find = detector.for_one_picture()
        with detector.picture():
            for _ in range(3):
                find(PIXELS)

    threads = [threading.Thread(target=one_picture) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(WAIT_S)
    assert most == 1
