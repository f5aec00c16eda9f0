"""Settings of `smallsight validate`: which scores make a variant stable, experimental, or unfit to ship.

Owns names, types, bounds and defaults; ``settings.py`` holds the table of them.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator


class ValidationSettings(BaseModel):
    """The thresholds of a verdict; shares are of the pictures that both models answered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stable_exact: float = Field(
        0.7, ge=0, le=1, description="Share of answers equal to the base's from which a variant is stable."
    )
    stable_quality: float = Field(
        0.95,
        ge=0,
        le=1,
        description="Mean quality from which a variant is stable, whatever its exact answers.",
    )
    experimental_quality: float = Field(
        0.85,
        ge=0,
        le=1,
        validate_default=True,
        description="Mean quality from which a variant is experimental; below, do not ship.",
    )
    max_gibberish: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Share of answers that may be gibberish where the base's are not; one never counts.",
    )
    min_pictures: int = Field(
        20, ge=2, le=1_000_000, description="Pictures below which a verdict is called undecided."
    )

    @field_validator("experimental_quality")
    @classmethod
    def _require_order(cls, value: float, info: ValidationInfo) -> float:
        if value > info.data.get("stable_quality", 1.0):
            raise ValueError("must not be above validation.stable_quality")
        return value
