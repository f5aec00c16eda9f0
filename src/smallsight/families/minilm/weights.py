"""Reads a checkpoint's weights by their upstream names.

Source: BertModel of transformers, without the pooling head, which sentence embeddings do not use.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smallsight.errors import BrokenCheckpointError
from smallsight.families.minilm.config import MiniLMConfig
from smallsight.families.tensor_files import RowTable, TensorFiles

FloatArray = NDArray[np.float32]

_WORDS = "embeddings.word_embeddings.weight"
NOT_USED = frozenset({"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"})


@dataclass(frozen=True, eq=False)
class ScaleShift:
    """One linear or normalising layer: weight [outputs, inputs] or [size], bias [outputs or size]."""

    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """One layer of the encoder."""

    query: ScaleShift
    key: ScaleShift
    value: ScaleShift
    attended: ScaleShift
    attended_norm: ScaleShift
    widen: ScaleShift
    narrow: ScaleShift
    norm: ScaleShift


@dataclass(frozen=True, eq=False)
class MiniLMWeights:
    """All weights: word, position and token type tables, a norm, and the layers."""

    words: FloatArray
    positions: FloatArray
    token_types: FloatArray
    norm: ScaleShift
    layers: tuple[LayerWeights, ...]


@dataclass(frozen=True, eq=False)
class MappedMiniLMWeights:
    """The same weights with the table of words left in the file."""

    words: RowTable
    positions: FloatArray
    token_types: FloatArray
    norm: ScaleShift
    layers: tuple[LayerWeights, ...]


def read_weights(path: Path, config: MiniLMConfig) -> MiniLMWeights:
    """Read model.safetensors, in which every tensor must be used by the network or listed in ``NOT_USED``.

    Raises BrokenCheckpointError for tensors that are missing, unknown, of the wrong shape or not finite.
    """
    checkpoint = TensorFiles(path)
    words = checkpoint.take(_WORDS, (config.vocabulary_size, config.hidden_size))
    weights = MiniLMWeights(words, *_rest(checkpoint, config))
    _require_known(checkpoint, path)
    return weights


def map_weights(path: Path, config: MiniLMConfig) -> MappedMiniLMWeights:
    """Read model.safetensors but for the rows of the table of words; raises as ``read_weights`` does."""
    checkpoint = TensorFiles(path)
    words = checkpoint.map_table(_WORDS, (config.vocabulary_size, config.hidden_size))
    weights = MappedMiniLMWeights(words, *_rest(checkpoint, config))
    _require_known(checkpoint, path)
    return weights


def _rest(
    checkpoint: TensorFiles, config: MiniLMConfig
) -> tuple[FloatArray, FloatArray, ScaleShift, tuple[LayerWeights, ...]]:
    """Return positions, token types, norm and layers."""
    hidden = config.hidden_size
    return (
        checkpoint.take("embeddings.position_embeddings.weight", (config.max_positions, hidden)),
        checkpoint.take("embeddings.token_type_embeddings.weight", (config.num_token_types, hidden)),
        _norm(checkpoint, "embeddings.LayerNorm", hidden),
        tuple(_layer(checkpoint, f"encoder.layer.{i}", config) for i in range(config.num_layers)),
    )


def _require_known(checkpoint: TensorFiles, path: Path) -> None:
    if unknown := sorted(checkpoint.untaken - NOT_USED):
        raise BrokenCheckpointError(
            f"{path} has {len(unknown)} unknown tensors, such as {unknown[0]}.",
            hint="config.json and model.safetensors must belong together.",
        )


def _layer(checkpoint: TensorFiles, name: str, config: MiniLMConfig) -> LayerWeights:
    hidden, wide = config.hidden_size, config.intermediate_size
    return LayerWeights(
        query=_linear(checkpoint, f"{name}.attention.self.query", hidden, hidden),
        key=_linear(checkpoint, f"{name}.attention.self.key", hidden, hidden),
        value=_linear(checkpoint, f"{name}.attention.self.value", hidden, hidden),
        attended=_linear(checkpoint, f"{name}.attention.output.dense", hidden, hidden),
        attended_norm=_norm(checkpoint, f"{name}.attention.output.LayerNorm", hidden),
        widen=_linear(checkpoint, f"{name}.intermediate.dense", wide, hidden),
        narrow=_linear(checkpoint, f"{name}.output.dense", hidden, wide),
        norm=_norm(checkpoint, f"{name}.output.LayerNorm", hidden),
    )


def _linear(checkpoint: TensorFiles, name: str, outputs: int, inputs: int) -> ScaleShift:
    return ScaleShift(
        checkpoint.take(f"{name}.weight", (outputs, inputs)), checkpoint.take(f"{name}.bias", (outputs,))
    )


def _norm(checkpoint: TensorFiles, name: str, size: int) -> ScaleShift:
    return ScaleShift(checkpoint.take(f"{name}.weight", (size,)), checkpoint.take(f"{name}.bias", (size,)))
