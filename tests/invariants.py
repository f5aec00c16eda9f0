"""What must always hold, stated once; each function fails with the likely cause in its message."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np


def blocks_are_conserved(pool, sequences):
    """Every block is either free or in as many tables as the pool believes."""
    held = Counter(block for sequence in sequences for block in sequence.block_table)
    assert dict(held) == pool.holders(), (
        f"Tables hold {dict(held)}, the pool believes {pool.holders()}: "
        "a sequence left without giving its blocks up, or gave them up twice."
    )
    assert pool.num_used + pool.num_free == pool.num_blocks, (
        f"{pool.num_used} used and {pool.num_free} free of {pool.num_blocks}: a block was lost in the pool."
    )


def tables_cover_what_is_computed(pool, sequences):
    """A sequence has a block for every token in the cache, and none of them twice."""
    for sequence in sequences:
        table = sequence.block_table
        assert len(table) * pool.block_tokens >= sequence.num_computed_tokens, (
            f"Sequence {sequence.id} computed {sequence.num_computed_tokens} tokens with {len(table)} blocks."
        )
        assert len(set(table)) == len(table), f"Sequence {sequence.id} has a block twice: {table}."


def tokens_are_equal(got, expected, what):
    """Two ways to the same greedy answer."""
    assert tuple(got) == tuple(expected), (
        f"{what}: {tuple(got)} instead of {tuple(expected)}. Likely causes: a block table that lags behind, "
        "positions counted from the wrong place, or features placed in the wrong rows."
    )


def own_answers_are_likeliest(model, pictures, chosen=lambda scores: scores.top_ids, **asked):
    """Greedy decoding and scoring see the same logits; and scores have the same bits in company.

    ``chosen`` returns the tokens that the model's own generation chooses from the scores of an answer.
    """
    own = [model.describe(one, **asked).token_ids for one in pictures]
    alone = [model.score(one, None, answer) for one, answer in zip(pictures, own, strict=True)]
    for answer, scores in zip(own, alone, strict=True):
        assert scores.token_ids == answer
        tokens_are_equal(chosen(scores), answer, f"{model.precision}: the likeliest along an answer")
    replies = [model.start(one, "And this?", max_tokens=12) for one in pictures]
    with ThreadPoolExecutor(len(pictures)) as threads:
        company = list(threads.map(model.score, pictures, [None] * len(pictures), own))
    for reply in replies:
        reply.answer()
    for one, other in zip(alone, company, strict=True):
        np.testing.assert_array_equal(one.log_distributions, other.log_distributions)


def every_tensor_is_used(untaken):
    """Nothing in a checkpoint was left behind."""
    assert not untaken, f"Tensors never read: {sorted(untaken)[:5]}. A layer is missing from the network."
