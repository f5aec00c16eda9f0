"""SmolVLM's decoder over a paged KV cache in numpy: the reference for the compiled one.

Source: transformers 5.x, models/llama.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.runner import StepInput, StepOutput
from smallsight.engine.reference.products import DenseWeights, softmax
from smallsight.families.smolvlm.config import SmolVLMTextConfig
from smallsight.policy.row_bands import RowBands
from smallsight.quant.forms import Stored


class LlamaReference:
    """Implements ``decoding.runner.Runner``. Keys and values are [layers, blocks, tokens, kv heads, head]."""

    row_bands = RowBands()

    def __init__(
        self, config: SmolVLMTextConfig, stored: Mapping[str, Stored], *, num_blocks: int, block_tokens: int
    ) -> None:
        """Allocates one block more than ``num_blocks``, as scratch space that is never read."""
        self.num_blocks = num_blocks
        self._config = config
        self._weights = DenseWeights(stored)
        shape = config.layers, num_blocks + 1, block_tokens, config.kv_heads, config.head_dim
        self._keys, self._values = np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    def copy_block(self, source: int, target: int) -> None:
        """Copy one block's keys and values to another block, in every layer."""
        self._keys[:, target] = self._keys[:, source]
        self._values[:, target] = self._values[:, source]

    def run(self, steps: Sequence[StepInput], *, extra_logit_rows: int = 0) -> StepOutput:
        """Compute the pieces one after the other."""
        wanted = [self._last_hidden(step) for step in steps if step.wants_logits]
        wanted_RD = np.stack(wanted + wanted[-1:] * extra_logit_rows) if wanted else None
        for step in steps:
            if not step.wants_logits:
                self._last_hidden(step)
        if wanted_RD is None:
            return StepOutput(np.empty((0, self._config.vocabulary), np.float32))
        return StepOutput(self._weights.linear("head", self._norm("text.norm", wanted_RD)))

    def _last_hidden(self, step: StepInput) -> NDArray[np.float32]:
        """Store a piece's keys and values and return its last token before the last norm, [hidden]."""
        positions_T = np.arange(step.begin, step.end)
        hidden_TD = step.embeddings_TD
        for layer in range(self._config.layers):
            name = f"text.layers.{layer}"
            attended = self._attend(name, layer, hidden_TD, positions_T, step.block_table)
            hidden_TD = hidden_TD + self._weights.linear(f"{name}.output", attended)
            joined = self._weights.linear(f"{name}.ffn_gate_up", self._norm(f"{name}.ffn_norm", hidden_TD))
            gate, up = np.split(joined, 2, axis=1)
            gated = gate / (1 + np.exp(-gate)) * up
            hidden_TD = hidden_TD + self._weights.linear(f"{name}.ffn_down", gated)
        last_D: NDArray[np.float32] = hidden_TD[-1]
        return last_D

    def _attend(
        self,
        name: str,
        layer: int,
        hidden_TD: NDArray[np.float32],
        positions_T: NDArray[np.int64],
        block_table: Sequence[int],
    ) -> NDArray[np.float32]:
        """Attend from each token to itself and all earlier ones; float32 [tokens, heads * head]."""
        config, table = self._config, np.array(block_table)
        joined = self._weights.linear(f"{name}.attention", self._norm(f"{name}.attention_norm", hidden_TD))
        heads_THE = joined.reshape(len(joined), -1, config.head_dim)
        query, key, value = np.split(heads_THE, [config.heads, config.heads + config.kv_heads], axis=1)
        block_tokens = self._keys.shape[2]
        slots = table[positions_T // block_tokens], positions_T % block_tokens
        self._keys[layer][slots] = self._rotated(key, positions_T)
        self._values[layer][slots] = value
        seen_keys, seen_values = (
            cache[layer, table].reshape(-1, config.kv_heads, config.head_dim)
            for cache in (self._keys, self._values)
        )
        query = self._rotated(query, positions_T)
        attended = np.empty_like(query)
        for row, position in enumerate(positions_T):
            for head in range(config.heads):
                kv_head = head * config.kv_heads // config.heads
                scores = seen_keys[: position + 1, kv_head] @ query[row, head] * config.head_dim**-0.5
                attended[row, head] = (
                    softmax(scores.astype(np.float32)) @ seen_values[: position + 1, kv_head]
                )
        return attended.reshape(len(attended), -1)

    def _rotated(self, heads_THE: NDArray[np.float32], positions_T: NDArray[np.int64]) -> NDArray[np.float32]:
        """Apply rotary position embedding to both halves of each head."""
        size = self._config.head_dim
        frequencies = 1.0 / self._config.rope_theta ** (np.arange(0, size, 2, dtype=np.float32) / size)
        angles = (positions_T[:, None].astype(np.float32) * np.tile(frequencies, 2))[:, None]
        first, second = np.split(heads_THE, 2, axis=2)
        turned = np.concatenate([-second, first], axis=2)
        rotated: NDArray[np.float32] = heads_THE * np.cos(angles) + turned * np.sin(angles)
        return rotated.astype(np.float32)

    def _norm(self, name: str, hidden_TD: NDArray[np.float32]) -> NDArray[np.float32]:
        mean = np.square(hidden_TD).mean(axis=1, keepdims=True)
        scale_D = self._weights.vector(f"{name}.weight")
        result_TD: NDArray[np.float32] = hidden_TD / np.sqrt(mean + self._config.norm_epsilon) * scale_D
        return result_TD
