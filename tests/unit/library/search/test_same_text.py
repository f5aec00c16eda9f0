from __future__ import annotations

import pytest

from smallsight.library.search.same_text import say_different_things

INVOICE = "Invoice {number}\nAcme Paper Company\nTotal {total} EUR\nPlease pay within 14 days"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I LOVE MY CAT\nMORE THAN PIZZA", "I LOVE MY DOG\nMORETHAN PIZZA"),
        ("WHEN IT IS MONDAY", "NOBODY TOLD ME"),
        ("MONDAY AGAIN", "FRIDAY AGAIN"),
        (INVOICE.format(number=40211, total="120.50"), INVOICE.format(number=40212, total="120.50")),
        (INVOICE.format(number=40211, total="120.50"), INVOICE.format(number=40211, total="165.50")),
        ("明天見", "今晚吃"),
    ],
)
def test_other_words_and_numbers_differ(one, other):
    assert say_different_things(one, other)
    assert say_different_things(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I LOVE MY CAT", "I LOVEMYCAT"),
        ("waiting since the cretaceous", "waiting since the cretaceaus"),
        ("born to rebase", "bom to rebase"),
        ("Total 120.50", "Total 12O.50"),
        ("left column\nright column", "right column\nleft column"),
        ("MONDAY AGAIN", "MONDAY AGAIN\nI NEED COFFEE"),
        ("MONDAY AGAIN", ""),
        ("", ""),
    ],
)
def test_misreadings_moved_and_added_lines_do_not(one, other):
    assert not say_different_things(one, other)
    assert not say_different_things(other, one)
