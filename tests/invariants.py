"""What must always hold, stated once; each function fails with the likely cause in its message."""

from __future__ import annotations

from collections import Counter


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


def every_tensor_is_used(untaken):
    """Nothing in a checkpoint was left behind."""
    assert not untaken, f"Tensors never read: {sorted(untaken)[:5]}. A layer is missing from the network."
