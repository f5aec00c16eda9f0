"""Compiles a JSON schema within the limits that hold for every schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

# No spaces between values: a weak model would write them until it reaches max_tokens.
_FORMAT: JsonCompileOptions = {"whitespace_flexible": False}


def compile_schema(vocabulary: LLTokenizer, schema: str) -> LLMatcher | str:
    """Return a matcher, which may be in its error state, or the reason why there is none."""
    try:
        grammar = LLMatcher.grammar_from_json_schema(schema, overrides=_FORMAT)
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
