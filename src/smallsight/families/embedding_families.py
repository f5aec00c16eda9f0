"""The explicit list of families whose models embed pictures and texts; they answer no questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smallsight.errors import ModelNotRunnableError
from smallsight.families.clip.shapes import tensor_shapes as clip_tensors
from smallsight.families.siglip.shapes import tensor_shapes as siglip_tensors
from smallsight.families.tensor_shape import TensorShape

if TYPE_CHECKING:
    from pathlib import Path

    from smallsight.families.dual_encoder.model import DualEncoderModel
    from smallsight.quant.scheme import Scheme


@dataclass(frozen=True)
class EmbeddingFamily:
    """A family of picture embedding models.

    ``tensor_shapes`` takes an architecture's sizes. ``open_model`` opens a folder in Hugging Face layout,
    and raises BrokenCheckpointError or ModelNotRunnableError.
    """

    name: str
    title: str
    tensor_shapes: Callable[[Mapping[str, Any]], tuple[TensorShape, ...]]
    open_model: Callable[[Path, Scheme], DualEncoderModel]


def _open_siglip(model_dir: Path, scheme: Scheme) -> DualEncoderModel:
    from smallsight.families.siglip.model import open_siglip  # noqa: PLC0415 - loading the runtime takes 0.5 s

    return open_siglip(model_dir, scheme)


def _open_clip(model_dir: Path, scheme: Scheme) -> DualEncoderModel:
    from smallsight.families.clip.model import open_clip  # noqa: PLC0415

    return open_clip(model_dir, scheme)


def _open_drawings(model_dir: Path, scheme: Scheme) -> DualEncoderModel:
    from smallsight.families.drawings.model import open_drawings  # noqa: PLC0415

    return open_drawings(model_dir, scheme)


EMBEDDING_FAMILIES: Mapping[str, EmbeddingFamily] = {
    "siglip": EmbeddingFamily("siglip", "SigLIP", siglip_tensors, _open_siglip),
    "clip": EmbeddingFamily("clip", "CLIP", clip_tensors, _open_clip),
    # Its tensors are those of a SigLIP; the tower's are in the file of Smallsight-tiny.
    "drawings": EmbeddingFamily("drawings", "drawings", siglip_tensors, _open_drawings),
}


def find_embedding_family(name: str) -> EmbeddingFamily:
    """Return the family with this name; raises ModelNotRunnableError for an unknown one."""
    if name not in EMBEDDING_FAMILIES:
        raise ModelNotRunnableError(
            f"Smallsight does not embed pictures with the model family {name!r}.",
            hint=f"use one of {', '.join(sorted(EMBEDDING_FAMILIES))}.",
        )
    return EMBEDDING_FAMILIES[name]
