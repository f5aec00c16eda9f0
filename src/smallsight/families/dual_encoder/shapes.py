"""Lists the tensors that both encoders of a dual encoder have in every family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smallsight.families.tensor_shape import Role, TensorShape, linear, lookup, norm, plain


@dataclass(frozen=True)
class DualEncoderSizes:
    """The sizes that determine the tensors of a dual encoder."""

    vocabulary: int
    text_hidden: int
    text_ffn: int
    text_layers: int
    text_positions: int
    vision_hidden: int
    vision_ffn: int
    vision_layers: int
    patch_px: int
    image_px: int
    dimensions: int

    @classmethod
    def of(cls, sizes: Mapping[str, Any]) -> DualEncoderSizes:
        """Return the sizes of an architecture in the catalogue, which may name others too."""
        return cls(**{name: sizes[name] for name in cls.__dataclass_fields__})

    @property
    def num_patches(self) -> int:
        """Patches of a picture."""
        return (self.image_px // self.patch_px) ** 2


def shared_tensors(sizes: DualEncoderSizes) -> list[TensorShape]:
    """Return the tables of texts, the layers of both encoders, and the norms after them."""
    return [
        lookup("embeddings.weight", sizes.vocabulary, sizes.text_hidden),
        plain("text.positions", (sizes.text_positions, sizes.text_hidden), Role.TEXT),
        *_layers("text", Role.TEXT, sizes.text_layers, sizes.text_hidden, sizes.text_ffn),
        *norm("text.norm", sizes.text_hidden, Role.TEXT),
        *_layers("vision", Role.VISION, sizes.vision_layers, sizes.vision_hidden, sizes.vision_ffn),
        *norm("vision.norm", sizes.vision_hidden, Role.VISION),
    ]


def _layers(part: str, role: Role, num_layers: int, hidden: int, ffn: int) -> list[TensorShape]:
    tensors: list[TensorShape] = []
    for layer in range(num_layers):
        name = f"{part}.layers.{layer}"
        tensors += norm(f"{name}.attention_norm", hidden, role)
        for product in ("query", "key", "value", "output"):
            tensors += linear(f"{name}.{product}", hidden, hidden, role)
        tensors += norm(f"{name}.ffn_norm", hidden, role)
        tensors += linear(f"{name}.ffn_up", ffn, hidden, role)
        tensors += linear(f"{name}.ffn_down", hidden, ffn, role)
    return tensors
