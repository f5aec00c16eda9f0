"""What is remembered within a number of bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smallsight.policy.recently_used import RecentlyUsed


def memory(max_bytes: int) -> RecentlyUsed[str, bytes]:
    return RecentlyUsed(max_bytes, len)


def test_the_least_recently_used_go_first():
    known = memory(8)
    known.remember("a", b"1234")
    known.remember("b", b"5678")
    assert known.find("a") == b"1234"
    known.remember("c", b"9012")
    assert [known.find(key) for key in "abc"] == [b"1234", None, b"9012"]
    assert (known.num_bytes, len(known)) == (8, 2)


def test_what_is_known_already_is_kept_once():
    known = memory(8)
    known.remember("a", b"1234")
    known.remember("a", b"56")
    assert known.find("a") == b"1234"
    assert known.num_bytes == 4


def test_what_is_larger_than_all_room_is_not_kept_and_pushes_nothing_out():
    known = memory(4)
    known.remember("small", b"12")
    known.remember("large", b"12345")
    assert known.find("large") is None
    assert known.find("small") == b"12"


def test_no_room_keeps_nothing():
    known = memory(0)
    known.remember("a", b"1")
    assert known.find("a") is None


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 6), st.booleans()), max_size=60))
def test_bytes_are_those_of_what_is_kept_and_never_too_many(steps):
    known = memory(10)
    for key, size, looks in steps:
        known.find(key) if looks else known.remember(key, b"x" * size)
        kept = [found for one in "abcdef" if (found := known.find(one)) is not None]
        assert known.num_bytes == sum(map(len, kept)) <= 10
