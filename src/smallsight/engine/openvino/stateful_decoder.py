"""Runs an encoder-decoder: pictures and prompts to memory, memory to answers, several prompts at once.

Answers all begin at the same token, so that a batch is always at one place; prompts whose answer is finished
leave it. Encoded prompts are padded to a multiple of ``MEMORY_STEP`` tokens, so an answer does not depend on
its company.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from smallsight.engine.decoding.beam_search import BeamSearch
from smallsight.errors import BrokenCheckpointError
from smallsight.families.tensor_files import RowTable
from smallsight.graph.compiled import CompiledNetwork
from smallsight.policy.row_bands import RowBands

MEMORY_STEP = 64
MOST_AT_ONCE = 8  # encoded prompts of a batch are copied side by side: 190 MB for Florence-2-base
HIDDEN_SCORE = np.float32(-np.inf)


@dataclass(frozen=True, eq=False)
class EncodedPrompt:
    """What the decoder looks at for one prompt, and how many of its tokens are real.

    ``layers`` are keys [1, heads, head, padded tokens] and values [1, heads, padded tokens, head] by turns,
    float32, or the bits of bfloat16 as uint16.
    """

    layers: tuple[NDArray[np.float32] | NDArray[np.uint16], ...]
    num_tokens: int

    @property
    def padded_tokens(self) -> int:
        """How many tokens there is room for."""
        return int(self.layers[0].shape[3])


class StatefulDecoder:
    """Compiled encoder and decoder with their requests. Used by one thread at a time."""

    def __init__(
        self,
        encoder: CompiledNetwork,
        decoder: CompiledNetwork,
        embeddings: RowTable,
        row_bands: RowBands,
    ) -> None:
        """``row_bands`` are those of the decoder, whose rows are the beams of all prompts of a batch."""
        self._row_bands = row_bands
        self._networks = (encoder, decoder)
        self._encoder = encoder.model.create_infer_request()
        self._decoder = decoder.model.create_infer_request()
        self._embeddings = embeddings
        self._held: Mapping[str, NDArray[Any]] = {}

    def batch_key(self, num_tokens: int) -> int:
        """Return the length that a prompt's encoding is padded to."""
        return -(-num_tokens // MEMORY_STEP) * MEMORY_STEP

    def most_at_once(self, num_beams: int) -> int:
        """Return how many prompts a batch may hold: their beams stay in the band of one prompt's."""
        _, end = self._row_bands.around(num_beams)
        return MOST_AT_ONCE if end is None else max(1, min(MOST_AT_ONCE, (end - 1) // num_beams))

    def encode(
        self, token_ids: Sequence[int], image_token_id: int, features_TD: NDArray[np.float32]
    ) -> EncodedPrompt:
        """Encode one prompt; ``features_TD`` take the places of image tokens, in order."""
        ids = np.array(token_ids, np.int64)
        is_image = ids == image_token_id
        embedded_TD = self._embeddings.rows(np.where(is_image, 0, ids))
        embedded_TD[is_image] = features_TD
        self._encoder.infer({"embeddings": embedded_TD[None], "positions": np.arange(len(ids))})
        missing = -len(ids) % MEMORY_STEP
        layers = []
        for index in range(len(self._networks[0].model.outputs)):
            margins = [(0, 0)] * 4
            margins[2 if index % 2 else 3] = (0, missing)
            layers.append(np.pad(_bits(self._encoder.get_output_tensor(index)), margins))
        return EncodedPrompt(tuple(layers), len(ids))

    def search(
        self,
        prompts: Sequence[EncodedPrompt],
        searches: Sequence[BeamSearch],
        on_step: Callable[[], Sequence[bool]] | None = None,
    ) -> None:
        """Continue until every search is done. Prompts have one padded length, searches one number of beams.

        ``on_step`` is called after each step and says which of the searches to abandon. Where the decoder
        would have too few rows, the first prompt is computed several times.
        """
        active = list(range(len(searches)))
        beams = len(searches[0].next_tokens)
        computed = self._with_company(active, beams)
        shown = _shown([prompts[i] for i in computed])
        self._show(shown)
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
            place = {i: k for k, i in enumerate(active)}
            active = [i for i in active if not searches[i].is_done and not abandoned[i]]
            before, computed = computed, self._with_company(active, beams)
            parents = np.array([place[i] * beams + parent for i in computed for parent in own[i]], np.int32)
            if computed != before and active:
                rows = [place[i] for i in computed]
                shown = {name: values[rows] for name, values in shown.items()}
                self._show(shown)
            position += 1

    def _with_company(self, active: Sequence[int], beams: int) -> list[int]:
        """Return the prompts to compute: the active ones, then the first again for rows that are missing."""
        missing = -(-self._row_bands.fewest_rows // beams) - len(active)
        return [*active, *[active[0]] * missing] if active and missing > 0 else list(active)

    def step(
        self, tokens: NDArray[np.int64], position: int, parents: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Return logits, float32 [beams of all prompts, vocabulary]; the next step overwrites them."""
        embedded = self._embeddings.rows(tokens)[:, None]
        self._decoder.infer({"embeddings": embedded, "position": np.array([position]), "parents": parents})
        logits_BV: NDArray[np.float32] = self._decoder.get_output_tensor(0).data
        if not np.isfinite(logits_BV.max()):
            raise BrokenCheckpointError(
                "The model computed values that are not numbers.",
                hint="fetch its files again, or choose another precision.",
            )
        return logits_BV

    def _show(self, shown: Mapping[str, NDArray[Any]]) -> None:
        """Hand the memories to the decoder once, where they stay for all steps of this batch."""
        self._held = shown
        for name, values in shown.items() if shown["memory_scores"].size else ():
            is_narrow = values.dtype == np.uint16
            tensor = ov.Tensor(values, values.shape, ov.Type.bf16) if is_narrow else ov.Tensor(values, True)
            self._decoder.set_tensor(name, tensor)


def _shown(prompts: Sequence[EncodedPrompt]) -> dict[str, NDArray[Any]]:
    """Put the memories of a batch side by side under the names of the decoder's inputs."""
    places = np.arange(prompts[0].padded_tokens)
    hidden = [np.where(places < prompt.num_tokens, np.float32(0), HIDDEN_SCORE) for prompt in prompts]
    shown: dict[str, NDArray[Any]] = {"memory_scores": np.stack(hidden)[:, None, None].astype(np.float32)}
    for index in range(len(prompts[0].layers)):
        name = f"{('key', 'value')[index % 2]}.{index // 2}"
        shown[name] = np.concatenate([prompt.layers[index] for prompt in prompts])
    return shown


def _bits(tensor: ov.Tensor) -> NDArray[Any]:
    """Return a tensor's numbers, bfloat16 as uint16: NumPy would take them for float16."""
    data: NDArray[Any] = tensor.data
    return data.view(np.uint16) if tensor.element_type == ov.Type.bf16 else data
