"""Drops settings that no longer exist from what files and the environment set, and says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smallsight.policy.log import get_logger

__all__ = ["without_retired"]

log = get_logger(__name__)


def without_retired(values: Any, section: str, retired: Mapping[str, str]) -> Any:  # noqa: ANN401
    """Return the values of a section without retired ones; ``retired`` says of each why it is not needed."""
    if not isinstance(values, Mapping):
        return values
    for name in values.keys() & retired.keys():
        log.warning("setting_not_used", setting=f"{section}.{name}", reason=retired[name])
    return {name: value for name, value in values.items() if name not in retired}
