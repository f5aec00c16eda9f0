"""Pebble's record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallsight.families.family import Capabilities, Family, Plan, Prompts
from smallsight.families.smolvlm.shapes import kv_cache_bytes, tensor_shapes

if TYPE_CHECKING:
    from pathlib import Path

    from smallsight.families.pebble.model import PebbleModel

    from smallsight.quant.scheme import Scheme


def _open(model_dir: Path, scheme: Scheme, tiled_bytes: int) -> PebbleModel:
    from smallsight.families.pebble.model import PebbleModel

    return PebbleModel(model_dir, scheme, tiled_bytes)


FAMILY = Family(
    name="pebble",
    title="Pebble",
    plan=Plan.INLINE,
    tensor_shapes=tensor_shapes,
    kv_cache_bytes=kv_cache_bytes,
    capabilities=Capabilities(supports_chat=True, recalls_pictures=True),
    prompts=Prompts("What do you see?"),
    open_inline=_open,
)
