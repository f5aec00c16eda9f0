"""The sizes of a dual encoder, read from its config.json with the defaults of its family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from smallsight.catalog.checkpoint import read_json_object
from smallsight.errors import BrokenCheckpointError, ModelNotRunnableError
from smallsight.families.tensor_shape import MAX_LAYERS
from smallsight.graph.activation import Activation


@dataclass(frozen=True)
class EncoderConfig:
    """One of the two encoders."""

    hidden: int
    ffn: int
    layers: int
    heads: int
    norm_epsilon: float
    activation: Activation


@dataclass(frozen=True)
class DualEncoderConfig:
    """Both encoders; pictures have ``image_px`` on each side, vectors have ``dimensions`` numbers.

    ``end_token_id`` is the one in config.json, which may be another than the tokenizer's.
    """

    vision: EncoderConfig
    text: EncoderConfig
    image_px: int
    patch_px: int
    vocabulary: int
    text_positions: int
    dimensions: int
    end_token_id: int | None

    @property
    def num_patches(self) -> int:
        """Patches of a picture."""
        return (self.image_px // self.patch_px) ** 2


class ConfigFile:
    """A config.json and the defaults of a family for what it does not name."""

    def __init__(self, model_dir: Path, model_type: str, defaults: Mapping[str, Mapping[str, Any]]) -> None:
        self.path = model_dir / "config.json"
        self.values = read_json_object(self.path)
        self._defaults = defaults
        if (found := self.values.get("model_type")) != model_type:
            raise ModelNotRunnableError(
                f"{self.path} describes a model of type {found!r}, expected {model_type!r}."
            )

    def encoder(self, part: str) -> EncoderConfig:
        """Return the encoder of the section ``part``; raises BrokenCheckpointError."""
        activation = self.value(part, "hidden_act")
        if activation not in get_args(Activation):
            raise ModelNotRunnableError(
                f"{self.path} has hidden_act {activation!r} in {part}, expected "
                f"{' or '.join(get_args(Activation))}."
            )
        config = EncoderConfig(
            hidden=self.size(part, "hidden_size"),
            ffn=self.size(part, "intermediate_size"),
            layers=self.size(part, "num_hidden_layers", MAX_LAYERS),
            heads=self.size(part, "num_attention_heads"),
            norm_epsilon=self._epsilon(part),
            activation=activation,
        )
        if config.hidden % config.heads:
            raise BrokenCheckpointError(
                f"{self.path} has {config.heads} heads for a width of {config.hidden} in {part}."
            )
        return config

    def size(self, part: str, name: str, largest: int = 1 << 24) -> int:
        """Return a positive integer; raises BrokenCheckpointError."""
        value = self.value(part, name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= largest:
            raise BrokenCheckpointError(
                f"{self.path} has {name} {value!r} in {part}, expected an integer from 1 to {largest}."
            )
        return value

    def value(self, part: str, name: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return a value of a section, or the family's default for one that is not there or null."""
        section = self.values.get(part) or {}
        if not isinstance(section, dict):
            raise BrokenCheckpointError(f"{self.path} has a {part} that is not an object.")
        value = section.get(name)
        return self._defaults[part].get(name) if value is None else value

    def _epsilon(self, part: str) -> float:
        value = self.value(part, "layer_norm_eps")
        if not isinstance(value, float) or not 0 < value < 1:
            raise BrokenCheckpointError(
                f"{self.path} has layer_norm_eps {value!r} in {part}, expected a number between 0 and 1."
            )
        return value


def read_sizes(file: ConfigFile, dimensions: int) -> DualEncoderConfig:
    """Return the configuration in a file, for vectors of that many numbers; raises BrokenCheckpointError."""
    image_px, patch_px = file.size("vision_config", "image_size"), file.size("vision_config", "patch_size")
    if image_px % patch_px or file.value("vision_config", "num_channels") != 3:
        raise ModelNotRunnableError(
            f"{file.path} has patches of {patch_px} pixels in pictures of {image_px}, which does not fit, "
            "or pictures that are not RGB."
        )
    end = file.value("text_config", "eos_token_id")
    return DualEncoderConfig(
        vision=file.encoder("vision_config"),
        text=file.encoder("text_config"),
        image_px=image_px,
        patch_px=patch_px,
        vocabulary=file.size("text_config", "vocab_size"),
        text_positions=file.size("text_config", "max_position_embeddings"),
        dimensions=dimensions,
        end_token_id=end if isinstance(end, int) else None,
    )
