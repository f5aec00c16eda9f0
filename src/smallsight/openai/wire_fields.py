"""Fields that several kinds of request share: strict types, bounds on every number."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from smallsight.errors import BadRequestError

MAX_TOKENS = 131_072
MAX_MESSAGES = 1000
MAX_PARTS = 2000  # of all messages together
MAX_CHOICES = 8
MAX_STOPS = 16
MAX_MODALITIES = 16
MAX_BIASES = 1024
MAX_TOP_LOGPROBS = 20
MAX_ID_DIGITS = 9


def _none_for_minus_one(value: object) -> object:
    """Return None for -1, as which LM Studio, llama.cpp and vLLM clients write "no limit" and "off"."""
    return None if value == -1 and isinstance(value, int) else value


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
Seed: TypeAlias = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
ModelName: TypeAlias = Annotated[str, Field(max_length=300)]
Detail: TypeAlias = Literal["auto", "low", "high", "original"]


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


def fineness(detail: Detail | None) -> str:
    """Return a detail as models take it: "original" becomes "high", None becomes "auto"."""
    return {"original": "high", None: "auto"}.get(detail, detail or "auto")


def schema_text(kind: str, schema: Mapping[str, Any] | None, param: str) -> str | None:
    """Return the JSON schema that an answer of this format must match, None for text.

    Raises BadRequestError for a schema that is missing or not JSON.
    """
    if kind == "text":
        return None
    if kind == "json_object":
        return '{"type":"object"}'
    if schema is None:
        raise BadRequestError(f"{param} has no schema.", hint="give one as an object.", param=param)
    try:
        return json.dumps(schema, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(
            f"{param} is not JSON.", hint="use finite numbers and less nesting.", param=param
        ) from error


def usable_seed(seed: int | None) -> int | None:
    """Map a seed, which may be negative, to the sampler's range from 0 to 2**63 - 1."""
    return None if seed is None else seed % 2**63
