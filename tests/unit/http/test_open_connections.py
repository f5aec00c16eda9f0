"""Which connection makes room for another."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from smallsight.http.open_connections import OpenConnections, most_connections


class Connection:
    is_closed = False

    def close_early(self) -> None:
        self.is_closed = True


def entered(opened: OpenConnections, number: int, address: str = "127.0.0.1") -> list[Connection]:
    new = [Connection() for _ in range(number)]
    for one in new:
        opened.enter(one, address)
    return new


def test_the_one_that_has_waited_longest_is_closed():
    opened = OpenConnections(4)
    first, second, third, fourth = entered(opened, 4)
    opened.note_head(first)
    opened.note_head(second)
    opened.note_waiting(second)  # answered, and kept open
    entered(opened, 1)
    assert [one.is_closed for one in (first, second, third, fourth)] == [False, False, True, False]
    entered(opened, 2)
    assert [one.is_closed for one in (first, second, third, fourth)] == [False, True, True, True]
    assert opened.num_open == 4


def test_the_new_one_is_closed_when_all_others_are_answered():
    opened = OpenConnections(2)
    for one in entered(opened, 2):
        opened.note_head(one)
    (new,) = entered(opened, 1)
    assert new.is_closed
    assert opened.num_open == 2


def test_an_address_gets_a_share_but_not_this_machine():
    opened = OpenConnections(10)
    far = entered(opened, 7, "192.0.2.1")
    assert [one.is_closed for one in far] == [True, True, False, False, False, False, False]
    here = entered(opened, 5, "::1")
    assert not any(one.is_closed for one in here)
    for one in far:
        opened.leave(one)
        opened.leave(one)  # closed already, and then lost
    assert opened.num_open == 5
    assert not any(one.is_closed for one in entered(opened, 5, "127.0.0.1"))


def test_a_flood_is_one_line():
    opened = OpenConnections(5)
    with capture_logs() as lines:
        entered(opened, 1000)
    assert [line["event"] for line in lines] == ["too_many_connections"]


@pytest.mark.parametrize(
    ("max_files", "num_open", "expected"), [(1024, 20, 956), (128, 16, 64), (64, 60, 8), (10**6, 20, 4096)]
)
def test_files_are_left_for_everything_else(max_files: int, num_open: int, expected: int):
    assert most_connections(max_files, num_open) == expected
