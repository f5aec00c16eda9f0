"""An opened Florence-2 checkpoint: what an engine needs to run it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from smallsight.catalog.checkpoint import find_weight_files
from smallsight.families.florence2.generation_defaults import read_generation_defaults
from smallsight.families.florence2.processor import Florence2Processor
from smallsight.families.florence2.step_decoder import decoder_positions, step_decoder
from smallsight.families.florence2.stored import STORED_VERSION, adapted, store_text, store_vision
from smallsight.families.florence2.text_graphs import build_decoder_graph, build_encoder_graph
from smallsight.families.florence2.vision_graph import build_vision_graph
from smallsight.families.florence2.weights import Florence2Weights
from smallsight.families.step_decoder import StepDecoder
from smallsight.families.tensor_files import RowTable
from smallsight.quant.forms import Stored
from smallsight.quant.scheme import Scheme


class Florence2Model:
    """Processor, weights and networks of a folder in Hugging Face layout, with either set of tensor names.

    Raises BrokenCheckpointError for weights that do not match config.json.
    """

    stored_version = STORED_VERSION
    decoder_names = ("decoder.", "head.")

    def __init__(self, model_dir: Path, scheme: Scheme) -> None:
        self.processor = Florence2Processor(model_dir)
        self.config = self.processor.config
        self.scheme = adapted(scheme)
        self.defaults = read_generation_defaults(model_dir)
        self.weight_files = find_weight_files(model_dir)
        self.identity = f"{self.config!r} {self.processor.image_px}"
        self._sizes = self.config.sizes(self.processor.image_px)
        self._weights = Florence2Weights(self.weight_files, self._sizes)

    def store(self) -> Iterator[tuple[str, Stored]]:
        """Yield every weight in its stored form, by name, reading the checkpoint lazily."""
        fresh = Florence2Weights(self.weight_files, self._sizes)
        yield from store_vision(fresh, self.config, self.scheme)
        yield from store_text(fresh, self.config, self.scheme)

    def embeddings(self) -> RowTable:
        """Return the token embedding table, memory-mapped from its file."""
        return self._weights.map_embeddings()

    def vision_graph(self, stored: Mapping[str, Stored]) -> ov.Model:
        """Build the network from a picture's pixels to its image tokens."""
        return build_vision_graph(self.config, stored, self.processor.image_px)

    def encoder_graph(self, stored: Mapping[str, Stored]) -> ov.Model:
        """Build the network from a prompt to the decoder's cross-attention keys and values."""
        return build_encoder_graph(self.config, stored, self.scheme.arithmetic)

    def decoder_graph(self, stored: Mapping[str, Stored]) -> ov.Model:
        """Build the network from a token of each beam to logits."""
        return build_decoder_graph(self.config, stored, self.scheme.arithmetic)

    def step_decoder(self, stored: Mapping[str, Stored]) -> StepDecoder:
        """Return the same decoder in the order of computation."""
        return step_decoder(self.config, stored)

    def positions(self, stored: Mapping[str, Stored]) -> NDArray[np.float32]:
        """Return what is added to the embeddings of the decoder's positions, [positions, hidden]."""
        return decoder_positions(stored)
