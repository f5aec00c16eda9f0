"""Runs moondream2's compiled networks besides the decoder: tower, connector and number decoders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.region_head import NumberDecoder
from smallsight.graph.compiled import CompiledNetwork


class CompiledCropNetworks:
    """Inference requests for the compiled tower and connector. Used by one thread at a time."""

    def __init__(self, tower: CompiledNetwork, connector: CompiledNetwork) -> None:
        self._networks = tower, connector  # a request does not keep its weights alive
        self._tower, self._connector = (one.model.create_infer_request() for one in self._networks)

    def encode_crops(self, patches_NPC: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the features of crops, float32 [crops, patches, vision hidden]."""
        self._tower.infer([patches_NPC])
        features_NPD: NDArray[np.float32] = self._tower.get_output_tensor(0).data.copy()
        return features_NPD

    def connect(self, whole_PD: NDArray[np.float32], stitched_PD: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return image tokens, float32 [patches, text hidden]."""
        self._connector.infer({"whole": whole_PD, "stitched": stitched_PD})
        tokens_TD: NDArray[np.float32] = self._connector.get_output_tensor(0).data.copy()
        return tokens_TD


def compiled_number_decoder(network: CompiledNetwork) -> NumberDecoder:
    """Return a function that runs a compiled number decoder; it keeps the network."""
    request = network.model.create_infer_request()

    def decode(hidden_1D: NDArray[np.float32]) -> NDArray[np.float32]:
        request.infer([hidden_1D])
        scores: NDArray[np.float32] = request.get_output_tensor(0).data
        return scores

    return decode
