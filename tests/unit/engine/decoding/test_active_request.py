"""Where prompts are cut."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smallsight.engine.decoding.active_request import LEAST_CUT_TOKENS, cuts_of
from smallsight.graph.paged_attention import BLOCK_TOKENS

IMAGE, CHUNK, PER_TILE = -1, 256, 10


def cuts(*parts: int) -> tuple[int, ...]:
    """Return the cuts of a prompt of pictures of so many tiles; negative numbers are words."""
    tokens: list[int] = []
    for part in parts:
        tokens += [7] * -part if part < 0 else ([5, 5, *[IMAGE] * PER_TILE]) * part
    image_rows = np.flatnonzero(np.array(tokens) == IMAGE)
    return cuts_of(image_rows, [part for part in parts if part > 0], PER_TILE, CHUNK, BLOCK_TOKENS)


def test_a_prompt_is_cut_where_its_picture_ends():
    assert cuts(-3, 9, -20) == (96,)  # 3 + 9 * 12 = 111
    assert cuts(-3, 30, -20) == (352,)  # 363


def test_small_pieces_are_not_worth_a_cut():
    assert cuts(-3, 4, -20) == ()  # 51: under LEAST_CUT_TOKENS
    assert cuts(-3, 25, -9) == ()  # 303, with a whole chunk's end at 256
    assert cuts(-3, 9, -5, 2, -9, 8, -9) == (96, 224)
    assert cuts(-30) == ()


@given(st.lists(st.integers(-40, 12).filter(bool), min_size=1, max_size=12), st.integers(1, 12))
def test_cuts_follow_from_what_is_before_them(parts: list[int], num_kept: int):
    all_of_it, beginning = cuts(*parts), cuts(*parts[:num_kept])
    assert all_of_it[: len(beginning)] == beginning
    ends = [0, *all_of_it]
    for before, cut in itertools.pairwise(ends):
        assert cut % BLOCK_TOKENS == 0
        assert cut - before >= LEAST_CUT_TOKENS
