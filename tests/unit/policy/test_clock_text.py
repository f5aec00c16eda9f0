"""Times within a video."""

import pytest

from smallsight.policy.clock_text import clock_text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0:00"),
        (0.99, "0:00"),
        (12.6, "0:12"),
        (60, "1:00"),
        (599.9, "9:59"),
        (3600, "1:00:00"),
        (7384.2, "2:03:04"),
        (-1, "0:00"),
    ],
)
def test_a_time_is_shown_as_players_show_it(seconds, shown):
    assert clock_text(seconds) == shown
