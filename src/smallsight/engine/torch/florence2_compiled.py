"""Beam search of Florence-2 with a compiled step, in calls of few shapes, over a KV cache that never moves.

A beam that continues another one would take its keys and values along. Here they stay where they were
computed, and a table says for each beam and position which row of the cache has them. Calls have as many
prompts, positions and tokens of the prompt as the next of a few numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from smallsight.engine.torch.compiled_calls import CompiledCalls, Shape, growing_sizes
from smallsight.engine.torch.device import Device
from smallsight.engine.torch.florence2_layers import BeamLayers, CrossMemory
from smallsight.policy.progress import OnProgress

_FEWEST_POSITIONS = 16
_MOST_RECORDED = 8  # prompts of a CUDA graph: more of them keep a GPU busy, and graphs hold their inputs


class StaticPast:
    """Implements ``Past`` for one call: reads and writes a cache [2, rows, positions, heads, head] per layer.

    ``origins_RP`` are the rows of the cache that have the tokens before; the new ones belong to the rows
    from 0.
    """

    def __init__(self, caches: Sequence[Tensor], origins_RP: Tensor, position_1: Tensor) -> None:
        self._caches, self._origins_RP = caches, origins_RP
        device = position_1.device
        self._rows_R = torch.arange(len(origins_RP), device=device)
        self._position_R = position_1.expand(len(origins_RP))
        self._positions_P = torch.arange(origins_RP.shape[1], device=device)
        self._mask = (self._positions_P <= position_1)[None, None, None]

    def attend(self, index: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Store a layer's new keys and values, [rows, heads, 1, head]; return the values attended to."""
        keys, values = (
            self._stored(cache, new) for cache, new in zip(self._caches[index], (key, value), strict=True)
        )
        return scaled_dot_product_attention(query, keys, values, attn_mask=self._mask)

    def _stored(self, cache: Tensor, new: Tensor) -> Tensor:
        """Store one token of each row; return all, [rows, heads, positions, head]."""
        cache[self._rows_R, self._position_R] = new[:, :, 0]
        return cache[self._origins_RP, self._positions_P].transpose(1, 2)


