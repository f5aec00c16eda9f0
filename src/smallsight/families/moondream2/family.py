"""moondream2's record in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallsight.families.family import Capabilities, Family, Plan, Prompts
from smallsight.families.moondream2.shapes import kv_cache_bytes, tensor_shapes
from smallsight.families.moondream2.templates import DESCRIBE, LENGTHS

if TYPE_CHECKING:
    from pathlib import Path


def check_weights(model_dir: Path) -> None:
    """Compare the headers of the weights with config.json."""
    from smallsight.catalog.checkpoint import find_weight_files  # noqa: PLC0415 - not needed to list models
    from smallsight.families.moondream2.config import read_config  # noqa: PLC0415
    from smallsight.families.moondream2.weights import Moondream2Weights  # noqa: PLC0415

    Moondream2Weights(find_weight_files(model_dir), read_config(model_dir).sizes())


FAMILY = Family(
    name="moondream2",
    title="moondream2",
    plan=Plan.PREFIX,
    tensor_shapes=tensor_shapes,
    kv_cache_bytes=kv_cache_bytes,
    capabilities=Capabilities(detects_places=True, lengths=LENGTHS),
    prompts=Prompts(DESCRIBE),
    check_weights=check_weights,
)
