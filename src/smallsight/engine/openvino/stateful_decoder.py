"""Runs an encoder-decoder with beam search, for several prompts at once.

All answers start with the same token, so a batch is always at one position; prompts whose answer is finished
leave the batch. Encoded prompts are padded to a multiple of ``MEMORY_STEP`` tokens, so that an answer does
not depend on the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from smallsight.engine.decoding.finite_logits import require_finite
from smallsight.engine.decoding.runner import TokenSearch
from smallsight.engine.openvino.prompt_encoder import PromptEncoder
from smallsight.graph.compiled import CompiledNetwork
from smallsight.policy.row_bands import RowBands

MEMORY_STEP = 64
MOST_AT_ONCE = 8  # a batch copies its encoded prompts together: 190 MB for Florence-2-base
HIDDEN_SCORE = np.float32(-np.inf)


@dataclass(frozen=True, eq=False)
class EncodedPrompt:
    """The cross-attention keys and values of one prompt, and its number of tokens without padding.

    ``layers`` alternates keys [1, heads, head, padded tokens] and values [1, heads, padded tokens, head],
    float32, or bfloat16 bits as uint16.
    """

    layers: tuple[NDArray[np.float32] | NDArray[np.uint16], ...]
    num_tokens: int

    @property
    def padded_tokens(self) -> int:
        """The number of tokens including padding."""
        return int(self.layers[0].shape[3])


class StatefulDecoder:
    """An encoder and an inference request for a compiled decoder. Used by one thread at a time."""

    def __init__(self, encoder: PromptEncoder, decoder: CompiledNetwork, row_bands: RowBands) -> None:
        """``row_bands`` are the decoder's; its rows are the beams of all prompts in a batch."""
        self._row_bands = row_bands
        self._encoder = encoder
        self._network = decoder
        self._decoder = decoder.model.create_infer_request()
        self._memory: Mapping[str, NDArray[Any]] = {}

    def batch_key(self, num_tokens: int) -> int:
        """Return the length in tokens that a prompt is padded to."""
        return -(-num_tokens // MEMORY_STEP) * MEMORY_STEP

    def most_at_once(self, num_beams: int) -> int:
        """Return how many prompts a batch may hold so that all beams stay in the row band of one prompt."""
        _, end = self._row_bands.around(num_beams)
        return MOST_AT_ONCE if end is None else max(1, min(MOST_AT_ONCE, (end - 1) // num_beams))

    def encode(
        self, token_ids: Sequence[int], image_token_id: int, features_TD: NDArray[np.float32]
    ) -> EncodedPrompt:
        """Encode one prompt; ``features_TD`` replace its image tokens, in order."""
        missing = -len(token_ids) % MEMORY_STEP
        layers = []
        for index, output in enumerate(self._encoder.encode(token_ids, image_token_id, features_TD)):
            margins = [(0, 0)] * 4
            margins[2 if index % 2 else 3] = (0, missing)
            layers.append(np.pad(output, margins))
        return EncodedPrompt(tuple(layers), len(token_ids))

    def search(
        self,
        prompts: Sequence[EncodedPrompt],
        searches: Sequence[TokenSearch],
        on_step: Callable[[], Sequence[bool]] | None = None,
    ) -> None:
        """Run until every search is done. Prompts share one padded length, searches one number of beams.

        ``on_step`` is called after each step and returns which searches to abandon. If the decoder would have
        too few rows, the first prompt is computed several times.
        """
        active = list(range(len(searches)))
        beams = len(searches[0].next_tokens)
        computed = self._padded(active, beams)
        memory = _memory_inputs([prompts[i] for i in computed])
        self._set_memory(memory)
        self._decoder.reset_state()
        parents = np.arange(beams * len(computed), dtype=np.int32)
        position = 0
        while active:
            tokens = np.array([token for i in computed for token in searches[i].next_tokens], np.int64)
            logits_BV = self.step(tokens, position, parents)
            own = {
                i: searches[i].advance(logits_BV[k * beams : (k + 1) * beams]) for k, i in enumerate(active)
            }
            abandoned = on_step() if on_step is not None else [False] * len(searches)
            index_of = {i: k for k, i in enumerate(active)}
            active = [i for i in active if not searches[i].is_done and not abandoned[i]]
            before, computed = computed, self._padded(active, beams)
            parents = np.array(
                [index_of[i] * beams + parent for i in computed for parent in own[i]], np.int32
            )
            if computed != before and active:
                rows = [index_of[i] for i in computed]
                memory = {name: values[rows] for name, values in memory.items()}
                self._set_memory(memory)
            position += 1

    def _padded(self, active: Sequence[int], beams: int) -> list[int]:
        """Return the prompts to compute: the active ones, and the first again for each missing row."""
        missing = -(-self._row_bands.fewest_rows // beams) - len(active)
        return [*active, *[active[0]] * missing] if active and missing > 0 else list(active)

    def step(
        self, tokens: NDArray[np.int64], position: int, parents: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Return logits, float32 [beams of all prompts, vocabulary], valid until the next step.

        Raises BrokenCheckpointError for values that are not finite.
        """
        embedded = self._encoder.embeddings.rows(tokens)[:, None]
        self._decoder.infer({"embeddings": embedded, "position": np.array([position]), "parents": parents})
        logits_BV: NDArray[np.float32] = self._decoder.get_output_tensor(0).data
        require_finite(logits_BV)
        return logits_BV

    def _set_memory(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Set the encoded prompts as decoder inputs; they are reused by all steps of this batch."""
        self._memory = memory
        for name, values in memory.items() if memory["memory_scores"].size else ():
            is_narrow = values.dtype == np.uint16
            tensor = ov.Tensor(values, values.shape, ov.Type.bf16) if is_narrow else ov.Tensor(values, True)
            self._decoder.set_tensor(name, tensor)


def _memory_inputs(prompts: Sequence[EncodedPrompt]) -> dict[str, NDArray[Any]]:
    """Concatenate the encoded prompts of a batch, by decoder input."""
    positions = np.arange(prompts[0].padded_tokens)
    hidden = [np.where(positions < prompt.num_tokens, np.float32(0), HIDDEN_SCORE) for prompt in prompts]
    memory: dict[str, NDArray[Any]] = {"memory_scores": np.stack(hidden)[:, None, None].astype(np.float32)}
    for index in range(len(prompts[0].layers)):
        name = f"{('key', 'value')[index % 2]}.{index // 2}"
        memory[name] = np.concatenate([prompt.layers[index] for prompt in prompts])
    return memory
