"""Which call of a network a picture gets, alone and beside others."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np

from smallsight.reading.network_calls import FindText, Pixels
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


def detector_of(threads: int) -> tuple[PicturesDetector, list[tuple[int, int]]]:
    """Return a detector, and a list of the calls that it will make: number and threads of each."""
    made = count()
    used: list[tuple[int, int]] = []

    def never(_: Pixels) -> Pixels:
        raise AssertionError("pictures have calls of their own")

    def make(threads: int) -> FindText:
        number = next(made)

        def find(_: Pixels) -> Pixels:
            used.append((number, threads))
            return np.zeros((32, 32), np.uint8)

        return find

    return PicturesDetector(never, make, threads), used


def test_the_detector_uses_all_threads_for_a_picture_that_is_alone():
    detector, used = detector_of(4)
    find = detector.for_one_picture()
    for _ in range(2):
        with detector.picture():
            find(PIXELS)
    assert used == [(0, 4), (0, 4)]


def test_the_detector_uses_a_part_of_the_threads_beside_another_picture():
    detector, used = detector_of(4)
    first, second = detector.for_one_picture(), detector.for_one_picture()
    with detector.picture(), detector.picture():
        for find in (first, second, first):
            find(PIXELS)
    assert used == [(0, 2), (1, 2), (0, 2)]


def test_no_call_is_kept_for_another_number_of_threads():
    """Each keeps the maps of the largest picture that it has seen."""
    detector, used = detector_of(1)
    find = detector.for_one_picture()
    with detector.picture():
        find(PIXELS)
        with detector.picture():
            find(PIXELS)
        find(PIXELS)
    assert used == [(0, 1), (1, 1), (2, 1)]


def test_what_is_alone_still_uses_all_threads_while_the_next_picture_begins():
    began, may_end = threading.Event(), threading.Event()

    def make(threads: int) -> FindText:
        def find(_: Pixels) -> Pixels:
            if threads == 2:
                began.set()
                assert may_end.wait(WAIT_S)
            return np.full((32, 32), threads, np.uint8)

        return find

    detector = PicturesDetector(lambda pixels: pixels, make, 2)
    first, second = detector.for_one_picture(), detector.for_one_picture()
    with ThreadPoolExecutor(1) as threads, detector.picture():
        alone = threads.submit(first, PIXELS)
        assert began.wait(WAIT_S)
        with detector.picture():
            assert (second(PIXELS) == 1).all()
            may_end.set()
            assert (alone.result() == 2).all()
            assert (first(PIXELS) == 1).all()


def test_without_another_call_pictures_take_turns():
    inside = most = 0

    def whole(_: Pixels) -> Pixels:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.02)
        inside -= 1
        return np.zeros((32, 32), np.uint8)

    detector = PicturesDetector(whole, None, 2)

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
