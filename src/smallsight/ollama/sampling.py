"""The ``options`` and the ``format`` of a request, and what they mean for a question.

Source: Ollama's docs/api.md and api/types.go. Options that only tune Ollama's engine are left alone.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from smallsight.answering.answer_schema import schema_text
from smallsight.errors import BadRequestError

MAX_TOKENS = 131_072
MAX_STOPS = 16
_JSON = "json"

_Penalty: TypeAlias = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]


class OllamaBody(BaseModel):
    """The base of request bodies; numbers may be written as in Go's JSON, unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class OllamaOptions(OllamaBody):
    """The options that change an answer."""

    num_predict: Annotated[int, Field(ge=-(2**31), le=2**31)] | None = None
    temperature: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    top_k: Annotated[int, Field(ge=-(2**31), le=1_000_000)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: str | Annotated[list[str], Field(max_length=MAX_STOPS, fail_fast=True)] | None = None
    repeat_penalty: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None

    @property
    def max_tokens(self) -> int | None:
        """The longest answer; zero and negative numbers stand for the whole context."""
        if self.num_predict is None:
            return None
        return MAX_TOKENS if self.num_predict <= 0 else min(self.num_predict, MAX_TOKENS)

    def sampling(self) -> dict[str, Any]:
        """Return the options of a question by name, without those that are not given."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop
        given = {
            "top_p": self.top_p,
            "top_k": None if self.top_k is None else max(self.top_k, 0),
            "seed": None if self.seed in (None, -1) else self.seed % 2**63,
            "stop": [one for one in stop or () if one] or None,
            "repetition_penalty": None if not self.repeat_penalty else max(self.repeat_penalty, 0.01),
            "presence_penalty": self.presence_penalty or None,
            "frequency_penalty": self.frequency_penalty or None,
        }
        return {name: value for name, value in given.items() if value is not None}


def format_schema(form: object) -> str | None:
    """Return the JSON schema that ``format`` asks for, None for text; raises BadRequestError."""
    if form is None or form == "":
        return None
    if form == _JSON:
        return schema_text("json_object", None, "format")
    if isinstance(form, dict):
        return schema_text("json_schema", form, "format")
    raise BadRequestError(
        'format is neither "json" nor a JSON schema.',
        hint='use "json", or a schema as an object.',
        param="format",
    )
