"""Finds a checkpoint's picture settings in the files of transformers 4 and 5."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smallsight.catalog.checkpoint import read_json_object
from smallsight.errors import BrokenCheckpointError


def picture_settings(model_dir: Path) -> tuple[Path, Mapping[str, Any]]:
    """Return the file with the settings of pictures, and the settings; raises BrokenCheckpointError.

    The section ``image_processor`` of processor_config.json goes before preprocessor_config.json, as in
    transformers 5.24: a checkpoint that is saved again keeps the older file with outdated settings.
    """
    path, older = model_dir / "processor_config.json", model_dir / "preprocessor_config.json"
    if path.exists() and isinstance(described := read_json_object(path).get("image_processor"), dict):
        return path, described
    if older.exists():
        return older, read_json_object(older)
    raise BrokenCheckpointError(
        f"{model_dir} has no picture settings.",
        hint="fetch preprocessor_config.json or processor_config.json.",
    )
