"""Fields that several kinds of request share: strict types, bounds on every number."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

MAX_TOKENS = 131_072
MAX_MESSAGES = 1000
MAX_PARTS = 2000  # of all messages together
MAX_CHOICES = 8
MAX_STOPS = 16
MAX_MODALITIES = 16
MAX_BIASES = 1024
MAX_TOP_LOGPROBS = 20
MAX_ID_DIGITS = 9


def _whole_number(value: object) -> object:
    """Return 100 for 100.0, as clients write it whose language has one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _none_for_minus_one(value: object) -> object:
    """Return None for -1, as which LM Studio, llama.cpp and vLLM clients write "no limit" and "off"."""
    whole = _whole_number(value)
    return None if whole == -1 and type(whole) is int else whole


def _known_detail(value: object) -> object:
    """Return "auto" for a detail that is not known here: other servers have their own."""
    return "auto" if isinstance(value, str) and value not in _DETAILS else value


_DETAILS = ("auto", "low", "high", "original")
Whole = BeforeValidator(_whole_number)
MaxTokens: TypeAlias = Annotated[
    Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None, BeforeValidator(_none_for_minus_one)
]
TopK: TypeAlias = Annotated[
    Annotated[int, Field(ge=0, le=1_000_000)] | None, BeforeValidator(_none_for_minus_one)
]
Temperature: TypeAlias = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
TopP: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Penalty: TypeAlias = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
Bias: TypeAlias = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
Seed: TypeAlias = Annotated[int, Whole, Field(ge=-(2**63), le=2**63 - 1)]
ModelName: TypeAlias = Annotated[str, Field(max_length=300)]
Detail: TypeAlias = Annotated[Literal["auto", "low", "high", "original"], BeforeValidator(_known_detail)]


def _require_few_parts(messages: object) -> object:
    """Count the parts of all messages before any is looked at: checking each takes microseconds."""
    if isinstance(messages, list):
        contents = [one.get("content") for one in messages[:MAX_MESSAGES] if isinstance(one, dict)]
        num_parts = sum(len(content) for content in contents if isinstance(content, list))
        if num_parts > MAX_PARTS:
            raise PydanticCustomError(
                "too_long", f"The messages have {num_parts} parts together (limit {MAX_PARTS})"
            )
    return messages


def _require_few_biases(biases: object) -> object:
    if isinstance(biases, dict) and len(biases) > MAX_BIASES:
        raise PydanticCustomError("too_long", f"There are {len(biases)} biases (limit {MAX_BIASES})")
    return biases


FewParts = BeforeValidator(_require_few_parts)
FewBiases = BeforeValidator(_require_few_biases)


class Wire(BaseModel):
    """The base of request bodies: known fields are strictly typed, unknown ones are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


def fineness(detail: str | None) -> str:
    """Return a detail as models take it: "original" becomes "high", None becomes "auto"."""
    return {"original": "high", None: "auto"}.get(detail, detail or "auto")


def usable_seed(seed: int | None) -> int | None:
    """Map a seed, which may be negative, to the sampler's range from 0 to 2**63 - 1."""
    return None if seed is None else seed % 2**63
