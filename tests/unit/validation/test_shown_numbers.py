from __future__ import annotations

import pytest

from smallsight.validation.result import Interval
from smallsight.validation.shown_numbers import change, ends, nats, seconds, share, size

MINUS, DASH, GAP = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [
        (1.0, "100 %"),
        (0.99999, "99.9 %"),
        (0.9496, "94.9 %"),
        (0.95, "95.0 %"),
        (0.29, "29.0 %"),
        (0, "0.0 %"),
    ],
)
def test_a_share_is_never_shown_as_more_than_it_is(fraction: float, shown: str):
    assert share(fraction) == shown


@pytest.mark.parametrize(
    ("num_bytes", "shown"),
    [
        (0, "0.00 KiB"),
        (1023, "1.00 KiB"),
        (999 * 1024, "999 KiB"),
        (1000 * 1024, "0.98 MiB"),
        (3 * 1024**3, "3.00 GiB"),
    ],
)
def test_sizes_have_three_digits(num_bytes: int, shown: str):
    assert size(num_bytes) == shown


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (100, 50, f"{MINUS}50 %"),
        (100, 104.2, "+4.2 %"),
        (100, 100.04, "same"),
        (0, 5, ""),
        (2, 500, "+24900 %"),
    ],
)
def test_changes_have_a_sign(before: float, after: float, shown: str):
    assert change(before, after) == shown


def test_ends_name_their_unit_once_if_it_is_the_same():
    assert ends(Interval(mean=0.9, low=0.8, high=0.95), share) == f"80.0{GAP}{DASH}{GAP}95.0{GAP}%"
    assert ends(Interval(mean=1, low=0.5, high=2.0), seconds) == f"500{GAP}ms{GAP}{DASH}{GAP}2.00{GAP}s"
    assert ends(Interval(mean=1, low=1, high=1), share) == "100 %"


def test_only_no_divergence_is_shown_as_none():
    assert (nats(0), nats(0.0000012), nats(0.2117)) == ("0", "1.2e-06", "0.21")
