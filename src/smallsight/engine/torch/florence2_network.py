"""Builds transformers' native Florence-2 over a checkpoint, with either set of tensor names.

The network is described by our own reading of config.json, so that the two published layouts load alike and
no code of a checkpoint runs. Tensors are read when the network takes them, one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Florence2Config as NativeConfig

from smallsight.engine.torch.checkpoint_tensors import CheckpointTensors, TensorInFile
from smallsight.families.florence2.config import Florence2Config
from smallsight.families.florence2.shapes import Florence2Sizes, tensor_shapes_of
from smallsight.families.florence2.weights import Florence2Weights, upstream_name

HEAD = "lm_head.weight"
MOMENTS = "model.multi_modal_projector.visual_temporal_embed.pos_idx_to_embed"


def tensors_of(
    files: Sequence[Path], sizes: Florence2Sizes, on_read: Callable[[float], None]
) -> dict[str, TensorInFile | Tensor]:
    """Return the checkpoint's tensors under transformers' names.

    The output head is among them only where it differs from the embedding table. Missing, unknown and wrongly
    shaped tensors raise BrokenCheckpointError. ``on_read`` is called with the fraction that has been read.
    """
    weights = Florence2Weights(files, sizes)
    held = CheckpointTensors(files, on_read).tensors
    state: dict[str, TensorInFile | Tensor] = {}
    for tensor in tensor_shapes_of(sizes):
        upstream = upstream_name(tensor.name, is_original=weights.is_original)
        state[upstream_name(tensor.name)] = replace(
            held[upstream], is_transposed=weights.is_transposed(tensor.name)
        )
    head = held.get(weights.head_name)
    embeddings = held[upstream_name("embeddings.weight", is_original=weights.is_original)]
    if head is not None and not head.has_values_of(embeddings):
        state[HEAD] = head
    # The temporal position of a single picture: alternating sine 0 and cosine 1.
    width = sizes.vision_widths[-1]
    state[MOMENTS] = torch.tensor([0.0, 1.0]).repeat(width // 2)[None]
    return state


def native_config(config: Florence2Config, *, is_tied: bool) -> NativeConfig:
    """Return transformers' configuration of the same network, whose head may be the embedding table."""
    stages = config.stages
    vision = {
        "depths": [stage.depth for stage in stages],
        "embed_dim": [stage.width for stage in stages],
        "num_heads": [stage.heads for stage in stages],
        "num_groups": [stage.groups for stage in stages],
        "patch_size": [stage.patch_px for stage in stages],
        "patch_stride": [stage.stride for stage in stages],
        "patch_padding": [stage.padding for stage in stages],
        "patch_prenorm": [False, *[True] * (len(stages) - 1)],
        "window_size": config.window,
        "projection_dim": config.hidden,
        "max_position_embeddings": config.vision_positions,
        "max_temporal_embeddings": 1,
    }
    text: dict[str, Any] = {"model_type": "bart", "vocab_size": config.vocabulary, "d_model": config.hidden}
    text |= {"max_position_embeddings": config.text_positions, "pad_token_id": 1, "bos_token_id": 0}
    text |= {"eos_token_id": config.end_token_id, "decoder_start_token_id": config.start_token_id}
    for side, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        text[f"{side}_layers"] = layers
        text[f"{side}_attention_heads"] = config.heads
        text[f"{side}_ffn_dim"] = config.ffn
    described = NativeConfig(vision_config=vision, text_config=text, image_token_id=config.image_token_id)
    described.tie_word_embeddings = is_tied
    return described
