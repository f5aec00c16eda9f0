"""The result of an exploration: several schemes of one base, each validated on the same pictures."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from smallsight.validation.result import (
    Judgement,
    Machine,
    Spread,
    Summary,
    System,
    ValidationResult,
    _Value,
)

EXPLORATION_FORMAT_VERSION = 1


class ExploredScheme(_Value):
    """One scheme: what it stores, and how it did. ``description`` names its forms by module, for people."""

    name: str
    scheme: str  # as text that a variant can be saved with
    description: str
    weights_bytes: int
    peak_bytes: int | None  # private bytes of the process while answering
    tokens_per_s: Spread | None
    summary: Summary
    judgement: Judgement
    is_saved: bool = False  # as a local variant that can be loaded by its name


class Exploration(_Value):
    """Everything that ``--explore`` tried. ``problems`` are the schemes that could not be validated."""

    format_version: int = EXPLORATION_FORMAT_VERSION
    measured_at: datetime
    machine: Machine
    picture_set: str
    base: System
    base_weights_bytes: int
    base_tokens_per_s: Spread | None
    schemes: tuple[ExploredScheme, ...]
    problems: dict[str, str] = Field(default_factory=dict)


def explored_scheme(
    result: ValidationResult,
    description: str,
    *,
    name: str | None = None,
    scheme: str | None = None,
    is_saved: bool = False,
) -> ExploredScheme:
    """Return what an exploration keeps of the validation of one scheme, which has measured its memory.

    ``name`` and ``scheme`` are by default those of the variant.
    """
    variant = result.variant
    memory, speed = variant.memory, variant.speed
    return ExploredScheme(
        name=name or variant.system.name,
        scheme=scheme or variant.system.scheme or variant.system.precision or variant.system.name,
        description=description,
        weights_bytes=0 if memory is None else memory.weights_bytes,
        peak_bytes=None if memory is None else memory.private_peak_bytes,
        tokens_per_s=None if speed is None else speed.tokens_per_s,
        summary=result.summary,
        judgement=result.judgement,
        is_saved=is_saved,
    )
