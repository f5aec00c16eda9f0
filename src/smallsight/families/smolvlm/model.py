"""An opened SmolVLM checkpoint: what an engine needs to run it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from smallsight.catalog.checkpoint import find_weight_files
from smallsight.families.siglip_tower import SigLIPSizes, SigLIPTower
from smallsight.families.smolvlm.config import MODEL_TYPES, read_config
from smallsight.families.smolvlm.processor import SmolVLMProcessor
from smallsight.families.smolvlm.stored import STORED_VERSION, store_text, store_vision
from smallsight.families.smolvlm.text_graph import build_text_graph
from smallsight.families.smolvlm.vision_graph import build_vision_graph
from smallsight.families.smolvlm.weights import SmolVLMWeights
from smallsight.families.step_decoder import StepDecoder, llama_decoder
from smallsight.families.tensor_files import RowTable
from smallsight.quant.forms import Stored, dense
from smallsight.quant.scheme import SCHEMES, Module, Scheme


class SmolVLMModel:
    """Processor, weights and networks of a folder in Hugging Face layout.

    A family that resembles SmolVLM subclasses it and overrides what differs. Raises BrokenCheckpointError
    for weights that do not match config.json.
    """

    stored_version = STORED_VERSION
    decoder_names: tuple[str, ...] = ("text.", "head.")
    model_types = MODEL_TYPES

    def __init__(self, model_dir: Path, scheme: Scheme, tiled_bytes: int) -> None:
        self.config = read_config(model_dir, self.model_types)
        self.processor = SmolVLMProcessor.load(model_dir, config=self.config, tiled_bytes=tiled_bytes)
        self.weight_files = find_weight_files(model_dir)
        self.identity = repr(self.config)
        self.context_tokens = self.config.text.context_tokens
        self._scheme = scheme
        self._file_config = self.config  # which has all layers, also where the model is shortened
        self._weights = self._fresh_weights()

    def store(self) -> Iterator[tuple[str, Stored]]:
        """Yield every weight in its stored form, by name, reading the checkpoint lazily."""
        yield from self.store_tower(self._scheme)
        yield from store_text(self._fresh_weights(), self.config, self._scheme)

    def store_tower(self, scheme: Scheme) -> Iterator[tuple[str, Stored]]:
        """Yield the vision tower's and the connector's weights in a scheme's form, by name."""
        yield from store_vision(self._fresh_weights(), self.config, scheme)

    def _fresh_weights(self) -> SmolVLMWeights:
        return SmolVLMWeights(self.weight_files, self._file_config)

    def embeddings(self) -> RowTable:
        """Return the token embedding table, memory-mapped from its file."""
        return self._weights.map_embeddings()

    def to_patches(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vision network's input for one tile, float32 [1, patches, 3 * patch_px**2]."""
        return self.processor.to_patches(pixels_HWC, self.config.vision.patch_px)

    def shortened(self, layers: int, outputs: int) -> Self:
        """Return the same model with its first layers and outputs only, to compute a part of it."""
        short, config = copy(self), self.config
        short.config = replace(
            config,
            text=replace(config.text, layers=layers, vocabulary=outputs),
            vision=replace(config.vision, layers=layers),
        )
        return short

    def vision_graph(self, stored: Mapping[str, Stored]) -> ov.Model:
        """Build the network from a tile's patches to its image tokens."""
        return build_vision_graph(self.config, stored)

    def text_graph(self, stored: Mapping[str, Stored]) -> ov.Model:
        """Build the decoder."""
        return build_text_graph(self.config, stored)

    def step_decoder(self, stored: Mapping[str, Stored]) -> StepDecoder:
        """Return the decoder's sizes and weights."""
        return llama_decoder(self.config.text, stored)

    def siglip_tower(self, stored: Mapping[str, Stored]) -> SigLIPTower:
        """Return the vision tower's sizes and weights."""
        vision = self.config.vision
        sizes = SigLIPSizes(
            layers=vision.layers,
            hidden=vision.hidden,
            heads=vision.heads,
            ffn=vision.ffn,
            patches=vision.patches_per_side**2,
            patch_width=3 * vision.patch_px**2,
            norm_epsilon=vision.norm_epsilon,
            pixel_shuffle=self.config.pixel_shuffle,
        )
        is_chosen = Module.VISION in self._scheme.chosen
        return SigLIPTower(sizes, stored, None if is_chosen else self._read_vision_matrices)

    def _read_vision_matrices(self) -> Iterator[tuple[int, str, NDArray[np.float32]]]:
        for name, weight in self.store_tower(SCHEMES["fp32"]):
            module, _, rest = name.partition(".layers.")
            layer, _, matrix = rest.removesuffix(".weight").partition(".")
            if module == Module.VISION and matrix in SigLIPTower.MATRICES:
                yield int(layer), matrix, dense(weight)
