"""Maps Smallsight's tensor names to upstream names and reads a moondream2 checkpoint.

Source: vikhyat/moondream 8ac77eb, torch/{moondream,text,vision}.py, with hf_moondream.py's prefix.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smallsight.errors import BrokenCheckpointError
from smallsight.families.moondream2.shapes import Moondream2Sizes, tensor_shapes_of
from smallsight.families.tensor_files import CheckpointParts, RowTable

_WHOLE = {
    "vision.patches": "vision.patch_emb",
    "vision.positions": "vision.pos_emb",
    "vision.norm": "vision.post_ln",
    "connector.up": "vision.proj_mlp.fc1",
    "connector.down": "vision.proj_mlp.fc2",
    "embeddings.weight": "text.wte",
    "text.norm": "text.post_ln",
    "head": "text.lm_head",
    "region.coordinate_frequencies": "region.coord_features",
    "region.coordinate_encoder": "region.coord_encoder",
    "region.coordinate_decoder_up": "region.coord_decoder.fc1",
    "region.coordinate_decoder_down": "region.coord_decoder.fc2",
    "region.size_frequencies": "region.size_features",
    "region.size_encoder": "region.size_encoder",
    "region.size_decoder_up": "region.size_decoder.fc1",
    "region.size_decoder_down": "region.size_decoder.fc2",
}
_LAYER = {
    "norm": "ln",
    "attention_norm": "ln1",
    "ffn_norm": "ln2",
    "query_key_value": "attn.qkv",
    "output": "attn.proj",
    "ffn_up": "mlp.fc1",
    "ffn_down": "mlp.fc2",
}
_UNSQUEEZED = "vision.positions"  # stored with a batch axis of 1


class Moondream2Weights:
    """The tensors of one checkpoint, each taken once.

    Missing or unknown ones, and those of another shape, raise BrokenCheckpointError at once.
    """

    def __init__(self, paths: Sequence[Path], sizes: Moondream2Sizes) -> None:
        self._folder = paths[0].parent
        self._parts = CheckpointParts(paths)
        self._shapes = {tensor.name: tensor.shape for tensor in tensor_shapes_of(sizes)}
        held, needed = self._parts.untaken, {upstream_name(name) for name in self._shapes}
        for what, names in {
            "lack": sorted(needed - held),
            "unexpectedly have": sorted(held - needed),
        }.items():
            if names:
                raise BrokenCheckpointError(
                    f"The weights in {self._folder} {what} {len(names)} tensors, such as {names[0]}.",
                    hint="this release supports revision 2025-01-09: fetch that.",
                )
        self._parts.check_shapes(
            {upstream_name(name): upstream_shape(name, shape) for name, shape in self._shapes.items()}
        )

    @property
    def untaken(self) -> frozenset[str]:
        """Upstream names of the tensors not taken yet."""
        return self._parts.untaken

    def take(self, name: str) -> NDArray[np.float32]:
        """Return a tensor from ``shapes.tensor_shapes`` as float32; raises BrokenCheckpointError."""
        shape = self._shapes[name]
        return self._parts.take(upstream_name(name), upstream_shape(name, shape)).reshape(shape)

    def map_embeddings(self) -> RowTable:
        """Return the embedding table, memory-mapped from its file."""
        rows, width = self._shapes["embeddings.weight"]
        upstream = upstream_name("embeddings.weight")
        return self._parts.part_with(upstream).map_table(upstream, (rows, width))


def upstream_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a tensor's shape in the checkpoint."""
    return (1, *shape) if name == _UNSQUEEZED else shape


def upstream_name(name: str) -> str:
    """Return the checkpoint's name for a tensor from ``shapes.tensor_shapes``."""
    if name in _WHOLE:
        return f"model.{_WHOLE[name]}"
    module, _, kind = name.rpartition(".")
    if module in _WHOLE:
        return f"model.{_WHOLE[module]}.{kind}"
    part, _, number, layer_module = module.split(".")
    return f"model.{part}.blocks.{number}.{_LAYER[layer_module]}.{kind}"
