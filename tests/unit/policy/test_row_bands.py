"""Rows share a product only where sharing cannot change their bits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsight.policy.row_bands import USUAL_ROWS, RowBands, SharedCall

bands = st.lists(st.integers(2, 600), max_size=5, unique=True).map(
    lambda found: RowBands((1, *sorted(found)))
)
AMX = RowBands((1, 5))
AVX2 = RowBands((1, 2, 81))


@given(bands, st.lists(st.integers(1, 800), min_size=1, max_size=40))
def test_every_piece_is_computed_once_in_the_band_of_its_own_size(found: RowBands, sizes: list[int]) -> None:
    calls = found.plan(sizes)
    assert sorted(index for call in calls for index in call.pieces) == list(range(len(sizes)))
    for call in calls:
        num_rows = sum(sizes[index] for index in call.pieces) + call.num_padding_rows
        for index in call.pieces:
            begin, end = found.around(sizes[index])
            assert begin <= num_rows
            assert end is None or num_rows < end


@given(bands, st.integers(1, 800), st.lists(st.integers(1, 800), max_size=20))
def test_the_band_of_a_piece_does_not_depend_on_its_company(
    found: RowBands, size: int, company: list[int]
) -> None:
    def band_of_first(sizes: list[int]) -> int:
        call = next(one for one in found.plan(sizes) if 0 in one.pieces)
        num_rows = sum(sizes[index] for index in call.pieces) + call.num_padding_rows
        return sum(start <= num_rows for start in found.starts)

    assert band_of_first([size]) == band_of_first([size, *company])


@given(bands)
def test_usual_rows_share_one_call(found: RowBands) -> None:
    assert len(found.plan([1] * USUAL_ROWS)) == 1


@pytest.mark.parametrize(
    ("found", "sizes", "calls"),
    [
        (RowBands(), [1, 256, 1], [SharedCall((0, 1, 2), 0)]),
        (AMX, [1], [SharedCall((0,), 4)]),
        (AMX, [1, 1, 3], [SharedCall((0, 1, 2), 0)]),
        (AMX, [256, 1], [SharedCall((0, 1), 0)]),
        (AVX2, [1], [SharedCall((0,), 1)]),
        (AVX2, [256, 1, 40], [SharedCall((0,), 0), SharedCall((1, 2), 0)]),
        (AVX2, [50, 50, 256, 256], [SharedCall((0,), 0), SharedCall((1,), 0), SharedCall((2, 3), 0)]),
    ],
)
def test_what_known_processors_do(found: RowBands, sizes: list[int], calls: list[SharedCall]) -> None:
    assert found.plan(sizes) == calls


def test_joined_bands_hold_for_both() -> None:
    assert AMX.joined(AVX2) == RowBands((1, 2, 5, 81))
    assert AMX.joined(AVX2).fewest_rows == 5


@pytest.mark.parametrize("starts", [(), (2,), (1, 5, 3), (1, 1)])
def test_bands_begin_at_one_and_ascend(starts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="start at 1"):
        RowBands(starts)
