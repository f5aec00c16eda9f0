"""Maps Smallsight's tensor names to upstream names and reads a SmolVLM checkpoint.

``shapes`` lists the tensors and their shapes; upstream names occur only here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smallsight.errors import BrokenCheckpointError
from smallsight.families.dual_encoder.weights import ENCODER_LAYER
from smallsight.families.smolvlm.config import SmolVLMConfig
from smallsight.families.smolvlm.shapes import SmolVLMSizes, tensor_shapes_of
from smallsight.families.tensor_files import CheckpointParts, RowTable

_WHOLE = {
    "connector": "model.connector.modality_projection.proj",
    "embeddings": "model.text_model.embed_tokens",
    "head": "lm_head",
    "text.norm": "model.text_model.norm",
    "vision.patches": "model.vision_model.embeddings.patch_embedding",
    "vision.positions": "model.vision_model.embeddings.position_embedding.weight",
    "vision.norm": "model.vision_model.post_layernorm",
}
_TEXT_LAYER = {
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_LAYERS = {
    "text": ("model.text_model.layers", _TEXT_LAYER),
    "vision": ("model.vision_model.encoder.layers", ENCODER_LAYER),
}


class SmolVLMWeights:
    """The tensors of one checkpoint, each taken once.

    Missing or unknown ones, and those of another shape, raise BrokenCheckpointError at once.
    """

    def __init__(self, paths: Sequence[Path], config: SmolVLMConfig) -> None:
        self._folder = paths[0].parent
        self._parts = CheckpointParts(paths)
        self._shapes = {tensor.name: tensor.shape for tensor in tensor_shapes_of(sizes_of(config))}
        self._is_tied = config.is_tied
        self._check_names()
        self._parts.check_shapes(self._upstream_shapes())

    def take(self, name: str) -> NDArray[np.float32]:
        """Return a tensor from ``shapes.tensor_shapes`` as float32; raises BrokenCheckpointError."""
        return self._parts.take(upstream_name(name), self._shapes[name])

    def take_head(self) -> NDArray[np.float32]:
        """Return the output head, float32 [vocabulary, hidden], which may be the embedding table.

        A head in the file counts although config.json ties it to the embeddings, as in transformers 5.24:
        whoever trained the head alone left the setting as it was.
        """
        if not self._is_tied:
            return self.take("head.weight")
        if (head := upstream_name("head.weight")) in self._parts.untaken:
            return self._parts.take(head, self._shapes["embeddings.weight"])
        table = self._map("embeddings.weight")
        return table.rows(np.arange(self._shapes["embeddings.weight"][0]))

    def map_embeddings(self) -> RowTable:
        """Return the embedding table, memory-mapped from its file."""
        return self._map("embeddings.weight")

    def _map(self, name: str) -> RowTable:
        rows, width = self._shapes[name]
        upstream = upstream_name(name)
        return self._parts.part_with(upstream).map_table(upstream, (rows, width))

    def _upstream_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {upstream_name(name): shape for name, shape in self._shapes.items()}
        if (head := upstream_name("head.weight")) in self._parts.untaken:
            shapes[head] = self._shapes["embeddings.weight"]
        return shapes

    def _check_names(self) -> None:
        held = self._parts.untaken
        needed = {upstream_name(name) for name in self._shapes}
        if missing := sorted(needed - held):
            raise BrokenCheckpointError(
                f"The weights in {self._folder} lack {len(missing)} of {len(needed)} tensors, "
                f"such as {missing[0]}.",
                hint="config.json and the safetensors files must belong together; fetch them again.",
            )
        allowed = {upstream_name("head.weight")} if self._is_tied else set()
        if unknown := sorted(held - needed - allowed):
            raise BrokenCheckpointError(
                f"The weights in {self._folder} have {len(unknown)} unknown tensors, such as {unknown[0]}.",
                hint="config.json and the safetensors files must belong together; fetch them again.",
            )


def upstream_name(name: str) -> str:
    """Return transformers' name for a tensor from ``shapes.tensor_shapes``."""
    if name in _WHOLE:
        return _WHOLE[name]
    module, _, kind = name.rpartition(".")
    if module in _WHOLE:
        return f"{_WHOLE[module]}.{kind}"
    part, _, number, layer_module = module.split(".")
    prefix, names = _LAYERS[part]
    return f"{prefix}.{number}.{names[layer_module]}.{kind}"


def sizes_of(config: SmolVLMConfig) -> SmolVLMSizes:
    """Return the sizes that determine the tensors' shapes."""
    vision, text = config.vision, config.text
    return SmolVLMSizes(
        vocabulary=text.vocabulary,
        text_hidden=text.hidden,
        text_ffn=text.ffn,
        text_layers=text.layers,
        text_heads=text.heads,
        text_kv_heads=text.kv_heads,
        head_dim=text.head_dim,
        context_tokens=text.context_tokens,
        is_tied=config.is_tied,
        vision_hidden=vision.hidden,
        vision_ffn=vision.ffn,
        vision_layers=vision.layers,
        patch_px=vision.patch_px,
        image_px=vision.image_px,
        pixel_shuffle=config.pixel_shuffle,
    )
