from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from smallsight.policy.turns import MAX_CLIENTS, Turns


def client_of(item):
    return item[0]


def test_one_of_each_client_in_each_round():
    items = [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1), ("c", 2)]
    assert Turns().order(items, client_of) == [
        *[("a", 1), ("b", 1), ("c", 1)],
        *[("a", 2), ("c", 2)],
        ("a", 3),
    ]


def test_whose_last_turn_is_longest_ago_comes_first():
    turns = Turns()
    for client in ("b", "a", "c", "a"):
        turns.serve(client)
    assert turns.order([("a", 1), ("b", 1), ("c", 1), ("new", 1)], client_of) == [
        *[("new", 1), ("b", 1), ("c", 1), ("a", 1)]
    ]


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60))
def test_nobody_waits_for_more_than_one_turn_of_each_other(clients):
    turns, waiting = Turns(), [(client, number) for number, client in enumerate(clients)]
    since = Counter()
    while waiting:
        first = turns.order(waiting, client_of)[0]
        assert first == next(item for item in waiting if item[0] == first[0]), "of one client, who came first"
        turns.serve(first[0])
        waiting.remove(first)
        for client in {item[0] for item in waiting} - {first[0]}:
            since[client, first[0]] += 1
            assert since[client, first[0]] <= 1, f"{client} waited for two turns of {first[0]}"
        for other in "abcd":
            since[first[0], other] = 0


def test_what_is_remembered_is_bounded():
    turns = Turns()
    for number in range(MAX_CLIENTS + 5):
        turns.serve(str(number))
    asked = [("5", 1), ("4", 1), ("0", 1)]
    assert turns.order(asked, client_of) == [("4", 1), ("0", 1), ("5", 1)], "0 to 4 are forgotten, 5 is not"
