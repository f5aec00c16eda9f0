"""An opened dual encoder: preparation, tokens, weights and the two networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from smallsight.families.dual_encoder.config import DualEncoderConfig
from smallsight.families.dual_encoder.pictures import PicturePreparation
from smallsight.families.dual_encoder.shapes import DualEncoderSizes
from smallsight.families.dual_encoder.texts import TextTokens
from smallsight.families.dual_encoder.weights import EncoderStoring, EncoderTensors
from smallsight.families.siglip_tower import SigLIPPooling, SigLIPSizes, SigLIPTower
from smallsight.families.tensor_files import RowTable
from smallsight.quant.forms import Stored
from smallsight.quant.scheme import Module, Scheme

STORED_VERSION = 1  # increment when the same weights would be stored differently
VISION, TEXT = "vision", "text"


@dataclass(frozen=True)
class DualEncoderParts:
    """What differs between families: the checkpoint's tensors, and the two networks.

    ``open_weights`` opens the tensors, each of which is taken once. ``store`` yields the weights of one
    encoder that are not in its layers; ``build`` builds its network. ``has_length`` tells whether the text
    network takes texts of any length, and where their vector is. ``least_similarity`` returns the least
    cosine at which a picture may show what a text says; with ``is_least_measured``, one that was measured
    on pictures whose content is known. ``read_pooling`` reads what follows a SigLIP's tower, for an engine
    that computes both without a graph; without it the tower is a CLIP's.
    """

    open_weights: Callable[[], EncoderTensors]
    store: Mapping[str, Callable[[EncoderTensors, EncoderStoring], Iterator[tuple[str, Stored]]]]
    build: Mapping[str, Callable[[DualEncoderConfig, Mapping[str, Stored]], ov.Model]]
    has_length: bool
    least_similarity: Callable[[EncoderTensors], float]
    is_least_measured: bool = False
    read_pooling: Callable[[DualEncoderConfig, Mapping[str, Stored]], SigLIPPooling] | None = None


@dataclass(frozen=True)
class EncoderSource:
    """The weights of one encoder, which are stored and loaded separately from those of the other."""

    model: DualEncoderModel
    part: str

    @property
    def weight_files(self) -> tuple[Path, ...]:
        """The checkpoint's files."""
        return self.model.weight_files

    @property
    def identity(self) -> str:
        """Identifies the network that the weights are for."""
        return f"{self.part} {self.model.config!r}"

    @property
    def stored_version(self) -> int:
        """Version of the stored form."""
        return STORED_VERSION

    def store(self) -> Iterator[tuple[str, Stored]]:
        """Yield every weight of the encoder in its stored form, by name."""
        return self.model.store(self.part)


class DualEncoderModel:
    """Preparation, tokens, weights and networks of a folder in Hugging Face layout.

    Raises BrokenCheckpointError for weights that do not match config.json.
    """

    def __init__(
        self,
        weight_files: tuple[Path, ...],
        scheme: Scheme,
        config: DualEncoderConfig,
        pictures: PicturePreparation,
        tokens: TextTokens,
        parts: DualEncoderParts,
    ) -> None:
        self.config = config
        self.pictures = pictures
        self.tokens = tokens
        self.weight_files = weight_files
        self.has_length = parts.has_length
        self._scheme = scheme
        self._parts = parts
        self._weights = parts.open_weights()

    @property
    def identity(self) -> str:
        """Everything besides the weights and the scheme that affects vectors."""
        return f"{self.config!r} {self.pictures.identity} {self.tokens.identity}"

    def source(self, part: str) -> EncoderSource:
        """Return the weights of one encoder, "vision" or "text"."""
        return EncoderSource(self, part)

    def store(self, part: str) -> Iterator[tuple[str, Stored]]:
        """Yield every weight of one encoder in its stored form, reading the checkpoint lazily."""
        fresh = self._parts.open_weights()
        module, encoder = (
            (Module.VISION, self.config.vision) if part == VISION else (Module.TEXT, self.config.text)
        )
        storing = EncoderStoring(fresh, self._scheme, module)
        yield from storing.layers(part, encoder.layers)
        yield from self._parts.store[part](fresh, storing)

    def graph(self, part: str, stored: Mapping[str, Stored]) -> ov.Model:
        """Build one encoder's network."""
        return self._parts.build[part](self.config, stored)

    def vision_tower(self, stored: Mapping[str, Stored]) -> SigLIPTower:
        """Return the sizes and weights of the vision tower."""
        vision = self.config.vision
        sizes = SigLIPSizes(
            layers=vision.layers,
            hidden=vision.hidden,
            heads=vision.heads,
            ffn=vision.ffn,
            patches=self.config.num_patches,
            patch_width=3 * self.config.patch_px**2,
            norm_epsilon=vision.norm_epsilon,
            activation=vision.activation,
            has_first_token=self._parts.read_pooling is None,
        )
        return SigLIPTower(sizes, stored)

    def pooling(self, stored: Mapping[str, Stored]) -> SigLIPPooling | None:
        """Return what follows a SigLIP's tower, from hidden states to the vector; None for a CLIP."""
        read = self._parts.read_pooling
        return None if read is None else read(self.config, stored)

    def embeddings(self) -> RowTable:
        """Return the table of token embeddings, memory-mapped from its file; once."""
        return self._weights.map_embeddings()

    @property
    def is_least_measured(self) -> bool:
        """Whether ``least_similarity`` was measured on pictures whose content is known."""
        return self._parts.is_least_measured

    def least_similarity(self) -> float:
        """Return the least cosine at which a picture may show what a text says, -1 to 1."""
        return min(1.0, max(-1.0, self._parts.least_similarity(self._parts.open_weights())))

    def contrast(self) -> float:
        """Return the number by which the network multiplies cosines to compare texts for a picture."""
        return float(np.exp(np.asarray(self._parts.open_weights().take("logit.scale")).reshape(-1)[0]))

    def text_inputs(self, text: str, table: RowTable) -> list[NDArray[np.float32] | NDArray[np.int32]]:
        """Return the inputs of the text network: rows of the table, and the position if it takes one."""
        ids, position = self.tokens.encode(text)
        words_1TD = table.rows(np.asarray(ids, np.int64))[None]
        return [words_1TD, np.array([position], np.int32)] if self.has_length else [words_1TD]


def sizes_of(config: DualEncoderConfig) -> DualEncoderSizes:
    """Return the sizes that determine the tensors' shapes."""
    vision, text = config.vision, config.text
    return DualEncoderSizes(
        vocabulary=config.vocabulary,
        text_hidden=text.hidden,
        text_ffn=text.ffn,
        text_layers=text.layers,
        text_positions=config.text_positions,
        vision_hidden=vision.hidden,
        vision_ffn=vision.ffn,
        vision_layers=vision.layers,
        patch_px=config.patch_px,
        image_px=config.image_px,
        dimensions=config.dimensions,
    )
