"""Runs an encoder-decoder with beam search: prompts in OpenVINO, tokens in smallsight-kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.finite_logits import require_finite
from smallsight.engine.decoding.runner import TokenSearch
from smallsight.engine.engine import LoadRequest
from smallsight.engine.native.beam_tables import BeamTables
from smallsight.engine.native.native_cache import (
    BLOCK_TOKENS,
    NativeCache,
    blocks_for,
    key_blocks,
    value_blocks,
)
from smallsight.engine.native.native_runner import MAX_PIECES, bind_decoder, may_compute
from smallsight.engine.openvino.prompt_encoder import PromptEncoder
from smallsight.families.step_decoder import DecoderSizes, StepDecoder
from smallsight.machine.cores import usable_cores


@dataclass(frozen=True, eq=False)
class EncodedMemory:
    """A prompt's keys and values in the cache's order, bits of [layers, 2, heads, blocks, 32 * head]."""

    values: NDArray[np.uint16]
    num_tokens: int


class NativeSearchDecoder:
    """Implements ``decoding.runner.EncoderDecoder``. Used by one thread at a time.

    Every beam is computed independently of others, with the same bits in any batch.
    """

    def __init__(
        self,
        decoder: Any,  # noqa: ANN401 - the extension's
        cache: NativeCache,
        encoder: PromptEncoder,
        sizes: DecoderSizes,
        positions_TD: NDArray[np.float32],
    ) -> None:
        """Use the extension's decoder, bound to the cache."""
        self._decoder = decoder
        self._cache = cache
        self._encoder = encoder
        self._positions_TD = positions_TD
        self._logits_RV = np.empty((MAX_PIECES, sizes.vocabulary), np.float32)
        self._hidden_RD = np.empty((MAX_PIECES, sizes.hidden), np.float32)

    def batch_key(self, num_tokens: int) -> int:  # noqa: ARG002 - prompts of any length are answered together
        """Return the same key for every prompt."""
        return 0

    def most_at_once(self, num_beams: int) -> int:
        """Return how many prompts' beams fit in one call."""
        return max(1, MAX_PIECES // num_beams)

    def encode(
        self, token_ids: Sequence[int], image_token_id: int, features_TD: NDArray[np.float32]
    ) -> EncodedMemory:
        """Encode one prompt; ``features_TD`` replace its image tokens, in order."""
        outputs = self._encoder.encode(token_ids, image_token_id, features_TD)
        missing = ((0, 0), (0, -len(token_ids) % BLOCK_TOKENS), (0, 0))
        sides = []
        for keys, values in zip(outputs[::2], outputs[1::2], strict=True):
            by_token = np.pad(keys[0].transpose(0, 2, 1), missing), np.pad(values[0], missing)
            sides.append((key_blocks(by_token[0]), value_blocks(by_token[1])))
        return EncodedMemory(np.array(sides, np.uint16), len(token_ids))

    def search(
        self,
        prompts: Sequence[EncodedMemory],
        searches: Sequence[TokenSearch],
        on_step: Callable[[], Sequence[bool]] | None = None,
    ) -> None:
        """Run until every search is done; the searches share one number of beams.

        ``on_step`` is called after each step and returns which searches to abandon.
        """
        active = list(range(len(searches)))
        beams = len(searches[0].next_tokens)
        tables = BeamTables(self._cache, beams * len(active))
        position = 0
        while active:
            tables.make_room(position)
            tokens = [token for i in active for token in searches[i].next_tokens]
            memories = [prompts[i] for i in active for _ in range(beams)]
            logits_RV = self._step(tokens, position, tables, memories)
            own = {
                i: searches[i].advance(logits_RV[k * beams : (k + 1) * beams]) for k, i in enumerate(active)
            }
            abandoned = on_step() if on_step is not None else [False] * len(searches)
            first_row = {i: k * beams for k, i in enumerate(active)}
            active = [i for i in active if not searches[i].is_done and not abandoned[i]]
            tables.follow([first_row[i] + parent for i in active for parent in own[i]])
            position += 1

    def _step(
        self, tokens: Sequence[int], position: int, tables: BeamTables, memories: Sequence[EncodedMemory]
    ) -> NDArray[np.float32]:
        """Return logits, float32 [beams of all prompts, vocabulary], valid until the next step.

        Raises BrokenCheckpointError for values that are not finite.
        """
        embedded_RD = self._encoder.embeddings.rows(np.array(tokens, np.int64)) + self._positions_TD[position]
        blocks = blocks_for(position + 1)
        pieces = [(1, position, 0, row * blocks, 1) for row in range(len(tokens))]
        self._decoder.run(
            embedded_RD,
            np.array(pieces, np.int32),
            np.concatenate(tables.tables).astype(np.int32),
            self._logits_RV,
            self._hidden_RD,
            [(memory.values, memory.num_tokens) for memory in memories],
        )
        logits_RV = self._logits_RV[: len(tokens)]
        require_finite(logits_RV)
        return logits_RV


def native_search_decoder(
    model: StepDecoder, positions_TD: NDArray[np.float32], encoder: PromptEncoder, request: LoadRequest
) -> NativeSearchDecoder | None:
    """Return a decoder that computes tokens with the extension, or None with a line in the log about why not.

    Raises OutOfResourcesError.
    """
    if not may_compute(model, request):
        return None
    sizes = model.sizes
    most_blocks = MAX_PIECES * blocks_for(sizes.context_tokens) + 1  # one more while a shared block is copied
    block_bytes = 4 * sizes.layers * sizes.heads * BLOCK_TOKENS * sizes.head_dim
    cache = NativeCache(sizes, num_bytes=most_blocks * block_bytes)
    decoder = bind_decoder(model, cache.layers(), request.threads or usable_cores())
    return NativeSearchDecoder(decoder, cache, encoder, sizes, positions_TD)
