"""Florence-2's record in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallsight.families.family import Capabilities, Family, Plan, Prompts
from smallsight.families.florence2.shapes import kv_cache_bytes, tensor_shapes
from smallsight.families.florence2.tasks import DESCRIBE, READING_TASKS, TASKS

if TYPE_CHECKING:
    from pathlib import Path

    from smallsight.quant.scheme import Scheme


def check_weights(model_dir: Path) -> None:
    """Compare the headers of the weights with the configuration."""
    from smallsight.catalog.checkpoint import find_weight_files  # noqa: PLC0415 - not needed to list models
    from smallsight.families.florence2.processor import Florence2Processor  # noqa: PLC0415
    from smallsight.families.florence2.weights import Florence2Weights  # noqa: PLC0415

    processor = Florence2Processor(model_dir)
    Florence2Weights(find_weight_files(model_dir), processor.config.sizes(processor.image_px))


def adapt_scheme(scheme: Scheme) -> Scheme:
    """Return the scheme as this family stores it."""
    from smallsight.families.florence2.stored import adapted  # noqa: PLC0415 - numpy is not needed to list models

    return adapted(scheme)


def context_tokens(model_dir: Path) -> int:
    """Return how many tokens the text part takes."""
    from smallsight.families.florence2.config import read_config  # noqa: PLC0415 - not needed to list models

    return read_config(model_dir).text_positions


FAMILY = Family(
    name="florence2",
    title="Florence-2",
    plan=Plan.ENCODER_DECODER,
    tensor_shapes=tensor_shapes,
    kv_cache_bytes=kv_cache_bytes,
    capabilities=Capabilities(tasks=frozenset(TASKS), reading_tasks=READING_TASKS, searches_with_beams=True),
    prompts=Prompts(DESCRIBE),
    check_weights=check_weights,
    adapt_scheme=adapt_scheme,
    context_tokens=context_tokens,
)
