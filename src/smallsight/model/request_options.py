"""Validates the keyword arguments of a request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import ArgumentError
from smallsight.errors.argument_types import as_texts, require_instance
from smallsight.families.messages import Detail

__all__ = ["parse_batch_size", "parse_detail", "parse_options"]


def parse_options(max_tokens: int | None, sampling: Mapping[str, Any]) -> tuple[SamplingOptions, bool]:
    """Return the sampling options, and whether end tokens are ignored; raises ArgumentError."""
    given = dict(sampling)
    ignores_end = require_instance("ignore_stop", given.pop("ignore_stop", False), bool, "pass a bool.")
    known = SamplingOptions.__dataclass_fields__
    for name in given:
        if name not in known:
            choices = ", ".join([*known, "detail", "client"])
            raise ArgumentError(f"Unknown option {name!r}.", hint=f"use {choices} or ignore_stop.")
    if isinstance(given.get("stop"), str):
        given["stop"] = (given["stop"],)
    elif given.get("stop") is None:
        given.pop("stop", None)
    else:
        given["stop"] = as_texts("stop", given["stop"])
    if (schema := given.get("json_schema")) is not None and not isinstance(schema, str):
        given["json_schema"] = _schema_text(schema)
    if isinstance(given.get("logit_bias"), Mapping):
        given["logit_bias"] = tuple(given["logit_bias"].items())
    try:
        return SamplingOptions(max_tokens=max_tokens, **given), ignores_end
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"An option has a value of the wrong type: {error}.") from error


def _schema_text(schema: object) -> str:
    try:
        return json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"json_schema is not JSON: {error}.", hint="pass an object.") from error


def parse_batch_size(value: object, auto: int) -> int:
    """Return a batch size of 1 or more, ``auto`` for "auto"; raises ArgumentError."""
    if isinstance(value, str) and value == "auto":
        return auto
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError(f"batch_size cannot be {value!r}.", hint='use an integer above 0, or "auto".')
    return value


def parse_detail(value: str) -> Detail:
    """Return the detail with this name; raises ArgumentError."""
    try:
        return Detail(value)
    except ValueError as error:
        raise ArgumentError(f"detail cannot be {value!r}.", hint=f"use {', '.join(Detail)}.") from error
