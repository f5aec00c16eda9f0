"""The JSON schema that an answer must match, from what a request says about its format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from smallsight.engine.decoding.schema_dialect import PATTERN, pattern_of_choices
from smallsight.errors import BadRequestError

MAX_ANSWER_CHOICES = 1024
_ANY_OBJECT = '{"type":"object"}'
_GUIDED = "guided_"  # how vLLM's older fields begin
_NOT_STRUCTURES = frozenset(("decoding_backend", "whitespace_pattern"))
_KINDS = ("json", "choice", "regex", "json_object")


def schema_text(kind: str, schema: Mapping[str, Any] | None, param: str) -> str | None:
    """Return the JSON schema that an answer of this format must match, None for text.

    Raises BadRequestError for a schema that is missing or not JSON.
    """
    if kind == "text":
        return None
    if kind == "json_object":
        return _ANY_OBJECT if schema is None else _written(schema, param)
    if schema is None:
        raise BadRequestError(f"{param} has no schema.", hint="give one as an object.", param=param)
    return _written(schema, param)


def structured_schema(given: Mapping[str, Any], param: str) -> str | None:
    """Return the schema of vLLM's structured outputs: json, choice, regex or json_object; None for no such.

    A choice and a regex are answered without the quotes of JSON. Raises BadRequestError for other kinds.
    """
    if not given:
        return None
    wanted = {name: value for name, value in given.items() if value not in (None, False)}
    if unknown := [name for name in wanted if name not in _KINDS and name not in _NOT_STRUCTURES]:
        raise BadRequestError(
            f"{param} asks for {unknown[0]!r:.60}, which is not supported.",
            hint=f"use {', '.join(_KINDS)}.",
            param=param,
        )
    found = [name for name in _KINDS if name in wanted]
    if len(found) > 1:
        raise BadRequestError(
            f"{param} has both {found[0]} and {found[1]}.", hint="use one of them.", param=param
        )
    if not found:
        return None
    kind, value = found[0], wanted[found[0]]
    if kind == "json_object":
        return _ANY_OBJECT
    if kind == "json":
        return _written(_object(value, param), param)
    pattern = value if kind == "regex" and isinstance(value, str) else None
    return json.dumps({PATTERN: pattern or pattern_of_choices(_choices(value, param))})


def guided_fields(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return vLLM's older fields of a request, guided_json and the like, by their newer names."""
    return {
        name.removeprefix(_GUIDED): value
        for name, value in extra.items()
        if name.startswith(_GUIDED) and value is not None
    }


def _choices(value: object, param: str) -> tuple[str, ...]:
    texts = tuple(value) if isinstance(value, list) else ()
    if not 1 <= len(texts) <= MAX_ANSWER_CHOICES or not all(isinstance(one, str) and one for one in texts):
        raise BadRequestError(
            f"{param} has no valid choice or regex.",
            hint=f"give a choice as a list of 1 to {MAX_ANSWER_CHOICES} texts, a regex as a text.",
            param=param,
        )
    return texts


def _object(value: object, param: str) -> Mapping[str, Any]:
    """Return a schema that may be written as text."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadRequestError(f"{param} is not a JSON schema.", hint="give an object.", param=param)
    return found


def _written(schema: Mapping[str, Any], param: str) -> str:
    try:
        return json.dumps(schema, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(
            f"{param} is not JSON.", hint="use finite numbers and less nesting.", param=param
        ) from error
