"""Florence-2's record in the registry."""

from __future__ import annotations

from smallsight.families.family import Capabilities, Family, Plan, Prompts
from smallsight.families.florence2.shapes import kv_cache_bytes, tensor_shapes
from smallsight.families.florence2.tasks import DESCRIBE, TASKS

FAMILY = Family(
    name="florence2",
    title="Florence-2",
    plan=Plan.ENCODER_DECODER,
    tensor_shapes=tensor_shapes,
    kv_cache_bytes=kv_cache_bytes,
    capabilities=Capabilities(tasks=frozenset(TASKS), searches_with_beams=True),
    prompts=Prompts(DESCRIBE),
)
