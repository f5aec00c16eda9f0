"""Maps Smallsight's tensor names to both sets of upstream names and reads a Florence-2 checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smallsight.errors import BrokenCheckpointError
from smallsight.families.florence2.shapes import Florence2Sizes, tensor_shapes_of
from smallsight.families.tensor_files import CheckpointParts, RowTable

_BLOCK = {
    "before_attention": ("conv1", "conv1.fn.dw"),
    "attention_norm": ("norm1", "{attention}.norm"),
    "query_key_value": ("{attention}.qkv", "{attention}.fn.qkv"),
    "output": ("{attention}.proj", "{attention}.fn.proj"),
    "before_ffn": ("conv2", "conv2.fn.dw"),
    "ffn_norm": ("norm2", "ffn.norm"),
    "ffn_up": ("ffn.fc1", "ffn.fn.net.fc1"),
    "ffn_down": ("ffn.fc2", "ffn.fn.net.fc2"),
}
_HALVES = {"window": ("spatial_block", "window_attn"), "channel": ("channel_block", "channel_attn")}
_CONNECTOR = {
    "connector.rows": ("image_position_embed.row_embeddings.weight", "image_pos_embed.row_embeddings.weight"),
    "connector.columns": (
        "image_position_embed.column_embeddings.weight",
        "image_pos_embed.column_embeddings.weight",
    ),
    "connector.projection.weight": ("image_projection.weight", "image_projection"),
    "connector.norm.weight": ("image_proj_norm.weight", "image_proj_norm.weight"),
    "connector.norm.bias": ("image_proj_norm.bias", "image_proj_norm.bias"),
}
_TEXT_LAYER = {
    "self_query": "self_attn.q_proj",
    "self_key": "self_attn.k_proj",
    "self_value": "self_attn.v_proj",
    "self_output": "self_attn.out_proj",
    "self_norm": "self_attn_layer_norm",
    "cross_query": "encoder_attn.q_proj",
    "cross_key": "encoder_attn.k_proj",
    "cross_value": "encoder_attn.v_proj",
    "cross_output": "encoder_attn.out_proj",
    "cross_norm": "encoder_attn_layer_norm",
    "ffn_up": "fc1",
    "ffn_down": "fc2",
    "ffn_norm": "final_layer_norm",
}
# Tied copies of the embedding table, and a table that is computed from a formula.
_NATIVE_EXTRAS = (
    "lm_head.weight",
    "model.language_model.encoder.embed_tokens.weight",
    "model.language_model.decoder.embed_tokens.weight",
    "model.multi_modal_projector.visual_temporal_embed.pos_idx_to_embed",
)
_ORIGINAL_EXTRAS = (
    "language_model.lm_head.weight",
    "language_model.final_logits_bias",
    "language_model.model.encoder.embed_tokens.weight",
    "language_model.model.decoder.embed_tokens.weight",
    "visual_temporal_embed.pos_idx_to_embed",
)


class Florence2Weights:
    """The tensors of one checkpoint, each taken once.

    Missing or unknown ones, and those of another shape, raise BrokenCheckpointError at once.
    """

    def __init__(self, paths: Sequence[Path], sizes: Florence2Sizes) -> None:
        self._folder = paths[0].parent
        self._parts = CheckpointParts(paths)
        self._shapes = {tensor.name: tensor.shape for tensor in tensor_shapes_of(sizes)}
        held = self._parts.untaken
        self.is_original = not any(name.startswith("model.") for name in held)
        extras = _ORIGINAL_EXTRAS if self.is_original else _NATIVE_EXTRAS
        self._check_names(held, extras)
        self._parts.check_shapes({self._upstream(name): self._stored_shape(name) for name in self._shapes})
        if extras[0] in held:
            self._parts.check_shapes({extras[0]: self._shapes["embeddings.weight"]})

    def take(self, name: str) -> NDArray[np.float32]:
        """Return a tensor from ``shapes.tensor_shapes`` as float32; raises BrokenCheckpointError."""
        stored = self._parts.take(self._upstream(name), self._stored_shape(name))
        return np.ascontiguousarray(stored.T) if self.is_transposed(name) else stored

    def take_head(self) -> NDArray[np.float32]:
        """Return the output head, float32 [vocabulary, hidden]: the file's own, or the embedding table."""
        rows, width = self._shapes["embeddings.weight"]
        if self.head_name in self._parts.untaken:
            return self._parts.take(self.head_name, (rows, width))
        return self.map_embeddings().rows(np.arange(rows))

    @property
    def head_name(self) -> str:
        """The checkpoint's name for the output head, which may be missing."""
        return (_ORIGINAL_EXTRAS if self.is_original else _NATIVE_EXTRAS)[0]

    def map_embeddings(self) -> RowTable:
        """Return the embedding table, memory-mapped from its file."""
        rows, width = self._shapes["embeddings.weight"]
        upstream = upstream_name("embeddings.weight", is_original=self.is_original)
        return self._parts.part_with(upstream).map_table(upstream, (rows, width))

    def is_transposed(self, name: str) -> bool:
        """Return whether the file stores a matrix as [in, out]."""
        return self.is_original and name == "connector.projection.weight"

    def _upstream(self, name: str) -> str:
        return upstream_name(name, is_original=self.is_original)

    def _stored_shape(self, name: str) -> tuple[int, ...]:
        shape = self._shapes[name]
        return shape[::-1] if self.is_transposed(name) else shape

    def _check_names(self, held: frozenset[str], extras: Sequence[str]) -> None:
        needed = {upstream_name(name, is_original=self.is_original) for name in self._shapes}
        wrong = {
            "lack": sorted(needed - held),
            "unexpectedly have": sorted(held - needed - set(extras)),
        }
        for what, names in wrong.items():
            if names:
                raise BrokenCheckpointError(
                    f"The weights in {self._folder} {what} {len(names)} tensors, such as {names[0]}.",
                    hint="config.json and the safetensors files must belong together; fetch them again.",
                )


