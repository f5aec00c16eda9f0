"""An opened moondream2 checkpoint: what an engine needs to run it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Self

import openvino as ov

from smallsight.catalog.checkpoint import find_weight_files
from smallsight.families.moondream2.processor import Moondream2Processor
from smallsight.families.moondream2.region import NumberKind
from smallsight.families.moondream2.region_graph import build_region_graph
from smallsight.families.moondream2.step_decoder import step_decoder
from smallsight.families.moondream2.stored import STORED_VERSION, adapted, store_text, store_vision
from smallsight.families.moondream2.text_graph import build_text_graph
from smallsight.families.moondream2.vision_graphs import build_connector_graph, build_tower_graph
from smallsight.families.moondream2.weights import Moondream2Weights
from smallsight.families.step_decoder import StepDecoder
from smallsight.families.tensor_files import RowTable
from smallsight.quant.forms import Stored
from smallsight.quant.scheme import Scheme


class Moondream2Model:
    """Processor, weights and networks of a folder in Hugging Face layout.

    Raises BrokenCheckpointError for weights that do not match config.json.
    """

    stored_version = STORED_VERSION
    decoder_names: tuple[str, ...] = ("text.", "head.")

    def __init__(self, model_dir: Path, scheme: Scheme) -> None:
        self.processor = Moondream2Processor(model_dir)
        self.config = self.processor.config
        self.scheme = adapted(scheme)
        self.weight_files = find_weight_files(model_dir)
        self.identity = repr(self.config)
        self._weights = Moondream2Weights(self.weight_files, self.config.sizes())

    def store(self) -> Iterator[tuple[str, Stored]]:
        """Yield every weight in its stored form, by name, reading the checkpoint lazily."""
        fresh = Moondream2Weights(self.weight_files, self.config.sizes())
        yield from store_vision(fresh, self.config, self.scheme)
        yield from store_text(fresh, self.config, self.scheme)

    def embeddings(self) -> RowTable:
        """Return the token embedding table, memory-mapped from its file."""
        return self._weights.map_embeddings()

    def shortened(self, layers: int, outputs: int) -> Self:
        """Return the same model with its decoder's first layers and outputs only, to compute a part of it."""
        short = copy(self)
        short.config = replace(self.config, text=replace(self.config.text, layers=layers, vocabulary=outputs))
        return short

    def tower_graph(self, stored: Mapping[str, Stored]) -> ov.Model:
        """Build the network from a crop's patches to features."""
        return build_tower_graph(self.config, stored)

    def connector_graph(self, stored: Mapping[str, Stored]) -> ov.Model:
        """Build the network from the features of the whole picture and its crops to image tokens."""
        return build_connector_graph(self.config, stored)

    def text_graph(self, stored: Mapping[str, Stored]) -> ov.Model:
        """Build the paged decoder."""
        return build_text_graph(self.config, stored)

    def step_decoder(self, stored: Mapping[str, Stored]) -> StepDecoder:
        """Return the decoder's sizes and weights."""
        return step_decoder(self.config, stored)

    def region_graph(self, stored: Mapping[str, Stored], kind: NumberKind) -> ov.Model:
        """Build the region head's decoder for one kind of number."""
        return build_region_graph(self.config, stored, kind)
