"""Runs transformers' Florence-2 with beam search, for several prompts at once.

The layers are transformers' own, called one step at a time: keys and values for cross-attention are computed
once per prompt and shared by its beams, which transformers' ``generate`` copies for each beam. All answers
start with the same token, so a batch is always at one position; prompts whose answer is finished leave it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smallsight.engine.decoding.finite_logits import require_finite
from smallsight.engine.decoding.runner import TokenSearch
from smallsight.engine.torch.device import Device
from smallsight.engine.torch.florence2_compiled import CompiledBeams
from smallsight.engine.torch.florence2_layers import BeamLayers, CrossMemory, GrowingPast
from smallsight.engine.torch.memory_guard import reporting_memory

LENGTH_STEP = 64  # prompts in a batch differ by less: little of it is padding


class Beams(Protocol):
    """The beams of several prompts while their answers are searched."""

    def step(self, tokens: Sequence[int], position: int, parents: Sequence[int]) -> Tensor:
        """Return logits [rows, vocabulary] of one token of each row.

        A row continues the row of the step before that ``parents`` says.
        """
        ...

    def keep(self, kept: Sequence[int]) -> None:
        """Drop all prompts but some, by index; called between two steps."""
        ...


class BeamDecoder:
    """The text part of a loaded Florence-2. Used by one thread at a time."""

    def __init__(
        self,
        network: Any,  # noqa: ANN401 - transformers' modules have no useful types
        device: Device,
        most_prompts: int,
        compiled: CompiledBeams | None = None,
    ) -> None:
        """Take transformers' whole network; a batch holds up to ``most_prompts``.

        ``compiled`` searches with the number of beams that it was compiled for.
        """
        text = network.model.language_model
        self._encoder, self._table = text.encoder, text.shared
        self._layers, self._compiled = BeamLayers(network), compiled
        self._device, self._dtype = device, self._table.weight.dtype
        self._most_prompts = most_prompts
        # Each search ranks a whole vocabulary, which takes time on one core when there are 64 of them.
        self._several = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="smallsight-beams")

    def batch_key(self, num_tokens: int) -> int:
        """Return the number of tokens, rounded up to a multiple of ``LENGTH_STEP``."""
        return -(-num_tokens // LENGTH_STEP) * LENGTH_STEP

    def most_at_once(self, num_beams: int) -> int:
        """Return how many prompts a batch may hold."""
        if self._compiled is not None and num_beams == self._compiled.num_beams:
            return self._compiled.most_prompts
        return self._most_prompts

    @torch.inference_mode()
    def encode(
        self, token_ids: Sequence[int], image_token_id: int, features_TD: NDArray[np.float32]
    ) -> CrossMemory:
        """Encode one prompt; ``features_TD`` replace its image tokens, in order."""
        with reporting_memory(self._device, "encoding a prompt"):
            ids = torch.tensor(token_ids, device=self._device.name)
            is_image = ids == image_token_id
            embedded_TD = self._table(torch.where(is_image, 0, ids))
            embedded_TD[is_image] = torch.from_numpy(features_TD).to(self._device.name, self._dtype)
            hidden_BTD = self._encoder(inputs_embeds=embedded_TD[None]).last_hidden_state
            exists = torch.ones((1, 1, 1, len(token_ids)), dtype=torch.bool, device=self._device.name)
            return CrossMemory(self._layers.encode(hidden_BTD), exists)

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
        with reporting_memory(self._device, f"answering {len(prompts)} questions at once"):
            num_beams, memory = len(searches[0].next_tokens), CrossMemory.of(prompts)
            if self._compiled is not None and num_beams == self._compiled.num_beams:
                self._search(self._compiled.begin(memory), searches, on_step)
            else:
                self._search(PlainBeams(self._layers, memory), searches, on_step)

    def _search(
        self,
        beams: Beams,
        searches: Sequence[TokenSearch],
        on_step: Callable[[], Sequence[bool]] | None,
    ) -> None:
        active = list(range(len(searches)))
        num_beams = len(searches[0].next_tokens)
        parents = list(range(num_beams * len(active)))
        position = 0
        while active:
            tokens = [token for index in active for token in searches[index].next_tokens]
            logits_RV = _finite(beams.step(tokens, position, parents))
            rows_of_each = np.split(logits_RV, len(active))
            own = list(self._several.map(_advance, [searches[index] for index in active], rows_of_each))
            abandoned = on_step() if on_step is not None else [False] * len(searches)
            kept = [
                row for row, index in enumerate(active) if not (searches[index].is_done or abandoned[index])
            ]
            parents = [row * num_beams + parent for row in kept for parent in own[row]]
            if kept and len(kept) < len(active):
                beams.keep(kept)
            active = [active[row] for row in kept]
            position += 1


class PlainBeams:
    """Implements ``Beams`` with tensors that grow."""

    def __init__(self, layers: BeamLayers, memory: CrossMemory) -> None:
        self._layers, self._memory = layers, memory
        self._past = GrowingPast()

    def step(self, tokens: Sequence[int], position: int, parents: Sequence[int]) -> Tensor:
        """Return logits [rows, vocabulary] of one token of each row."""
        device = self._memory.exists.device
        tokens_R, position_1, parents_R = (
            torch.tensor(one, device=device) for one in (tokens, [position], parents)
        )
        self._past.begin(parents_R)
        return self._layers.logits(tokens_R, position_1, self._memory, self._past)

    def keep(self, kept: Sequence[int]) -> None:
        """Drop all prompts but some, by index."""
        self._memory = self._memory.only(kept)


def _finite(logits_RV: Tensor) -> NDArray[np.float32]:
    """Return logits on the CPU; raises BrokenCheckpointError for values that are not finite."""
    found_RV: NDArray[np.float32] = logits_RV.float().cpu().numpy()
    require_finite(found_RV)
    return found_RV


def _advance(search: TokenSearch, logits_KV: NDArray[np.float32]) -> tuple[int, ...]:
    return search.advance(logits_KV)
