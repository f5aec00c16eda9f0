"""SmolVLM's record in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallsight.families.family import Capabilities, Family, Plan, Prompts
from smallsight.families.smolvlm.shapes import kv_cache_bytes, tensor_shapes

if TYPE_CHECKING:
    from pathlib import Path

    from smallsight.families.smolvlm.model import SmolVLMModel
    from smallsight.quant.scheme import Scheme


def _open(model_dir: Path, scheme: Scheme, tiled_bytes: int) -> SmolVLMModel:
    from smallsight.families.smolvlm.model import SmolVLMModel  # noqa: PLC0415 - loading the runtime takes 0.5 s

    return SmolVLMModel(model_dir, scheme, tiled_bytes)


FAMILY = Family(
    name="smolvlm",
    title="SmolVLM",
    plan=Plan.INLINE,
    tensor_shapes=tensor_shapes,
    kv_cache_bytes=kv_cache_bytes,
    capabilities=Capabilities(supports_chat=True, recalls_pictures=True),
    prompts=Prompts("Can you describe this image?", "Can you describe this video?"),
    open_inline=_open,
)
