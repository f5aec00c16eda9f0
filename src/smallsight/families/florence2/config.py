"""A Florence-2's validated config.json.

Supports the layout of ``florence-community`` (a BART ``text_config``, lists named ``embed_dim``) and the
older one of ``microsoft`` (``florence2_language``, ``dim_embed``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsight.catalog.checkpoint import read_json_object
from smallsight.errors import BrokenCheckpointError, ModelNotRunnableError
from smallsight.families.florence2.shapes import Florence2Sizes
from smallsight.families.tensor_shape import MAX_LAYERS

_VISION_DEFAULTS: dict[str, Any] = {
    "depths": (1, 1, 9, 1),
    "patch_size": (7, 3, 3, 3),
    "patch_stride": (4, 2, 2, 2),
    "patch_padding": (3, 1, 1, 1),
    "patch_prenorm": (False, True, True, True),
    "embed_dim": (128, 256, 512, 1024),
    "num_heads": (4, 8, 16, 32),
    "num_groups": (4, 8, 16, 32),
    "window_size": 12,
    "mlp_ratio": 4.0,
    "qkv_bias": True,
    "activation_function": "gelu",
    "projection_dim": 1024,
    "max_temporal_embeddings": 100,
    "max_position_embeddings": 50,
}
_OLDER_NAMES = {"dim_embed": "embed_dim"}


@dataclass(frozen=True)
class DaViTStage:
    """One stage of the tower: a strided convolution, then pairs of attention blocks."""

    depth: int
    width: int
    heads: int
    groups: int
    patch_px: int
    stride: int
    padding: int


@dataclass(frozen=True)
class Florence2Config:
    """The sizes and token ids of a network."""

    stages: tuple[DaViTStage, ...]
    window: int
    vision_positions: int
    vocabulary: int
    hidden: int
    ffn: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    text_positions: int
    image_token_id: int
    start_token_id: int
    end_token_id: int

    def tokens_per_image(self, image_px: int) -> int:
        """Return the tokens of a square picture: one for the whole and one per cell of the last stage."""
        side = image_px
        for stage in self.stages:
            side = (side + 2 * stage.padding - stage.patch_px) // stage.stride + 1
        return side * side + 1

    def sizes(self, image_px: int) -> Florence2Sizes:
        """Return the sizes that determine the tensors' shapes."""
        return Florence2Sizes(
            vocabulary=self.vocabulary,
            text_hidden=self.hidden,
            text_ffn=self.ffn,
            encoder_layers=self.encoder_layers,
            decoder_layers=self.decoder_layers,
            text_positions=self.text_positions,
            vision_depths=tuple(stage.depth for stage in self.stages),
            vision_widths=tuple(stage.width for stage in self.stages),
            vision_patches_px=tuple(stage.patch_px for stage in self.stages),
            vision_positions=self.vision_positions,
            image_tokens=self.tokens_per_image(image_px),
        )


def read_config(model_dir: Path) -> Florence2Config:
    """Read config.json; raises BrokenCheckpointError or ModelNotRunnableError."""
    path = model_dir / "config.json"
    values = read_json_object(path)
    if values.get("model_type") != "florence2":
        raise ModelNotRunnableError(f"{path} describes a {values.get('model_type')!r}, expected 'florence2'.")
    vision, text = (_part(path, values, name) for name in ("vision_config", "text_config"))
    vision = {**_VISION_DEFAULTS, **{_OLDER_NAMES.get(name, name): value for name, value in vision.items()}}
    _require(path, vision, {"qkv_bias": True, "activation_function": "gelu", "mlp_ratio": 4})
    _require(path, text, {"activation_function": "gelu", "scale_embedding": False})
    try:
        prenorms = [bool(one) for one in vision["patch_prenorm"]]
        if prenorms != [False, *[True] * (len(prenorms) - 1)]:
            raise ModelNotRunnableError(f"{path} has patch_prenorm {prenorms}, which is not supported.")
        return _config(values, vision, text)
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise BrokenCheckpointError(
            f"{path} is incomplete or invalid: {error}.", hint="fetch it again."
        ) from error


def _config(values: Mapping[str, Any], vision: dict[str, Any], text: dict[str, Any]) -> Florence2Config:
    names = ("depths", "embed_dim", "num_heads", "num_groups", "patch_size", "patch_stride", "patch_padding")
    stages = tuple(
        DaViTStage(*map(int, numbers)) for numbers in zip(*(vision[name] for name in names), strict=True)
    )
    hidden, heads = int(text["d_model"]), int(text["encoder_attention_heads"])
    config = Florence2Config(
        stages=stages,
        window=int(vision["window_size"]),
        vision_positions=int(vision["max_position_embeddings"]),
        vocabulary=int(text["vocab_size"]),
        hidden=hidden,
        ffn=int(text["encoder_ffn_dim"]),
        heads=heads,
        encoder_layers=int(text["encoder_layers"]),
        decoder_layers=int(text["decoder_layers"]),
        text_positions=int(text.get("max_position_embeddings", 1024)),
        image_token_id=int(values.get("image_token_id", 51289)),
        start_token_id=int(text.get("decoder_start_token_id", 2)),
        end_token_id=int(text.get("eos_token_id", 2)),
    )
    layers = (config.encoder_layers, config.decoder_layers, *(stage.depth for stage in stages))
    sizes: tuple[int, ...] = (
        config.window,
        config.vision_positions,
        config.vocabulary,
        hidden,
        config.ffn,
        heads,
    )
    sizes += tuple(
        number for one in stages for number in (one.width, one.heads, one.groups, one.patch_px, one.stride)
    )
    rules = {
        f"there are between 1 and {MAX_LAYERS} layers": all(0 < one <= MAX_LAYERS for one in layers),
        "every size is between 1 and 2147483647": all(0 < one < 2**31 for one in sizes),
        "patch_padding is between 0 and patch_size": all(0 <= one.padding <= one.patch_px for one in stages),
        "there is a stage": bool(stages),
        "every stage's width is a multiple of its heads and groups": all(
            stage.width % stage.heads == stage.width % stage.groups == 0 for stage in stages
        ),
        "d_model is a multiple of the heads": hidden % heads == 0,
        "projection_dim is d_model": int(vision["projection_dim"]) == hidden,
        "encoder and decoder have equal sizes": (heads, config.ffn)
        == (int(text["decoder_attention_heads"]), int(text["decoder_ffn_dim"])),
    }
    for rule, holds in rules.items():
        if not holds:
            raise ValueError(f"not true: {rule}")
    return config


def _part(path: Path, values: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = values.get(name)
    if not isinstance(part, dict):
        raise BrokenCheckpointError(
            f"{path} has {name} {part!r}, expected an object.", hint="fetch it again."
        )
    return part


def _require(path: Path, values: Mapping[str, Any], expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        if values.get(name, value) != value:
            raise ModelNotRunnableError(f"{path} has {name} {values[name]!r}; only {value!r} is supported.")
