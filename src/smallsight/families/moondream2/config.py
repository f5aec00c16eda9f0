"""The validated config.json of a moondream2 of revision 2025-01-09; missing values are the published ones.

The published file contains none of them. Source: vikhyat/moondream 8ac77eb, torch/config.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsight.catalog.checkpoint import read_json_object
from smallsight.errors import BrokenCheckpointError, ModelNotRunnableError
from smallsight.families.moondream2.shapes import Moondream2Sizes
from smallsight.families.moondream2.templates import Templates, read_templates
from smallsight.families.tensor_shape import MAX_LAYERS

MODEL_TYPES = ("moondream1", "moondream")
FFN_FACTOR = 4  # the decoder's feed-forward width, in multiples of hidden
_PUBLISHED: Mapping[str, Mapping[str, int]] = {
    "text": {
        "dim": 2048,
        "n_layers": 24,
        "vocab_size": 51200,
        "max_context": 2048,
        "n_heads": 32,
        "prefix_attn": 730,
    },
    "vision": {
        "enc_dim": 1152,
        "enc_patch_size": 14,
        "enc_n_layers": 27,
        "enc_ff_dim": 4304,
        "enc_n_heads": 16,
        "proj_out_dim": 2048,
        "crop_size": 378,
        "in_channels": 3,
        "max_crops": 12,
        "overlap_margin": 4,
        "proj_inner_dim": 8192,
    },
    "region": {
        "dim": 2048,
        "coord_feat_dim": 256,
        "coord_out_dim": 1024,
        "size_feat_dim": 512,
        "size_out_dim": 2048,
        "inner_dim": 8192,
    },
    "tokenizer": {"bos_id": 50256, "eos_id": 50256},
}


@dataclass(frozen=True)
class Moondream2VisionConfig:
    """The vision tower, and how pictures are cut into crops for it.

    Each crop has a margin of ``margin_patches`` patches on every side, which overlaps its neighbours.
    """

    hidden: int
    ffn: int
    layers: int
    heads: int
    patch_px: int
    crop_px: int
    max_crops: int
    margin_patches: int
    connector_inner: int

    @property
    def patches_per_side(self) -> int:
        """Patches in a row of a crop."""
        return self.crop_px // self.patch_px

    @property
    def margin_px(self) -> int:
        """The margin of a crop in pixels."""
        return self.margin_patches * self.patch_px

    @property
    def step_px(self) -> int:
        """The distance between neighbouring crops in pixels."""
        return self.crop_px - 2 * self.margin_px


@dataclass(frozen=True)
class Moondream2TextConfig:
    """The decoder: attention and feed-forward network in parallel; half of each head is rotated."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    context_tokens: int

    @property
    def ffn(self) -> int:
        """The width of the feed-forward network."""
        return FFN_FACTOR * self.hidden

    @property
    def head_dim(self) -> int:
        """The width of a head."""
        return self.hidden // self.heads

    @property
    def rotated_dims(self) -> int:
        """Dimensions of a head that rotary embedding rotates."""
        return self.head_dim // 2


@dataclass(frozen=True)
class RegionConfig:
    """The region head: the number of features that encode a number, and of bins that it is decoded to."""

    inner: int
    coordinate_features: int
    coordinate_bins: int
    size_features: int
    size_bins: int


@dataclass(frozen=True)
class Moondream2Config:
    """A whole network, its token ids and prompt templates."""

    vision: Moondream2VisionConfig
    text: Moondream2TextConfig
    region: RegionConfig
    begin_token_id: int
    end_token_id: int
    templates: Templates

    @property
    def tokens_per_image(self) -> int:
        """Image tokens of a picture, whatever its size."""
        return self.vision.patches_per_side**2

    @property
    def prefix_tokens(self) -> int:
        """Tokens with bidirectional attention: the begin token and the picture's."""
        return 1 + self.tokens_per_image

    @property
    def image_token_id(self) -> int:
        """The placeholder for an image token in prompts, outside the vocabulary; no network input."""
        return self.text.vocabulary

    def sizes(self) -> Moondream2Sizes:
        """Return the sizes that determine the tensors' shapes."""
        vision, text, region = self.vision, self.text, self.region
        return Moondream2Sizes(
            vocabulary=text.vocabulary,
            text_hidden=text.hidden,
            text_ffn=text.ffn,
            text_layers=text.layers,
            context_tokens=text.context_tokens,
            vision_hidden=vision.hidden,
            vision_ffn=vision.ffn,
            vision_layers=vision.layers,
            patch_px=vision.patch_px,
            crop_px=vision.crop_px,
            connector_inner=vision.connector_inner,
            region_inner=region.inner,
            coordinate_features=region.coordinate_features,
            coordinate_bins=region.coordinate_bins,
            size_features=region.size_features,
            size_bins=region.size_bins,
        )


