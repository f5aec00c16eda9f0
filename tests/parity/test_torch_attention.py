"""The attention of compiled decoding on a GPU, beside that of torch, on the CPU."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from smallsight.engine.torch.paged_attention import PagedCache, PagedStep, attend_by_blocks

BLOCK, HEAD = 4, 8


@pytest.mark.parametrize(("heads", "kv_heads"), [(6, 2), (4, 4), (3, 1)])
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_it_attends_to_the_tokens_of_each_sequence_and_to_no_others(heads, kv_heads, scaling):
    generator = torch.Generator().manual_seed(0)
    sizes = {"layers": 1, "num_blocks": 9, "block_tokens": BLOCK, "kv_heads": kv_heads, "head_dim": HEAD}
    cache = PagedCache(**sizes, dtype=torch.float32, device="cpu")
    keys, values = cache.keys[0], cache.values[0]
    for one in (keys, values):
        one.copy_(torch.randn(one.shape, generator=generator))
    positions_N = torch.tensor([0, 10, 5])
    blocks_NB = torch.tensor([[7, 9, 9], [0, 4, 2], [8, 1, 9]])  # 9 is the scratch block
    query_NHE = torch.randn((3, heads, HEAD), generator=generator)
    step = PagedStep.of_lone_tokens(cache, positions_N, blocks_NB)
    assert step.are_lone
    found = attend_by_blocks(query_NHE, keys, values, step.groups[0], scaling)
    for row, (position, table) in enumerate(zip(positions_N, blocks_NB, strict=True)):
        seen_keys, seen_values = (
            one[table].reshape(-1, kv_heads, HEAD)[: position + 1].transpose(0, 1) for one in (keys, values)
        )
        expected = scaled_dot_product_attention(
            query_NHE[row][:, None], seen_keys, seen_values, scale=scaling, enable_gqa=True
        )
        torch.testing.assert_close(found[row], expected[:, 0])
