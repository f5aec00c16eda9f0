"""Schemas as clients write them, and what the grammar library gets."""

from __future__ import annotations

import re
from typing import Any

import pytest

from smallsight.engine.decoding.schema_dialect import adapted_schema, pattern_of_choices
from smallsight.engine.decoding.schema_trial import require_usable_schema
from smallsight.errors import ArgumentError

A: dict[str, Any] = {"a": {"type": "string"}}
B: dict[str, Any] = {"b": {"type": "string"}}
CLOSED = {"properties": A, "additionalProperties": False}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"properties": A}, CLOSED),
        ({"properties": A, "additionalProperties": True}, {"properties": A, "additionalProperties": True}),
        ({"type": "object"}, {"type": "object"}),
        ({"items": {"properties": A}}, {"items": CLOSED}),
        ({"anyOf": [{"properties": A}, {"type": "null"}]}, {"anyOf": [CLOSED, {"type": "null"}]}),
        ({"const": {"properties": A}}, {"const": {"properties": A}}),
        ({"enum": [{"format": "x"}]}, {"enum": [{"format": "x"}]}),
        (
            {"allOf": [{"properties": A}, {"properties": B}]},
            {"allOf": [{"properties": A}, {"properties": B}]},
        ),
        ({"allOf": [{"properties": A}]}, {"allOf": [CLOSED]}),
        (
            {"properties": A, "$ref": "#/$defs/B", "$defs": {"B": {"properties": B}}},
            {"properties": A, "$ref": "#/$defs/B", "$defs": {"B": {"properties": B}}},
        ),
        (
            {"$ref": "#/$defs/A", "$defs": {"A": {"properties": A}}},
            {"$ref": "#/$defs/A", "$defs": {"A": CLOSED}},
        ),
        ({"properties": {"properties": {"type": "string", "format": "path"}}}, None),
        (
            {
                "$defs": {"X": {"$defs": {"A": {"properties": A}}}},
                "allOf": [{"$ref": "#/$defs/X/$defs/A"}, {}],
            },
            {
                "$defs": {"X": {"$defs": {"A": {"properties": A}}}},
                "allOf": [{"$ref": "#/$defs/X/$defs/A"}, {}],
            },
        ),
        ({"type": "string", "format": "binary"}, {"type": "string"}),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        ({"type": "array", "uniqueItems": True}, {"type": "array"}),
        ({"type": "object", "propertyNames": {"type": "string"}}, {"type": "object"}),
        ({"propertyNames": {"maxLength": 3}}, {"propertyNames": {"maxLength": 3}}),
        ({"not": {"properties": A}}, {"not": CLOSED}),
    ],
    ids=str,
)
def test_a_schema_is_adapted(given: dict[str, Any], expected: dict[str, Any] | None):
    adapted = adapted_schema(given)
    if expected is None:
        expected = {"properties": {"properties": {"type": "string"}}, "additionalProperties": False}
    assert adapted == expected
    assert adapted_schema(adapted) == adapted


def test_schemas_of_well_known_libraries_can_be_used():
    for schema in (
        '{"type":"object","propertyNames":{"type":"string"},"additionalProperties":{"type":"number"}}',
        '{"type":"array","items":{"type":"string","format":"path"},"uniqueItems":true}',
        '{"type":"string","format":"base64","contentEncoding":"base64"}',
        '{"x-smallsight-pattern":"owl|bee"}',
    ):
        require_usable_schema(schema)


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ('{"type":"string","pattern":"(?=a)b"}', r"pattern '(?=a)b': look-around"),
        ('{"x-smallsight-pattern":"(a"}', "pattern '(a': unclosed group"),
        ('{"not":{"type":"string"}}', '"not"'),
        ('{"propertyNames":{"maxLength":3}}', '"propertyNames"'),
    ],
)
def test_what_is_not_supported_is_named(schema: str, told: str):
    with pytest.raises(ArgumentError, match=re.escape(told)):
        require_usable_schema(schema)


def test_a_pattern_of_choices_matches_exactly_them():
    choices = ("a.b", "(x) [y] {z}", "^$", "a|b", "\\d", "tick ✔", "a-b&c~d#e")
    pattern = re.compile(pattern_of_choices(choices))
    for one in choices:
        assert pattern.fullmatch(one)
    for other in ("axb", "a", "b", "7", ""):
        assert not pattern.fullmatch(other)