class CompiledBeams:
    """Compiled steps of a decoder and its head. Used by one thread, for one batch of prompts at a time."""

    def __init__(
        self,
        layers: BeamLayers,
        *,
        device: Device,
        num_beams: int,
        most_prompts: int,
        positions: int,
        usual_tokens: int,
        cache_bytes: int,
    ) -> None:
        """Allocate the cache, which limits the prompts but has room for one.

        ``positions`` is the limit of a prompt's tokens and of an answer's; few prompts have more than
        ``usual_tokens``.
        """
        heads, head_dim, dtype = layers.num_heads, layers.head_dim, layers.dtype
        row_bytes = 2 * layers.count * heads * head_dim * dtype.itemsize * positions
        self.num_beams = num_beams
        self.most_prompts = max(1, min(most_prompts, cache_bytes // (row_bytes * num_beams)))
        self._device = device
        self._prompts = growing_sizes(1, self.most_prompts)
        self._positions = growing_sizes(_FEWEST_POSITIONS, positions)
        self._tokens = tuple(dict.fromkeys((min(usual_tokens, positions), positions)))
        # Not empty: a masked value still counts if it is not a number.
        shape = 2, self._prompts[-1] * num_beams, self._positions[-1], heads, head_dim
        caches = [torch.zeros(shape, dtype=dtype, device=device.name) for _ in range(layers.count)]
        self._blank = partial(layers.blank_memory, device=device.name)

        def compute(
            tokens_NK: Tensor, position_1: Tensor, origins_NKP: Tensor, exists: Tensor, *memory: Tensor
        ) -> tuple[Tensor]:
            past = StaticPast(caches, origins_NKP.flatten(0, 1), position_1)
            encoded = CrossMemory(memory, exists)
            return (layers.logits(tokens_NK.flatten(), position_1, encoded, past),)

        self._calls = CompiledCalls(compute, device)
        self._num_layers = layers.count

    def warm_up(self, on_progress: OnProgress) -> None:
        """Compile all shapes; ``on_progress`` is called with the fraction done.

        Raises ModelNotRunnableError where this machine cannot compile.
        """
        shapes: list[Shape] = list(product(self._prompts, self._positions, self._tokens))
        memory_axes = ((1, 3),) * self._num_layers
        self._calls.warm_up(
            {shape: partial(self._empty, *shape) for shape in shapes},
            ((0,), (), (0, 2), (0, 3), *memory_axes),
            on_progress,
            unrecorded=[shape for shape in shapes if shape[0] > _MOST_RECORDED],
        )

    def begin(self, memory: CrossMemory) -> StaticBeams:
        """Begin to search the answers of up to ``most_prompts`` prompts."""
        return StaticBeams(self, memory)

    def fill_up(self, memory: CrossMemory) -> CrossMemory:
        """Return the memory with as many prompts and tokens as the next compiled shape."""
        num_prompts, _, _, num_tokens = memory.exists.shape
        prompts, tokens = _next(self._prompts, num_prompts), _next(self._tokens, num_tokens)
        if prompts > num_prompts:
            memory = memory.only([*range(num_prompts), *[0] * (prompts - num_prompts)])
        more = tokens - num_tokens
        if not more:
            return memory
        layers = (pad(layer, (0, 0, 0, more)) for layer in memory.layers)
        return CrossMemory(tuple(layers), pad(memory.exists, (0, more)))

    def logits(
        self, tokens: Sequence[int], position: int, origins_RP: NDArray[np.int64], memory: CrossMemory
    ) -> Tensor:
        """Return logits of one token of each beam, for memory that ``fill_up`` returned."""
        num_prompts, _, _, num_tokens = memory.exists.shape
        positions = _next(self._positions, position + 1)
        tokens_NK = np.zeros((num_prompts, self.num_beams), np.int64)
        tokens_NK.flat[: len(tokens)] = tokens
        origins_NKP = np.zeros((*tokens_NK.shape, positions), np.int64)
        origins_NKP.reshape(-1, positions)[: len(origins_RP), : position + 1] = origins_RP
        inputs = self._moved(tokens_NK, np.array([position]), origins_NKP)
        shape: Shape = (num_prompts, positions, num_tokens)
        (logits_RV,) = self._calls.run(shape, *inputs, memory.exists, *memory.layers)
        return logits_RV[: len(tokens)]

    def _empty(self, prompts: int, positions: int, tokens: int) -> tuple[Tensor, ...]:
        """Return inputs of a shape."""
        tokens_NK = np.zeros((prompts, self.num_beams), np.int64)
        origins_NKP = np.zeros((*tokens_NK.shape, positions), np.int64)
        memory = self._blank(prompts, tokens)
        inputs = self._moved(tokens_NK, np.zeros(1, np.int64), origins_NKP)
        return (*inputs, memory.exists, *memory.layers)

    def _moved(self, *arrays: NDArray[np.int64]) -> tuple[Tensor, ...]:
        return tuple(torch.from_numpy(one).to(self._device.name) for one in arrays)


class StaticBeams:
    """The beams of several prompts while their answers are searched."""

    def __init__(self, compiled: CompiledBeams, memory: CrossMemory) -> None:
        self._compiled = compiled
        self._memory = compiled.fill_up(memory)
        self._origins_RP = np.zeros((len(memory.exists) * compiled.num_beams, 0), np.int64)

    def step(self, tokens: Sequence[int], position: int, parents: Sequence[int]) -> Tensor:
        """Return logits [rows, vocabulary] of one token of each row."""
        own_R1 = np.arange(len(parents))[:, None]
        self._origins_RP = np.concatenate([self._origins_RP[list(parents)], own_R1], axis=1)
        return self._compiled.logits(tokens, position, self._origins_RP, self._memory)

    def keep(self, kept: Sequence[int]) -> None:
        """Drop all prompts but some, by index."""
        self._memory = self._compiled.fill_up(self._memory.only(kept))


def _next(sizes: Sequence[int], least: int) -> int:
    return next(one for one in sizes if one >= least)
