"""Adapts JSON schemas as clients write them to what the grammar library can hold an answer to.

An object that lists its properties and says nothing about others is closed, because a small model would add
properties until its tokens are spent. Conditions that a grammar cannot express and formats that it does not
know are annotations, as in llama.cpp; conditions that change which answers are right are left for the library
to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Answers that are one of several texts, or match a regular expression, without the quotes of JSON.
PATTERN = "x-smallsight-pattern"

_KNOWN_FORMATS = frozenset("date-time time date duration email hostname ipv4 ipv6 uuid uri unknown".split())
_WITHOUT_GRAMMAR = frozenset("uniqueItems contains minContains maxContains unevaluatedItems".split())
_NO_CONDITION: tuple[Any, ...] = (True, {}, {"type": "string"})
_MEMBERS = ("allOf", "anyOf", "oneOf")
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = (*_MEMBERS, "prefixItems", "items")
_SINGLE = ("items", "additionalProperties", "additionalItems", "not", "if", "then", "else", "propertyNames")
_SAYS = ("additionalProperties", "patternProperties", "unevaluatedProperties")
_SHAPES = frozenset(("properties", "patternProperties", "$ref", *_MEMBERS))
_SPECIAL = frozenset(r"\.+*?()|[]{}^$#&-~/")


def adapted_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema for the grammar library; raises RecursionError for one that nests too deeply."""
    return dict(_Adapting(schema).adapted(schema, "#", is_part=False))


def pattern_of_choices(choices: tuple[str, ...]) -> str:
    """Return the regular expression that matches exactly these texts."""
    return "|".join("".join(f"\\{one}" if one in _SPECIAL else one for one in text) for text in choices)


class _Adapting:
    """One schema; an object that is a part of a composed one stays open, also where it is a reference."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._open_refs: set[str] = set()
        self._note_open_refs(root, is_part=False)

    def adapted(self, schema: Any, path: str, *, is_part: bool) -> Any:  # noqa: ANN401 - may be true or false
        if not isinstance(schema, dict):
            return schema
        composes = is_part or path in self._open_refs or _composes(schema)
        kept = {
            name: self._adapted_value(name, value, f"{path}/{name}", is_part=composes)
            for name, value in schema.items()
            if not _is_annotation(name, value)
        }
        if "properties" in schema and not composes and not any(name in schema for name in _SAYS):
            kept["additionalProperties"] = False
        return kept

    def _adapted_value(self, name: str, value: Any, path: str, *, is_part: bool) -> Any:  # noqa: ANN401
        if name in _MAPS and isinstance(value, dict):
            return {
                key: self.adapted(one, f"{path}/{_escaped(key)}", is_part=False) for key, one in value.items()
            }
        if name in _LISTS and isinstance(value, list):
            is_member = is_part and name in _MEMBERS
            return [self.adapted(one, f"{path}/{at}", is_part=is_member) for at, one in enumerate(value)]
        return self.adapted(value, path, is_part=False) if name in _SINGLE else value

    def _note_open_refs(self, schema: object, *, is_part: bool) -> None:
        if not isinstance(schema, dict):
            return
        composes = is_part or _composes(schema)
        target = schema.get("$ref")
        if composes and isinstance(target, str) and target not in self._open_refs:
            self._open_refs.add(target)
            self._note_open_refs(_resolved(self._root, target), is_part=True)
        for name, value in schema.items():
            if name in _MAPS and isinstance(value, dict):
                inner, is_inner_part = list(value.values()), False
            elif name in _LISTS and isinstance(value, list):
                inner, is_inner_part = value, composes and name in _MEMBERS
            else:
                inner, is_inner_part = ([value] if name in _SINGLE else []), False
            for one in inner:
                self._note_open_refs(one, is_part=is_inner_part)


def _composes(schema: Mapping[str, Any]) -> bool:
    """Return whether an object's properties come from more than one place."""
    all_of = schema.get("allOf")
    if isinstance(all_of, list) and len(all_of) > 1:
        return True
    if "properties" not in schema:
        return False
    members = [one for name in _MEMBERS if isinstance(schema.get(name), list) for one in schema[name]]
    return "$ref" in schema or any(isinstance(one, dict) and one.keys() & _SHAPES for one in members)


def _is_annotation(name: str, value: object) -> bool:
    if name == "format":
        return value not in _KNOWN_FORMATS if isinstance(value, str) else False
    if name == "propertyNames":
        return value in _NO_CONDITION
    return name in _WITHOUT_GRAMMAR


def _resolved(root: Mapping[str, Any], ref: str) -> object:
    found: object = root
    for step in ref.removeprefix("#").strip("/").split("/"):
        if not isinstance(found, dict) or not ref.startswith("#"):
            return None
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if step else found
    return found


def _escaped(key: str) -> str:
    """Return a step of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")
