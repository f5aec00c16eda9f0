"""moondream2's record in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallsight.families.family import Capabilities, Family, Plan, Prompts
from smallsight.families.moondream2.shapes import kv_cache_bytes, tensor_shapes
from smallsight.families.moondream2.templates import DESCRIBE, LENGTHS

if TYPE_CHECKING:
    from pathlib import Path

    from smallsight.quant.scheme import Scheme


def check_weights(model_dir: Path) -> None:
    """Compare the headers of the weights with config.json."""
    from smallsight.catalog.checkpoint import find_weight_files  # noqa: PLC0415 - not needed to list models
    from smallsight.families.moondream2.config import read_config  # noqa: PLC0415
    from smallsight.families.moondream2.weights import Moondream2Weights  # noqa: PLC0415

    Moondream2Weights(find_weight_files(model_dir), read_config(model_dir).sizes())


def adapt_scheme(scheme: Scheme) -> Scheme:
    """Return the scheme as this family stores it."""
    from smallsight.families.moondream2.stored import adapted  # noqa: PLC0415 - numpy is not needed to list models

    return adapted(scheme)


def context_tokens(model_dir: Path) -> int:
    """Return how many tokens the text part takes."""
    from smallsight.families.moondream2.config import read_config  # noqa: PLC0415 - not needed to list models

    return read_config(model_dir).text.context_tokens


FAMILY = Family(
    name="moondream2",
    title="moondream2",
    plan=Plan.PREFIX,
    tensor_shapes=tensor_shapes,
    kv_cache_bytes=kv_cache_bytes,
    capabilities=Capabilities(detects_places=True, lengths=LENGTHS),
    prompts=Prompts(DESCRIBE),
    check_weights=check_weights,
    adapt_scheme=adapt_scheme,
    context_tokens=context_tokens,
)
