from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsight.policy.row_bands import RowBands
from smallsight.reading.text_batches import padded_length, plan_batches

lengths_of_texts = st.lists(st.integers(1, 256), max_size=300)


@given(lengths_of_texts, st.sampled_from([1, 64, 1024]))
def test_every_text_is_in_exactly_one_batch_that_is_long_enough(lengths: list[int], budget: int):
    batches = plan_batches(lengths, max_tokens=256, budget_tokens=budget)
    assert sorted(index for batch in batches for index in batch.indices) == list(range(len(lengths)))
    for batch in batches:
        assert max(lengths[index] for index in batch.indices) <= batch.padded_tokens <= 256
        assert len(batch.indices) == 1 or len(batch.indices) * batch.padded_tokens <= budget


@given(st.integers(1, 256))
def test_padding_is_less_than_a_step_or_an_eighth_beyond_the_shortest(length: int):
    assert 0 <= padded_length(length) - length < max(4, length / 4)


def test_shapes_are_few_whatever_comes():
    lengths = [length for length in range(1, 257) for _ in range(131)]
    shapes = {
        (len(batch.indices), batch.padded_tokens)
        for texts in (lengths, lengths[::2], lengths[::3], lengths[::7], lengths[::131])
        for batch in plan_batches(texts, max_tokens=256, budget_tokens=1024)
    }
    assert len({tokens for _, tokens in shapes}) == 20
    assert {rows for rows, _ in shapes} <= {1, 2, 4, 8, 16, 32, 64, 128, 256}
    assert len(shapes) <= 120


def test_batches_fill_the_budget():
    batches = plan_batches([16] * 130, max_tokens=256, budget_tokens=1024)
    assert [len(batch.indices) for batch in batches] == [64, 64, 2]


def test_lengths_never_exceed_the_position_table():
    (batch,) = plan_batches([37], max_tokens=38, budget_tokens=1024)
    assert batch.padded_tokens == 38


@pytest.mark.parametrize("lengths", [[], [1]])
def test_none_and_one(lengths: list[int]):
    assert len(plan_batches(lengths, max_tokens=256, budget_tokens=1024)) == len(lengths)


BANDS = RowBands((1, 5, 81))


@given(lengths_of_texts, st.integers(1, 256))
def test_a_text_is_computed_in_one_band_whatever_is_beside_it(lengths: list[int], own: int):
    def band(texts: list[int]) -> int:
        batches = plan_batches(texts, max_tokens=256, budget_tokens=512, bands=BANDS)
        batch = next(one for one in batches if 0 in one.indices)
        num_rows = len(batch.indices) * batch.padded_tokens
        return sum(start <= num_rows for start in BANDS.starts)

    assert band([own, *lengths]) == band([own])
