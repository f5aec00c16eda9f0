"""Compiles a JSON schema within the limits that hold for every schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from smallsight.engine.decoding.schema_dialect import PATTERN

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

# No spaces between values: a weak model would write them until it reaches max_tokens.
_FORMAT: JsonCompileOptions = {"whitespace_flexible": False}


def compile_schema(vocabulary: LLTokenizer, schema: str) -> LLMatcher | str:
    """Return a matcher, which may be in its error state, or the reason why there is none."""
    try:
        grammar = _grammar(schema)
    except ValueError as error:
        return str(error) or "invalid"
    limits = LLParserLimits(
        max_items_in_row=1000,
        initial_lexer_fuel=200_000,
        step_lexer_fuel=60_000,
        step_max_items=20_000,
        max_lexer_states=50_000,
        max_grammar_size=50_000,
        verbose_errors=False,
    )
    return LLMatcher(vocabulary, grammar, log_level=0, limits=limits)


def _grammar(schema: str) -> str:
    pattern = json.loads(schema).get(PATTERN) if PATTERN in schema else None
    if isinstance(pattern, str):
        return LLMatcher.grammar_from_regex(pattern)
    return LLMatcher.grammar_from_json_schema(schema, overrides=_FORMAT)


def reason_in(error: str) -> str:
    """Return an error's first line, or the pattern and the reason where it is about a regular expression."""
    lines = error.split("\n")
    at = next((index for index, line in enumerate(lines) if line.endswith("regex parse error:")), None)
    why = next((line for line in lines if line.startswith("error: ")), None)
    if at is None or why is None:
        return lines[0]
    return f"pattern {lines[at + 1].strip()!r}: {why.removeprefix('error: ')}"
