"""Fields that the requests of several protocols share: strict types, bounds on every number."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

MAX_TOKENS = 131_072
MAX_MESSAGES = 1000
MAX_PARTS = 2000
MAX_CHOICES = 8
MAX_STOPS = 16
MAX_TOP_LOGPROBS = 20

MaxTokens: TypeAlias = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
Temperature: TypeAlias = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
TopP: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Penalty: TypeAlias = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
Seed: TypeAlias = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
ModelName: TypeAlias = Annotated[str, Field(max_length=300)]
Detail: TypeAlias = Literal["auto", "low", "high", "original"]


class Wire(BaseModel):
    """What comes over the wire: known fields have their types, unknown ones are left alone."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


def fineness(detail: Detail | None) -> str:
    """Return a detail in Smallsight's words: "original" is as fine as it gets."""
    return {"original": "high", None: "auto"}.get(detail, detail or "auto")


def usable_seed(seed: int | None) -> int | None:
    """Return a seed that the sampler takes: clients may send negative ones."""
    return None if seed is None else seed % 2**63
