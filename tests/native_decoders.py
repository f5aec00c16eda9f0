"""Decoders of smallsight-kernels over chosen caches, and the reference's products with rounded inputs."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.engine.native.extension import find_extension
from smallsight.engine.native.native_runner import bind_decoder
from smallsight.engine.reference.products import DenseWeights

needs_extension = pytest.mark.skipif(find_extension().module is None, reason=find_extension().reason)


def usable_paths():
    """Names of the implementations that this processor runs."""
    return [name for name in ("plain", "avx2", "avx512", "amx") if find_extension().module.path_name(name)]


class RoundedWeights(DenseWeights):
    """Rounds the inputs of products to 8 bits in groups, as the extension does."""

    def linear(self, name, rows_TI):
        group = next(size for size in (64, 32, 16, 8) if rows_TI.shape[-1] % size == 0)
        groups = np.asarray(rows_TI, np.float32).reshape(len(rows_TI), -1, group)
        scales = np.abs(groups).max(axis=2, keepdims=True) / np.float32(127)
        rounded = np.rint(groups / np.where(scales > 0, scales, 1)) * scales
        return super().linear(name, rounded.reshape(rows_TI.shape).astype(np.float32))


def make_decoder(model, caches, *, path, threads=1):
    """Return a function from steps to logits, and its copies of the caches, one pair a layer."""
    copies = [[one.copy() for one in pair] for pair in caches]
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


def tokens_of(blocks, table, num_tokens):
    """Return a sequence's keys or values, [kv heads, tokens, head]."""
    return np.concatenate([blocks[one] for one in table], axis=1)[:, :num_tokens]
