"""Places in pixels."""

from __future__ import annotations

import pytest

from smallsight.families.places import Place


@pytest.mark.parametrize(
    ("place", "pixels"),
    [
        (Place(0.5, 0.25), (100.0, 25.0)),
        (Place(0.0, 1.0), (0.0, 100.0)),
        (Place(0.5, 0.5, (0.5, 0.25)), (50.0, 37.5, 150.0, 62.5)),
        (Place(0.0, 0.9, (0.5, 0.5)), (0.0, 65.0, 50.0, 100.0)),
    ],
)
def test_places_are_cut_off_at_the_pictures_edge(place, pixels):
    assert place.in_pixels((200, 100)) == pytest.approx(pixels)
