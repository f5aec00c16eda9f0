"""Which numbers are asked for in which order, and when it ends."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.engine.decoding.place_detector import Number, PlaceDetector, Wanted

END = 7
GO_ON, STOP = np.eye(10, dtype=np.float32)[[3, END]]


class Head:
    """Reads what it is shown: the hidden vector is the bins."""

    def __init__(self):
        self.asked = []

    def read_coordinate(self, hidden):
        self.asked.append("coordinate")
        return Number((hidden[0] / 8,), (int(hidden[0]),), 8, hidden + 100)

    def read_size(self, hidden):
        self.asked.append("size")
        return Number((hidden[0] / 8, hidden[1] / 8), (int(hidden[0]), int(hidden[1])), 8, hidden + 200)


def finder(kind="detect", max_places=50):
    head = Head()
    return PlaceDetector(Wanted(kind, "car", (80, 40), max_places), head, END), head


def bins(*values):
    return np.array([*values, 0], np.float32)[:2]


def test_boxes_are_two_coordinates_and_a_size():
    places, head = finder()
    codes = [places.choose(GO_ON, bins(*one)).token_id for one in ((4,), (2,), (2, 1), (1,), (1,), (2, 2))]
    assert head.asked == ["coordinate", "coordinate", "size"] * 2
    assert codes == [4, 2, 17, 1, 1, 18]
    assert not places.has_ended
    assert places.choose(STOP, bins(0)).token_id == END
    assert places.has_ended
    assert places.data() == {
        "task": "detect",
        "bboxes": [[30.0, 7.5, 50.0, 12.5], [0.0, 0.0, 20.0, 10.0]],
        "labels": ["car", "car"],
    }
    assert places.text() == "car: 30, 8, 50, 12\ncar: 0, 0, 20, 10"


def test_the_end_token_counts_only_where_a_place_would_begin():
    places, _ = finder()
    for one in ((4,), (2,), (2, 1)):
        choice = places.choose(GO_ON if one == (4,) else STOP, bins(*one))
        assert choice.token_id != END or one != (4,)
    assert not places.has_ended
    assert len(places.data()["bboxes"]) == 1


def test_points_are_two_coordinates():
    places, head = finder("point", max_places=1)
    places.choose(GO_ON, bins(4))
    assert places.data()["points"] == []
    assert not places.is_full
    places.choose(GO_ON, bins(2))
    assert head.asked == ["coordinate"] * 2
    assert places.is_full
    assert places.data() == {"task": "point", "points": [[40.0, 10.0]], "labels": ["car"]}


def test_nothing_found_is_an_empty_list():
    places, head = finder()
    places.choose(STOP, bins(1))
    assert (places.data()["bboxes"], places.text(), head.asked) == ([], "", [])


@pytest.mark.parametrize(("begin", "end"), [(0, 3), (1, 2)])
def test_what_was_read_goes_back_in(begin, end):
    places, _ = finder()
    shown = [bins(4), bins(2), bins(2, 1)]
    for one in shown:
        places.choose(GO_ON, one)
    expected = [shown[0] + 100, shown[1] + 100, shown[2] + 200]
    np.testing.assert_array_equal(places.embeddings(begin, end), expected[begin:end])
