"""Reads the tensors of a dual encoder's checkpoint by Smallsight's names, and stores those of its layers.

Source of the upstream names: transformers 5.x, models/siglip and models/clip, which differ in what is not a
layer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smallsight.errors import BrokenCheckpointError
from smallsight.families.tensor_files import CheckpointParts, RowTable
from smallsight.families.tensor_shape import TensorShape
from smallsight.quant.forms import Stored
from smallsight.quant.scheme import Module, Scheme

_HINT = "config.json and the safetensors files must belong together; fetch them again."
_SHARED = {
    "embeddings.weight": "text_model.embeddings.token_embedding.weight",
    "text.positions": "text_model.embeddings.position_embedding.weight",
    "text.norm": "text_model.final_layer_norm",
    "vision.patches": "vision_model.embeddings.patch_embedding",
    "vision.positions": "vision_model.embeddings.position_embedding.weight",
    "vision.norm": "vision_model.post_layernorm",
    "logit.scale": "logit_scale",
}
# Of an encoder layer, as SigLIP and CLIP name its parts.
ENCODER_LAYER = {
    "attention_norm": "layer_norm1",
    "ffn_norm": "layer_norm2",
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "output": "self_attn.out_proj",
    "ffn_up": "mlp.fc1",
    "ffn_down": "mlp.fc2",
}
# Older checkpoints hold the numbers from 0 as tensors, which no network reads.
_NOT_USED = frozenset({"text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"})


class EncoderTensors(Protocol):
    """The tensors of a dual encoder by Smallsight's names, each taken once."""

    def take(self, name: str) -> NDArray[np.float32]:
        """Return a tensor as float32, once; raises BrokenCheckpointError."""
        ...

    def map_embeddings(self) -> RowTable:
        """Return the table of token embeddings, memory-mapped from its file."""
        ...


class DualEncoderWeights:
    """The tensors of one checkpoint, each taken once.

    Missing or unknown ones, and those of another shape, raise BrokenCheckpointError at once.
    """

    def __init__(
        self, paths: Sequence[Path], shapes: Collection[TensorShape], names: Mapping[str, str]
    ) -> None:
        """``names`` maps Smallsight's names of what is not in a layer to upstream names."""
        self._names = names
        self._shapes = {tensor.name: tensor.shape for tensor in shapes}
        self._parts = CheckpointParts(paths)
        upstream = {upstream_name(name, self._names): shape for name, shape in self._shapes.items()}
        held = self._parts.untaken
        self._require_none("lack", upstream.keys() - held, paths[0].parent)
        self._require_none("have unknown", held - upstream.keys() - _NOT_USED, paths[0].parent)
        self._parts.check_shapes(upstream)

    def take(self, name: str) -> NDArray[np.float32]:
        """Return a tensor as float32, once; raises BrokenCheckpointError."""
        return self._parts.take(upstream_name(name, self._names), self._shapes[name])

    def map_embeddings(self) -> RowTable:
        """Return the table of token embeddings, memory-mapped from its file."""
        upstream = upstream_name("embeddings.weight", self._names)
        rows, width = self._shapes["embeddings.weight"]
        return self._parts.part_with(upstream).map_table(upstream, (rows, width))

    @staticmethod
    def _require_none(verb: str, names: Collection[str], folder: Path) -> None:
        if names:
            raise BrokenCheckpointError(
                f"The weights in {folder} {verb} {len(names)} tensors, such as {min(names)}.", hint=_HINT
            )


class EncoderStoring:
    """Stores the parts of one encoder in the forms of a scheme, reading the checkpoint lazily."""

    def __init__(self, weights: EncoderTensors, scheme: Scheme, module: Module) -> None:
        self._weights = weights
        self._scheme = scheme
        self._module = module

    def layers(self, part: str, num_layers: int) -> Iterator[tuple[str, Stored]]:
        """Yield the layers and the norm after them; query, key and value become one matrix."""
        for layer in range(num_layers):
            name = f"{part}.layers.{layer}"
            yield from self.plain(f"{name}.attention_norm.weight", f"{name}.attention_norm.bias")
            yield from self.product(f"{name}.attention", f"{name}.query", f"{name}.key", f"{name}.value")
            yield from self.product(f"{name}.output", f"{name}.output")
            yield from self.plain(f"{name}.ffn_norm.weight", f"{name}.ffn_norm.bias")
            yield from self.product(f"{name}.ffn_up", f"{name}.ffn_up")
            yield from self.product(f"{name}.ffn_down", f"{name}.ffn_down")
        yield from self.plain(f"{part}.norm.weight", f"{part}.norm.bias")

    def product(self, name: str, *parts: str, has_bias: bool = True) -> Iterator[tuple[str, Stored]]:
        """Yield the weight of a linear layer, joined from several with the same input, and its bias."""
        matrix = np.concatenate([self._weights.take(f"{part}.weight") for part in parts])
        yield f"{name}.weight", self.store(matrix)
        if has_bias:
            yield f"{name}.bias", np.concatenate([self._weights.take(f"{part}.bias") for part in parts])

    def plain(self, *names: str) -> Iterator[tuple[str, Stored]]:
        """Yield tensors that are never quantised."""
        for name in names:
            yield name, self._weights.take(name)

    def store(self, matrix: NDArray[np.float32]) -> Stored:
        """Return a matrix [outputs, inputs] in the form of its module."""
        return self._scheme.store(matrix, self._module)


def upstream_name(name: str, names: Mapping[str, str]) -> str:
    """Return transformers' name for a tensor; ``names`` has those of a family's parts besides the layers."""
    known = {**_SHARED, **names}
    if name in known:
        return known[name]
    module, _, kind = name.rpartition(".")
    if module in known:
        return f"{known[module]}.{kind}"
    part, _, number, layer_module = module.split(".")
    return f"{part}_model.encoder.layers.{number}.{ENCODER_LAYER[layer_module]}.{kind}"
