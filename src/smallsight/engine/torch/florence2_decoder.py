"""Runs transformers' Florence-2 with beam search, for several prompts at once.

The layers are transformers' own, called one step at a time: keys and values for cross-attention are computed
once per prompt and shared by its beams, which transformers' ``generate`` copies for each beam. All answers
start with the same token, so a batch is always at one position; prompts whose answer is finished leave it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import pad, scaled_dot_product_attention

from smallsight.engine.decoding.runner import TokenSearch
from smallsight.engine.torch.device import Device
from smallsight.engine.torch.memory_guard import reporting_memory
from smallsight.errors import BrokenCheckpointError

LENGTH_STEP = 64  # prompts in a batch differ by less: little of it is padding
POSITION_OFFSET = 2  # BART has two unused rows before its learned positions


@dataclass(frozen=True, eq=False)
class CrossMemory:
    """The cross-attention keys and values of prompts, and which of their tokens exist.

    ``layers`` holds for each layer [2, prompts, heads, tokens, head]; ``exists`` is bool
    [prompts, 1, 1, tokens].
    """

    layers: tuple[torch.Tensor, ...]
    exists: torch.Tensor

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


class BeamDecoder:
    """The text part of a loaded Florence-2. Used by one thread at a time."""

    def __init__(
        self,
        network: Any,  # noqa: ANN401 - transformers' modules have no useful types
        device: Device,
        most_prompts: int,
    ) -> None:
        """Take transformers' whole network; a batch holds up to ``most_prompts``."""
        text = network.model.language_model
        self._encoder, self._decoder = text.encoder, text.decoder
        self._table, self._head = text.shared, network.lm_head
        self._device, self._dtype = device, self._table.weight.dtype
        self._num_heads = text.config.decoder_attention_heads
        self._most_prompts = most_prompts
        self._past: list[torch.Tensor] = []
        # Each search ranks a whole vocabulary, which takes time on one core when there are 64 of them.
        self._several = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="smallsight-beams")

    def batch_key(self, num_tokens: int) -> int:
        """Return the number of tokens, rounded up to a multiple of ``LENGTH_STEP``."""
        return -(-num_tokens // LENGTH_STEP) * LENGTH_STEP

    def most_at_once(self, _num_beams: int) -> int:
        """Return how many prompts a batch may hold."""
        return self._most_prompts

    @torch.inference_mode()
    def encode(
        self, token_ids: Sequence[int], image_token_id: int, features_TD: NDArray[np.float32]
    ) -> CrossMemory:
        """Encode one prompt; ``features_TD`` replace its image tokens, in order."""
        with reporting_memory(self._device, "encoding a prompt"):
            return self._encode(token_ids, image_token_id, features_TD)

    def _encode(
        self, token_ids: Sequence[int], image_token_id: int, features_TD: NDArray[np.float32]
    ) -> CrossMemory:
        ids = torch.tensor(token_ids, device=self._device.name)
        is_image = ids == image_token_id
        embedded_TD = self._table(torch.where(is_image, 0, ids))
        embedded_TD[is_image] = torch.from_numpy(features_TD).to(self._device.name, self._dtype)
        hidden_BTD = self._encoder(inputs_embeds=embedded_TD[None]).last_hidden_state
        layers = tuple(
            torch.stack([self._heads(projection(hidden_BTD)) for projection in (cross.k_proj, cross.v_proj)])
            for cross in (layer.encoder_attn for layer in self._decoder.layers)
        )
        exists = torch.ones((1, 1, 1, len(token_ids)), dtype=torch.bool, device=self._device.name)
        return CrossMemory(layers, exists)

    @torch.inference_mode()
    def search(
        self,
        prompts: Sequence[CrossMemory],
        searches: Sequence[TokenSearch],
        on_step: Callable[[], Sequence[bool]] | None = None,
    ) -> None:
        """Run until every search is done. Prompts share one batch key, searches one number of beams.

        ``on_step`` is called after each step and returns which searches to abandon.
        """
        try:
            with reporting_memory(self._device, f"answering {len(prompts)} questions at once"):
                self._search(prompts, searches, on_step)
        finally:
            self._past = []

    def _search(
        self,
        prompts: Sequence[CrossMemory],
        searches: Sequence[TokenSearch],
        on_step: Callable[[], Sequence[bool]] | None,
    ) -> None:
        active = list(range(len(searches)))
        beams = len(searches[0].next_tokens)
        memory = CrossMemory.of(prompts)
        parents = list(range(beams * len(active)))
        position = 0
        while active:
            tokens = [token for index in active for token in searches[index].next_tokens]
            logits_RV = self._step(tokens, position, parents, memory)
            rows_of_each = np.split(logits_RV, len(active))
            own = list(self._several.map(_advance, [searches[index] for index in active], rows_of_each))
            abandoned = on_step() if on_step is not None else [False] * len(searches)
            kept = [
                row for row, index in enumerate(active) if not (searches[index].is_done or abandoned[index])
            ]
            parents = [row * beams + parent for row in kept for parent in own[row]]
            if kept and len(kept) < len(active):
                memory = memory.only(kept)
            active = [active[row] for row in kept]
            position += 1

    def _step(
        self, tokens: Sequence[int], position: int, parents: Sequence[int], memory: CrossMemory
    ) -> NDArray[np.float32]:
        """Return logits, float32 [beams of all prompts, vocabulary].

        Raises BrokenCheckpointError for values that are not finite.
        """
        hidden_RD = self._table(torch.tensor(tokens, device=self._device.name))
        hidden_RD = hidden_RD + self._decoder.embed_positions.weight[position + POSITION_OFFSET]
        hidden_R1D = self._decoder.layernorm_embedding(hidden_RD)[:, None]
        rows = torch.tensor(parents, device=self._device.name)
        for index, layer in enumerate(self._decoder.layers):
            hidden_R1D = self._attend_to_past(index, layer, hidden_R1D, rows)
            hidden_R1D = self._attend_to_prompt(layer, hidden_R1D, memory.layers[index], memory.exists)
            widened = layer.activation_fn(layer.fc1(hidden_R1D))
            hidden_R1D = layer.final_layer_norm(hidden_R1D + layer.fc2(widened))
        logits_RV: NDArray[np.float32] = self._head(hidden_R1D[:, 0]).float().cpu().numpy()
        if not np.isfinite(logits_RV.max()):
            raise BrokenCheckpointError(
                "The model computed values that are not finite.",
                hint="fetch its files again, or choose another precision.",
            )
        return logits_RV

    def _attend_to_past(
        self,
        index: int,
        layer: Any,  # noqa: ANN401 - transformers' modules have no useful types
        hidden_R1D: torch.Tensor,
        parents: torch.Tensor,
    ) -> torch.Tensor:
        """Attend to the tokens of each row's parent, and to its new one."""
        own = layer.self_attn
        query, key, value = (
            self._heads(projection(hidden_R1D)) for projection in (own.q_proj, own.k_proj, own.v_proj)
        )
        past = torch.stack([key, value])
        if index < len(self._past):
            past = torch.cat([self._past[index][:, parents], past], 3)
            self._past[index] = past
        else:  # the first token of the answers
            self._past.append(past)
        attended = _joined(scaled_dot_product_attention(query, past[0], past[1]))
        added: torch.Tensor = layer.self_attn_layer_norm(hidden_R1D + own.out_proj(attended))
        return added

    def _attend_to_prompt(
        self,
        layer: Any,  # noqa: ANN401 - transformers' modules have no useful types
        hidden_R1D: torch.Tensor,
        memory: torch.Tensor,
        exists: torch.Tensor,
    ) -> torch.Tensor:
        """Attend to each prompt's encoded tokens, with its beams as queries."""
        cross, prompts = layer.encoder_attn, len(exists)
        query = self._heads(cross.q_proj(hidden_R1D).reshape(prompts, -1, hidden_R1D.shape[2]))
        attended = scaled_dot_product_attention(query, memory[0], memory[1], attn_mask=exists)
        projected = cross.out_proj(_joined(attended).reshape(hidden_R1D.shape))
        added: torch.Tensor = layer.encoder_attn_layer_norm(hidden_R1D + projected)
        return added

    def _heads(self, values_BTD: torch.Tensor) -> torch.Tensor:
        """Split the last axis by heads: [batch, heads, tokens, head]."""
        return values_BTD.reshape(*values_BTD.shape[:2], self._num_heads, -1).transpose(1, 2)


def _advance(search: TokenSearch, logits_KV: NDArray[np.float32]) -> tuple[int, ...]:
    return search.advance(logits_KV)


def _joined(heads_BHTd: torch.Tensor) -> torch.Tensor:
    """Join the heads again: [batch, tokens, hidden]."""
    return heads_BHTd.transpose(1, 2).flatten(2)
