"""Builds transformers' native Florence-2 over a checkpoint, with either set of tensor names.

The network is described by our own reading of config.json, so that the two published layouts load alike and
no code of a checkpoint runs. Tensors stay in their mapped files until the network takes them, one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import Florence2Config as NativeConfig
from transformers import Florence2ForConditionalGeneration

from smallsight.errors import BrokenCheckpointError
from smallsight.families.florence2.config import Florence2Config
from smallsight.families.florence2.shapes import Florence2Sizes, tensor_shapes_of
from smallsight.families.florence2.weights import Florence2Weights, upstream_name

HEAD = "lm_head.weight"
MOMENTS = "model.multi_modal_projector.visual_temporal_embed.pos_idx_to_embed"


@dataclass(frozen=True)
class StateLoader:
    """Stands for transformers' class in ``recipes.load_pretrained``: loads either set of tensor names."""

    config: Florence2Config
    files: Sequence[Path]
    sizes: Florence2Sizes

    def from_pretrained(
        self,
        _model_dir: Path,
        *,
        local_files_only: bool,  # noqa: ARG002 - no file is looked up by name
        use_safetensors: bool,  # noqa: ARG002 - the files are
        **options: Any,  # noqa: ANN401 - transformers' own
    ) -> Any:  # noqa: ANN401 - transformers' modules have no useful types
        """Return what transformers' class returns.

        Missing, unknown, wrongly shaped and non-finite tensors raise BrokenCheckpointError.
        """
        state = read_state(self.files, self.sizes)
        described = native_config(self.config)
        described.tie_word_embeddings = HEAD not in state
        return Florence2ForConditionalGeneration.from_pretrained(
            None, config=described, state_dict=state, **options
        )


def read_state(files: Sequence[Path], sizes: Florence2Sizes) -> dict[str, torch.Tensor]:
    """Return the checkpoint's tensors under transformers' names, mapped from their files.

    The output head is among them only where it differs from the embedding table.
    """
    weights = Florence2Weights(files, sizes)
    held: dict[str, torch.Tensor] = {}
    for path in files:
        with safe_open(path, framework="pt") as opened:
            held |= {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
    state: dict[str, torch.Tensor] = {}
    for tensor in tensor_shapes_of(sizes):
        upstream = upstream_name(tensor.name, is_original=weights.is_original)
        values = held[upstream].T.contiguous() if weights.is_transposed(tensor.name) else held[upstream]
        _require_finite(upstream, values)
        state[upstream_name(tensor.name)] = values
    head = held.get(weights.head_name)
    if head is not None and not torch.equal(head, state[upstream_name("embeddings.weight")]):
        _require_finite(weights.head_name, head)
        state[HEAD] = head
    # The temporal position of a single picture: alternating sine 0 and cosine 1.
    width = sizes.vision_widths[-1]
    state[MOMENTS] = torch.tensor([0.0, 1.0]).repeat(width // 2)[None]
    return state


def native_config(config: Florence2Config) -> NativeConfig:
    """Return transformers' configuration of the same network."""
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
    return NativeConfig(vision_config=vision, text_config=text, image_token_id=config.image_token_id)


def _require_finite(name: str, values: torch.Tensor) -> None:
    if not bool(torch.isfinite(values).all()):
        raise BrokenCheckpointError(
            f"Tensor {name} has values that are not finite.", hint="fetch the model's files again."
        )
