"""Decoders of smallsight-kernels over chosen caches, and the reference's products with rounded inputs."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.engine.native.native_cache import BLOCK_TOKENS, key_blocks, value_blocks
from smallsight.engine.native.native_runner import bind_decoder
from smallsight.engine.reference.products import DenseWeights
from smallsight.machine.extension import find_extension

needs_extension = pytest.mark.skipif(find_extension().module is None, reason=find_extension().reason)


def usable_paths():
    """Names of the implementations that this processor runs."""
    return [
        name
        for name in ("plain", "avx2", "avx512", "amx", "dotprod", "i8mm")
        if find_extension().module.path_name(name)
    ]


class RoundedWeights(DenseWeights):
    """Rounds the inputs of products to 8 bits in groups, as the extension does."""

    def linear(self, name, rows_TI):
        group = next(size for size in (64, 32, 16, 8) if rows_TI.shape[-1] % size == 0)
        groups = np.asarray(rows_TI, np.float32).reshape(len(rows_TI), -1, group)
        scales = np.abs(groups).max(axis=2, keepdims=True) / np.float32(127)
        rounded = np.rint(groups / np.where(scales > 0, scales, 1)) * scales
        return super().linear(name, rounded.reshape(rows_TI.shape).astype(np.float32))


def bf16_bits(values):
    """Finite float32 values as bits of bfloat16, rounded to even."""
    whole = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((whole + 0x7FFF + ((whole >> 16) & 1)) >> 16).astype(np.uint16)


def bf16_rounded(values):
    """Finite float32 values as bfloat16 holds them."""
    return (bf16_bits(values).astype(np.uint32) << 16).view(np.float32)


def make_decoder(model, caches, *, path, threads=1):
    """Return a function from steps to logits, and its caches, one pair a layer.

    ``caches`` are float32 keys and values, [blocks, kv heads, 32, head].
    """
    copies = [
        [
            order(bf16_bits(one))[:, :, 0].copy()
            for order, one in zip((key_blocks, value_blocks), pair, strict=True)
        ]
        for pair in caches
    ]
    decoder = bind_decoder(model, copies, threads, path)

    def compute(steps):
        wanted = sum(step.wants_logits for step in steps)
        logits_RV = np.empty((wanted, model.sizes.vocabulary), np.float32)
        tables = [np.asarray(step.block_table, np.int32) for step in steps]
        begins = np.cumsum([0, *map(len, tables)])
        pieces = [
            (len(step.embeddings_TD), step.begin, step.prefix_tokens, begin, step.wants_logits)
            for step, begin in zip(steps, begins[:-1], strict=True)
        ]
        decoder.run(
            np.concatenate([step.embeddings_TD for step in steps]),
            np.array(pieces, np.int32),
            np.concatenate(tables),
            logits_RV,
            np.empty((wanted, model.sizes.hidden), np.float32),
        )
        return logits_RV

    return compute, copies


def tokens_of(pair, table, num_tokens):
    """Return a sequence's keys and values in a decoder's cache, [2, kv heads, tokens, head]."""
    keys, values = (
        np.stack([blocks[one] for one in table], axis=1).reshape(blocks.shape[1], len(table), *shape)
        for blocks, shape in zip(pair, ((-1, 16, 2), (16, -1, 2)), strict=True)
    )
    both = keys.transpose(0, 1, 4, 3, 2), values.transpose(0, 1, 2, 4, 3)
    head = keys.shape[2]
    return np.stack([one.reshape(len(one), BLOCK_TOKENS * len(table), head)[:, :num_tokens] for one in both])