def read_config(model_dir: Path) -> Moondream2Config:
    """Read config.json; raises BrokenCheckpointError, or ModelNotRunnableError for another revision."""
    path = model_dir / "config.json"
    values = read_json_object(path)
    if (model_type := values.get("model_type")) not in MODEL_TYPES:
        raise ModelNotRunnableError(
            f"{path} describes a {model_type!r}, expected {' or '.join(MODEL_TYPES)}."
        )
    given = values.get("config", {})
    if not isinstance(given, dict):
        raise BrokenCheckpointError(f"{path} has config {given!r}, expected an object.")
    vision, text, region, tokens = (
        _numbers(path, given, part) for part in ("vision", "text", "region", "tokenizer")
    )
    _check(path, vision, text, region, tokens)
    described = given.get("tokenizer", {}).get("templates")
    return _config(vision, text, region, tokens, read_templates(path, described, text["vocab_size"]))


def _numbers(path: Path, given: Mapping[str, Any], part: str) -> dict[str, int]:
    """Read the numbers of one part; a name unknown to this revision means another network."""
    published, stated = _PUBLISHED[part], given.get(part, {})
    if not isinstance(stated, dict):
        raise BrokenCheckpointError(f"{path} has {part} {stated!r}, expected an object.")
    unknown = sorted(set(stated) - set(published) - {"templates"})
    if unknown:
        raise ModelNotRunnableError(
            f"{path} has {part}.{unknown[0]}, which moondream2 of 2025-01-09 does not have.",
            hint="fetch the revision 2025-01-09.",
        )
    numbers = {name: stated.get(name, default) for name, default in published.items()}
    for name, value in numbers.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
            raise BrokenCheckpointError(f"{path} has {part}.{name} {value!r}, expected an integer from 0.")
    return numbers


def _check(
    path: Path,
    vision: Mapping[str, int],
    text: Mapping[str, int],
    region: Mapping[str, int],
    tokens: Mapping[str, int],
) -> None:
    """Raise for inconsistent sizes and unsupported attention prefixes."""
    zero = [name for part in (vision, text, region) for name, value in part.items() if value == 0]
    if not set(zero) <= {"overlap_margin", "prefix_attn"}:
        raise BrokenCheckpointError(f"{path} has {zero[0]} 0.", hint="fetch it again.")
    side = vision["crop_size"] // vision["enc_patch_size"]
    rules = {
        "crop_size is a multiple of enc_patch_size": vision["crop_size"] % vision["enc_patch_size"] == 0,
        "crops are wider than their margins": side > 2 * vision["overlap_margin"],
        "enc_dim is a multiple of enc_n_heads": vision["enc_dim"] % vision["enc_n_heads"] == 0,
        "half of a decoder head is even": text["dim"] % (4 * text["n_heads"]) == 0,
        "proj_out_dim, region.dim and text.dim are equal": (
            vision["proj_out_dim"] == region["dim"] == text["dim"]
        ),
        f"there are at most {MAX_LAYERS} layers": max(vision["enc_n_layers"], text["n_layers"]) <= MAX_LAYERS,
        "in_channels is 3": vision["in_channels"] == 3,
        "the numbers of features and size bins are even": not any(
            region[name] % 2 for name in ("coord_feat_dim", "size_feat_dim", "size_out_dim")
        ),
        "bos_id and eos_id are in the vocabulary": max(tokens.values()) < text["vocab_size"],
        "a picture fits in max_context": side**2 + 1 < text["max_context"],
    }
    if text["prefix_attn"] != side**2 + 1:
        raise ModelNotRunnableError(
            f"{path} has text.prefix_attn {text['prefix_attn']}; only {side**2 + 1}, a picture's length, is "
            "supported."
        )
    for rule, holds in rules.items():
        if not holds:
            raise BrokenCheckpointError(f"{path} has inconsistent sizes. Not true: {rule}.")


def _config(
    vision: Mapping[str, int],
    text: Mapping[str, int],
    region: Mapping[str, int],
    tokens: Mapping[str, int],
    templates: Templates,
) -> Moondream2Config:
    return Moondream2Config(
        vision=Moondream2VisionConfig(
            hidden=vision["enc_dim"],
            ffn=vision["enc_ff_dim"],
            layers=vision["enc_n_layers"],
            heads=vision["enc_n_heads"],
            patch_px=vision["enc_patch_size"],
            crop_px=vision["crop_size"],
            max_crops=vision["max_crops"],
            margin_patches=vision["overlap_margin"],
            connector_inner=vision["proj_inner_dim"],
        ),
        text=Moondream2TextConfig(
            vocabulary=text["vocab_size"],
            hidden=text["dim"],
            layers=text["n_layers"],
            heads=text["n_heads"],
            context_tokens=text["max_context"],
        ),
        region=RegionConfig(
            inner=region["inner_dim"],
            coordinate_features=region["coord_feat_dim"],
            coordinate_bins=region["coord_out_dim"],
            size_features=region["size_feat_dim"],
            size_bins=region["size_out_dim"],
        ),
        begin_token_id=tokens["bos_id"],
        end_token_id=tokens["eos_id"],
        templates=templates,
    )
