"""Into how many tiles pictures of any size are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsight.families.messages import Detail
from smallsight.families.smolvlm.tiling import plan_tiles

TILE, LONGEST = 512, 2048
SIZES = st.tuples(st.integers(1, 30_000), st.integers(1, 30_000))


def plan(size, detail):
    return plan_tiles(size, detail, longest_px=LONGEST, tile_px=TILE)


@given(SIZES, st.sampled_from(Detail))
def test_the_last_size_is_the_grid(size, detail):
    made = plan(size, detail)
    width, height = made.sizes[-1]
    assert (width, height) == (max(made.columns, 1) * TILE, max(made.rows, 1) * TILE)
    assert made.num_tiles == made.rows * made.columns + 1
    assert made.num_tiles <= 17


@given(SIZES)
def test_auto_never_enlarges_what_is_a_tile_or_more(size):
    width, height = plan(size, Detail.AUTO).sizes[-1]
    assert width <= max(size[0], TILE)
    assert height <= max(size[1], TILE)


@given(SIZES)
def test_auto_is_never_more_than_the_reference_and_low_never_more_than_auto(size):
    low, auto, high = (plan(size, detail).num_tiles for detail in (Detail.LOW, Detail.AUTO, Detail.HIGH))
    assert 1 == low <= auto <= high


@pytest.mark.parametrize(
    ("size", "low", "auto", "high"),
    [
        ((800, 600), 1, 1, 13),
        ((1024, 1024), 1, 5, 17),
        ((4000, 3000), 1, 13, 13),
        ((1920, 1080), 1, 7, 13),
        ((1, 20_000), 1, 5, 5),
        ((300, 300), 1, 1, 17),
    ],
)
def test_well_known_sizes(size, low, auto, high):
    assert [plan(size, detail).num_tiles for detail in (Detail.LOW, Detail.AUTO, Detail.HIGH)] == [
        low,
        auto,
        high,
    ]
