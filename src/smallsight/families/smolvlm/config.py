"""The sizes of a SmolVLM network, read from its config.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsight.catalog.checkpoint import read_json_object
from smallsight.errors import BrokenCheckpointError, ModelNotRunnableError
from smallsight.families.tensor_shape import MAX_LAYERS

MODEL_TYPES = ("idefics3", "smolvlm")
VISION_ACTIVATION = "gelu_pytorch_tanh"
TEXT_ACTIVATION = "silu"


@dataclass(frozen=True)
class SmolVLMVisionConfig:
    """The vision tower: a SigLIP encoder over square images."""

    hidden: int
    ffn: int
    layers: int
    heads: int
    patch_px: int
    image_px: int
    norm_epsilon: float

    @property
    def patches_per_side(self) -> int:
        """Patches in a row of the image."""
        return self.image_px // self.patch_px


@dataclass(frozen=True)
class SmolVLMTextConfig:
    """The language model: a Llama decoder."""

    vocabulary: int
    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    context_tokens: int
    norm_epsilon: float
    rope_theta: float


@dataclass(frozen=True)
class SmolVLMConfig:
    """A whole network; with ``is_tied`` the output head is the embedding table."""

    vision: SmolVLMVisionConfig
    text: SmolVLMTextConfig
    pixel_shuffle: int
    image_token_id: int
    is_tied: bool

    @property
    def tokens_per_tile(self) -> int:
        """Image tokens per tile."""
        return (self.vision.patches_per_side // self.pixel_shuffle) ** 2


def read_config(model_dir: Path, model_types: Sequence[str] = MODEL_TYPES) -> SmolVLMConfig:
    """Read config.json; the defaults are those of transformers' Idefics3 and SmolVLM configurations.

    Raises BrokenCheckpointError for invalid values, ModelNotRunnableError for unsupported variants.
    """
    reader = _ConfigReader(model_dir / "config.json", read_json_object(model_dir / "config.json"))
    if (model_type := reader.values.get("model_type")) not in model_types:
        raise ModelNotRunnableError(
            f"{reader.path} describes a model of type {model_type!r}, expected {' or '.join(model_types)}."
        )
    vision, text = reader.part("vision_config"), reader.part("text_config")
    config = SmolVLMConfig(
        vision=_vision(vision),
        text=_text(text),
        pixel_shuffle=reader.whole("scale_factor", 2),
        image_token_id=reader.whole("image_token_id", 128_257),
        is_tied=bool(reader.values.get("tie_word_embeddings", False)),
    )
    _check(reader.path, config)
    return config


def _vision(reader: _ConfigReader) -> SmolVLMVisionConfig:
    reader.require("hidden_act", VISION_ACTIVATION, default=VISION_ACTIVATION)
    return SmolVLMVisionConfig(
        hidden=reader.whole("hidden_size", 1152),
        ffn=reader.whole("intermediate_size", 3072),
        layers=reader.whole("num_hidden_layers", 12),
        heads=reader.whole("num_attention_heads", 16),
        patch_px=reader.whole("patch_size", 32),
        image_px=reader.whole("image_size", 224),
        norm_epsilon=reader.fraction("layer_norm_eps", 1e-6),
    )


def _text(reader: _ConfigReader) -> SmolVLMTextConfig:
    reader.require("model_type", "llama", default="llama")
    reader.require("hidden_act", TEXT_ACTIVATION, default=TEXT_ACTIVATION)
    for name in ("attention_bias", "mlp_bias"):
        reader.require(name, expected=False, default=False)
    hidden, heads = reader.whole("hidden_size", 4096), reader.whole("num_attention_heads", 32)
    given_head_dim = reader.values.get("head_dim")
    return SmolVLMTextConfig(
        vocabulary=reader.whole("vocab_size", 32_000),
        hidden=hidden,
        ffn=reader.whole("intermediate_size", 11_008),
        layers=reader.whole("num_hidden_layers", 32),
        heads=heads,
        kv_heads=heads
        if reader.values.get("num_key_value_heads") is None
        else reader.whole("num_key_value_heads", heads),
        head_dim=hidden // heads if given_head_dim is None else reader.whole("head_dim", 0),
        context_tokens=reader.whole("max_position_embeddings", 2048),
        norm_epsilon=reader.fraction("rms_norm_eps", 1e-6),
        rope_theta=_rope_theta(reader),
    )


def _rope_theta(reader: _ConfigReader) -> float:
    """Return the base of the rotary angles, which newer files store in ``rope_parameters``."""
    scaling = reader.values.get("rope_parameters") or reader.values.get("rope_scaling") or {}
    kind = (
        scaling.get("rope_type", scaling.get("type", "default")) if isinstance(scaling, Mapping) else scaling
    )
    if kind != "default" or not isinstance(scaling, Mapping):
        raise ModelNotRunnableError(
            f"{reader.path} has rotary positions of type {kind!r}, expected 'default'."
        )
    theta = scaling.get("rope_theta", reader.values.get("rope_theta", 10_000.0))
    if not isinstance(theta, int | float) or isinstance(theta, bool) or not theta > 1:
        raise BrokenCheckpointError(f"{reader.path} has rope_theta {theta!r}, expected a number above 1.")
    return float(theta)


def _check(path: Path, config: SmolVLMConfig) -> None:
    """Raise BrokenCheckpointError for inconsistent sizes."""
    vision, text = config.vision, config.text
    rules = {
        "image_size is a multiple of patch_size": vision.image_px % vision.patch_px == 0,
        "the patches of a side are a multiple of scale_factor": (
            vision.patches_per_side % config.pixel_shuffle == 0 and vision.patches_per_side > 0
        ),
        "the vision tower's hidden_size is a multiple of its heads": vision.hidden % vision.heads == 0,
        "num_attention_heads is a multiple of num_key_value_heads": text.heads % text.kv_heads == 0,
        "head_dim is even": text.head_dim % 2 == 0,
        "image_token_id is in the vocabulary": config.image_token_id < text.vocabulary,
        f"there are at most {MAX_LAYERS} layers": max(vision.layers, text.layers) <= MAX_LAYERS,
    }
    for rule, holds in rules.items():
        if not holds:
            raise BrokenCheckpointError(f"{path} has inconsistent sizes. Not true: {rule}.")


@dataclass(frozen=True)
class _ConfigReader:
    """An object of config.json and the file's path."""

    path: Path
    values: Mapping[str, Any]

    def part(self, name: str) -> _ConfigReader:
        value = self.values.get(name)
        if not isinstance(value, dict):
            raise BrokenCheckpointError(f"{self.path} has {name} {value!r}, expected an object.")
        return _ConfigReader(self.path, value)

    def whole(self, name: str, default: int) -> int:
        value = self.values.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**31:
            raise BrokenCheckpointError(f"{self.path} has {name} {value!r}, expected an integer above 0.")
        return value

    def fraction(self, name: str, default: float) -> float:
        value = self.values.get(name, default)
        if not isinstance(value, float) or not 0 < value < 1:
            raise BrokenCheckpointError(
                f"{self.path} has {name} {value!r}, expected a number between 0 and 1."
            )
        return value

    def require(self, name: str, expected: object, *, default: object) -> None:
        value = self.values.get(name, default)
        if value != expected:
            raise ModelNotRunnableError(f"{self.path} has {name} {value!r}; only {expected!r} is supported.")
