"""moondream2's record in the registry."""

from __future__ import annotations

from smallsight.families.family import Capabilities, Family, Plan, Prompts
from smallsight.families.moondream2.shapes import kv_cache_bytes, tensor_shapes
from smallsight.families.moondream2.templates import DESCRIBE, LENGTHS

FAMILY = Family(
    name="moondream2",
    title="moondream2",
    plan=Plan.PREFIX,
    tensor_shapes=tensor_shapes,
    kv_cache_bytes=kv_cache_bytes,
    capabilities=Capabilities(detects_places=True, lengths=LENGTHS),
    prompts=Prompts(DESCRIBE),
)
