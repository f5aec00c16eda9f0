"""A Florence-2 checkpoint's beam search settings, from generation_config.json or text_config in config.json.

Missing values default to those of the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsight.catalog.checkpoint import read_json_object
from smallsight.errors import BrokenCheckpointError

_PUBLISHED: Mapping[str, Any] = {
    "num_beams": 3,
    "length_penalty": 1.0,
    "early_stopping": True,
    "no_repeat_ngram_size": 3,
    "forced_bos_token_id": 0,
    "forced_eos_token_id": 2,
}


@dataclass(frozen=True, slots=True)
class GenerationDefaults:
    """The fields of ``BeamOptions`` that a checkpoint sets."""

    num_beams: int
    length_penalty: float
    early_stopping: bool
    no_repeat_ngram: int
    forced_first_token_id: int | None
    forced_last_token_id: int | None


def read_generation_defaults(model_dir: Path) -> GenerationDefaults:
    """Read a checkpoint's folder; raises BrokenCheckpointError for values of the wrong type."""
    path = model_dir / "generation_config.json"
    given = read_json_object(path) if path.exists() else {}
    text = read_json_object(model_dir / "config.json").get("text_config")
    stated = {**(text if isinstance(text, dict) else {}), **given}
    present = {name: value for name, value in stated.items() if value is not None}
    values = {name: present.get(name, default) for name, default in _PUBLISHED.items()}
    try:
        return GenerationDefaults(
            int(values["num_beams"]),
            float(values["length_penalty"]),
            bool(values["early_stopping"]),
            int(values["no_repeat_ngram_size"]),
            int(values["forced_bos_token_id"]),
            int(values["forced_eos_token_id"]),
        )
    except (TypeError, ValueError) as error:
        raise BrokenCheckpointError(
            f"{path} has an invalid number: {error}.", hint="fetch it again."
        ) from error
