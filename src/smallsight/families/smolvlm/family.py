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


def check_weights(model_dir: Path) -> None:
    """Compare the headers of the weights with config.json."""
    from smallsight.catalog.checkpoint import find_weight_files  # noqa: PLC0415 - not needed to list models
    from smallsight.families.smolvlm.config import read_config  # noqa: PLC0415
    from smallsight.families.smolvlm.weights import SmolVLMWeights  # noqa: PLC0415

    SmolVLMWeights(find_weight_files(model_dir), read_config(model_dir))


def check_template(model_dir: Path, notes_dir: Path | None) -> None:
    """Render the chat template in a child process, once for each template."""
    from smallsight.families.smolvlm.template_trial import require_usable_template  # noqa: PLC0415

    require_usable_template(model_dir, notes_dir)


def context_tokens(model_dir: Path) -> int:
    """Return how many tokens the text part takes."""
    from smallsight.families.smolvlm.config import read_config  # noqa: PLC0415 - not needed to list models

    return read_config(model_dir).text.context_tokens


FAMILY = Family(
    name="smolvlm",
    title="SmolVLM",
    plan=Plan.INLINE,
    tensor_shapes=tensor_shapes,
    kv_cache_bytes=kv_cache_bytes,
    capabilities=Capabilities(supports_chat=True, recalls_pictures=True),
    prompts=Prompts("Can you describe this image?", "Can you describe this video?"),
    open_inline=_open,
    check_weights=check_weights,
    check_template=check_template,
    context_tokens=context_tokens,
)
