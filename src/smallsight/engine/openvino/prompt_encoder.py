"""Runs the compiled encoder of an encoder-decoder for one prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from smallsight.families.tensor_files import RowTable
from smallsight.graph.compiled import CompiledNetwork


class PromptEncoder:
    """An inference request for a compiled encoder. Used by one thread at a time."""

    def __init__(self, network: CompiledNetwork, embeddings: RowTable) -> None:
        self._network = network
        self._request = network.model.create_infer_request()
        self.embeddings = embeddings

    def encode(
        self, token_ids: Sequence[int], image_token_id: int, features_TD: NDArray[np.float32]
    ) -> list[NDArray[Any]]:
        """Return keys [1, heads, head, tokens] and values [1, heads, tokens, head] of each decoder layer.

        They take turns, are float32, or bfloat16 bits as uint16, and valid until the next prompt.
        ``features_TD`` replace the prompt's image tokens, in order.
        """
        ids = np.array(token_ids, np.int64)
        is_image = ids == image_token_id
        embedded_TD = self.embeddings.rows(np.where(is_image, 0, ids))
        embedded_TD[is_image] = features_TD
        self._request.infer({"embeddings": embedded_TD[None], "positions": np.arange(len(ids))})
        outputs = range(len(self._network.model.outputs))
        return [_bits(self._request.get_output_tensor(index)) for index in outputs]


def _bits(tensor: ov.Tensor) -> NDArray[Any]:
    """Return a tensor's data, bfloat16 as uint16: NumPy would read it as float16."""
    data: NDArray[Any] = tensor.data
    return data.view(np.uint16) if tensor.element_type == ov.Type.bf16 else data
