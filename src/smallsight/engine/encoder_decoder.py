"""Runs an encoder-decoder: pictures and prompts to memory, memory to answers, several prompts at once.

Answers all begin at the same token, so that a batch is always at one place; prompts whose answer is finished
leave it. Memory is padded to a multiple of ``MEMORY_STEP`` tokens: an answer is the same in any company.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.beam_search import BeamSearch
from smallsight.families.checkpoint import RowTable
from smallsight.graph.compiled import CompiledNetwork

MEMORY_STEP = 64
HIDDEN_SCORE = np.float32(-np.inf)


@dataclass(frozen=True, eq=False)
class Memory:
    """What the decoder looks at for one prompt: ``layers`` float32 [1, heads, padded tokens, head], keys and
    values by turns, and how many of the tokens are real.
    """

    layers: tuple[NDArray[np.float32], ...]
    num_tokens: int


class EncoderDecoder:
    """Compiled encoder and decoder with their requests. Used by one thread at a time."""

    def __init__(self, encoder: CompiledNetwork, decoder: CompiledNetwork, embeddings: RowTable) -> None:
        self._networks = (encoder, decoder)
        self._encoder = encoder.model.create_infer_request()
        self._decoder = decoder.model.create_infer_request()
        self._embeddings = embeddings

    def remember(
        self, token_ids: Sequence[int], image_token_id: int, features_TD: NDArray[np.float32]
    ) -> Memory:
        """Encode one prompt; ``features_TD`` take the places of image tokens, in order."""
        ids = np.array(token_ids, np.int64)
        is_image = ids == image_token_id
        embedded_TD = self._embeddings.rows(np.where(is_image, 0, ids))
        embedded_TD[is_image] = features_TD
        self._encoder.infer({"embeddings": embedded_TD[None], "positions": np.arange(len(ids))})
        missing = -len(ids) % MEMORY_STEP
        layers = tuple(
            np.pad(self._encoder.get_output_tensor(i).data, ((0, 0), (0, 0), (0, missing), (0, 0)))
            for i in range(len(self._networks[0].model.outputs))
        )
        return Memory(layers, len(ids))

    def search(
        self,
        memories: Sequence[Memory],
        searches: Sequence[BeamSearch],
        on_step: Callable[[], Sequence[bool]] | None = None,
    ) -> None:
        """Go on until every search is done. Memories have one padded length, searches one number of beams.

        ``on_step`` is asked after each step which of the searches to give up.
        """
        active = list(range(len(searches)))
        shown = self._shown(memories)
        self._decoder.reset_state()
        beams = len(searches[0].next_tokens)
        parents = np.arange(beams * len(active), dtype=np.int32)
        position = 0
        while active:
            tokens = np.array([token for i in active for token in searches[i].next_tokens], np.int64)
            embedded = self._embeddings.rows(tokens)[:, None]
            inputs = {"embeddings": embedded, "position": np.array([position]), "parents": parents}
            logits_BV: NDArray[np.float32] = next(iter(self._decoder.infer({**inputs, **shown}).values()))
            own = [searches[i].advance(logits_BV[k * beams : (k + 1) * beams]) for k, i in enumerate(active)]
            given_up = on_step() if on_step is not None else [False] * len(searches)
            kept = [k for k, i in enumerate(active) if not searches[i].is_done and not given_up[i]]
            parents = np.array([k * beams + parent for k in kept for parent in own[k]], np.int32)
            if len(kept) < len(active):
                shown = {name: values[kept] for name, values in shown.items()}
                active = [active[k] for k in kept]
            position += 1

    def _shown(self, memories: Sequence[Memory]) -> dict[str, NDArray[np.float32]]:
        """Put the memories of a batch side by side under the names of the decoder's inputs."""
        padded = memories[0].layers[0].shape[2]
        places = np.arange(padded)
        hidden = [np.where(places < memory.num_tokens, np.float32(0), HIDDEN_SCORE) for memory in memories]
        shown = {"memory_scores": np.stack(hidden)[:, None, None].astype(np.float32)}
        for index in range(len(memories[0].layers)):
            name = f"{('key', 'value')[index % 2]}.{index // 2}"
            shown[name] = np.concatenate([memory.layers[index] for memory in memories])
        return shown