def upstream_name(name: str, *, is_original: bool = False) -> str:
    """Return the checkpoint's name for a tensor from ``shapes.tensor_shapes``.

    Source: transformers 5.x, models/florence2, and its conversion script.
    """
    if name in _CONNECTOR:
        return _CONNECTOR[name][1] if is_original else f"model.multi_modal_projector.{_CONNECTOR[name][0]}"
    parts = name.split(".")
    if parts[0] == "vision":
        return f"{'' if is_original else 'model.'}vision_tower.{_vision_name(parts, is_original=is_original)}"
    root = "language_model.model" if is_original else "model.language_model"
    if parts[0] == "embeddings":
        return f"{root}.shared.weight"
    side, rest = parts[0], parts[1:]
    if rest[0] == "layers":
        return f"{root}.{side}.layers.{rest[1]}.{_TEXT_LAYER[rest[2]]}.{rest[3]}"
    known = {"positions": "embed_positions.weight", "embedding_norm": "layernorm_embedding"}
    return ".".join([root, side, known[rest[0]], *rest[1:]])


def _vision_name(parts: Sequence[str], *, is_original: bool) -> str:
    """Map vision.stages.S.patches|norm.KIND or vision.stages.S.blocks.B.HALF.MODULE.KIND."""
    stage, kind = parts[2], parts[-1]
    if parts[3] != "blocks":
        module = {"patches": "proj" if is_original else "conv", "norm": "norm"}[parts[3]]
        return f"convs.{stage}.{module}.{kind}"
    block, half, module = parts[4], parts[5], parts[6]
    upstream_half, attention = _HALVES[half]
    upstream = _BLOCK[module][int(is_original)].format(attention=attention)
    return f"blocks.{stage}.{block}.{upstream_half}.{upstream}.{kind}"
