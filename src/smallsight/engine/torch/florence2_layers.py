"""One step of transformers' Florence-2 decoder, for the beams of several prompts.

The layers are transformers' own. What a beam has said before is a ``Past``, so that the same step runs over
tensors that grow and over those that never move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

POSITION_OFFSET = 2  # BART has two unused rows before its learned positions


@dataclass(frozen=True, eq=False)
class CrossMemory:
    """The cross-attention keys and values of prompts, and which of their tokens exist.

    ``layers`` holds for each layer [2, prompts, heads, tokens, head]; ``exists`` is bool
    [prompts, 1, 1, tokens].
    """

    layers: tuple[Tensor, ...]
    exists: Tensor

    @classmethod
    def of(cls, memories: Sequence[CrossMemory]) -> CrossMemory:
        """Join prompts; shorter ones are padded."""
        longest = max(one.exists.shape[3] for one in memories)
        missing = [longest - one.exists.shape[3] for one in memories]
        layers = (
            torch.cat([pad(part, (0, 0, 0, more)) for part, more in zip(parts, missing, strict=True)], 1)
            for parts in zip(*(one.layers for one in memories), strict=True)
        )
        exists = [pad(one.exists, (0, more)) for one, more in zip(memories, missing, strict=True)]
        return cls(tuple(layers), torch.cat(exists))

    def only(self, kept: Sequence[int]) -> CrossMemory:
        """Return the memory of some of the prompts, by index."""
        rows = torch.tensor(kept, device=self.exists.device)
        return CrossMemory(tuple(layer[:, rows] for layer in self.layers), self.exists[rows])


class Past(Protocol):
    """The keys and values of the tokens before, by layer and beam."""

    def attend(self, index: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Store a layer's new keys and values, [rows, heads, 1, head]; return the values attended to."""
        ...


class GrowingPast:
    """Tensors that grow by one token in each step, in the order of the beams."""

    def __init__(self) -> None:
        self._layers: list[Tensor] = []
        self._parents_R: Tensor | None = None

    def begin(self, parents_R: Tensor) -> None:
        """Begin a step, in which each row continues the row ``parents_R`` of the step before."""
        self._parents_R = parents_R

    def attend(self, index: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Store a layer's new keys and values, [rows, heads, 1, head]; return the values attended to."""
        past = torch.stack([key, value])
        if index < len(self._layers):
            past = torch.cat([self._layers[index][:, self._parents_R], past], 3)
            self._layers[index] = past
        else:  # the first token of the answers
            self._layers.append(past)
        return scaled_dot_product_attention(query, past[0], past[1])


class BeamLayers:
    """The decoder and the head of a loaded Florence-2."""

    def __init__(self, network: Any) -> None:  # noqa: ANN401 - transformers' modules have no useful types
        """Take transformers' whole network."""
        text = network.model.language_model
        self._table, self._decoder, self._head = text.shared, text.decoder, network.lm_head
        self.num_heads: int = text.config.decoder_attention_heads
        self.head_dim: int = text.config.d_model // self.num_heads
        self.count, self.dtype = len(self._decoder.layers), self._table.weight.dtype

    def blank_memory(self, prompts: int, tokens: int, device: str) -> CrossMemory:
        """Return memory of this shape with zeros."""
        shape = 2, prompts, self.num_heads, tokens, self.head_dim
        layers = (torch.zeros(shape, dtype=self.dtype, device=device) for _ in range(self.count))
        exists = torch.ones((prompts, 1, 1, tokens), dtype=torch.bool, device=device)
        return CrossMemory(tuple(layers), exists)

    def encode(self, hidden_BTD: Tensor) -> tuple[Tensor, ...]:
        """Return each layer's keys and values of an encoded prompt, [2, 1, heads, tokens, head]."""
        attentions = (layer.encoder_attn for layer in self._decoder.layers)
        return tuple(
            torch.stack([self._heads(projection(hidden_BTD)) for projection in (one.k_proj, one.v_proj)])
            for one in attentions
        )

    def logits(self, tokens_R: Tensor, position_1: Tensor, memory: CrossMemory, past: Past) -> Tensor:
        """Return logits [rows, vocabulary] of one token of each beam, all at one position."""
        places_1 = position_1 + POSITION_OFFSET
        hidden_RD = self._table(tokens_R) + self._decoder.embed_positions.weight[places_1]
        hidden_R1D = self._decoder.layernorm_embedding(hidden_RD)[:, None]
        for index, layer in enumerate(self._decoder.layers):
            own = layer.self_attn
            query, key, value = (
                self._heads(projection(hidden_R1D)) for projection in (own.q_proj, own.k_proj, own.v_proj)
            )
            attended = _joined(past.attend(index, query, key, value))
            hidden_R1D = layer.self_attn_layer_norm(hidden_R1D + own.out_proj(attended))
            hidden_R1D = self._attend_to_prompt(layer, hidden_R1D, memory.layers[index], memory.exists)
            widened = layer.activation_fn(layer.fc1(hidden_R1D))
            hidden_R1D = layer.final_layer_norm(hidden_R1D + layer.fc2(widened))
        logits_RV: Tensor = self._head(hidden_R1D[:, 0])
        return logits_RV

    def _attend_to_prompt(
        self,
        layer: Any,  # noqa: ANN401 - transformers' modules have no useful types
        hidden_R1D: Tensor,
        memory: Tensor,
        exists: Tensor,
    ) -> Tensor:
        """Attend to each prompt's encoded tokens, with its beams as queries."""
        cross, prompts = layer.encoder_attn, len(exists)
        query = self._heads(cross.q_proj(hidden_R1D).reshape(prompts, -1, hidden_R1D.shape[2]))
        attended = scaled_dot_product_attention(query, memory[0], memory[1], attn_mask=exists)
        projected = cross.out_proj(_joined(attended).reshape(hidden_R1D.shape))
        added: Tensor = layer.encoder_attn_layer_norm(hidden_R1D + projected)
        return added

    def _heads(self, values_BTD: Tensor) -> Tensor:
        """Split the last axis by heads: [batch, heads, tokens, head]."""
        return values_BTD.reshape(*values_BTD.shape[:2], self.num_heads, -1).transpose(1, 2)


def _joined(heads_BHTd: Tensor) -> Tensor:
    """Join the heads again: [batch, tokens, hidden]."""
    return heads_BHTd.transpose(1, 2).flatten(2)
