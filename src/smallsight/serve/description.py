"""The description in `/openapi.json`: the routes of every protocol that a server has, in one document."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fastapi import FastAPI

from smallsight.http.route_description import COMPONENT
from smallsight.serve.tenants import Tenant

_OF_FRAMEWORK = ("HTTPValidationError", "ValidationError")  # its answer to wrong fields, which nobody gets


class Description:
    """Describes an application and its tenants; made when it is first asked for."""

    def __init__(self, whole: FastAPI, tenants: Sequence[Tenant]) -> None:
        self._whole = whole
        self._tenants = tenants
        self._made: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """Return the description."""
        if self._made is None:
            self._made = _joined(self._whole.openapi(), self._tenants)
        return self._made


def _joined(whole: Mapping[str, Any], tenants: Sequence[Tenant]) -> dict[str, Any]:
    """Return one description of all; types have different names, so that none replaces another."""
    paths: dict[str, Any] = dict(whole["paths"])
    schemas: dict[str, Any] = dict(whole.get("components", {}).get("schemas", {}))
    for tenant in tenants:
        part = tenant.described()
        prefix = "" if tenant.has_whole_paths else tenant.prefix
        paths |= {f"{prefix}{path}": item for path, item in part.get("paths", {}).items()}
        schemas |= part.get("components", {}).get("schemas", {})
    paths = copy.deepcopy(paths)  # what tenants describe stays theirs
    found = _Schemas({name: one for name, one in schemas.items() if name not in _OF_FRAMEWORK})
    joined = {
        path: {method: _of_ours(one, found.place) for method, one in item.items()}
        for path, item in paths.items()
    }
    return {**whole, "paths": joined, "components": {"schemas": dict(sorted(found.by_name.items()))}}


def _of_ours(operation: Mapping[str, Any], place: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Return an operation whose schemas have their places, without the framework's answer."""
    described = {**operation, "responses": dict(operation["responses"])}
    if _OF_FRAMEWORK[0] in str(described["responses"].get("422")):
        del described["responses"]["422"]
    for part in (described.get("requestBody", {}), *described["responses"].values()):
        for content in part.get("content", {}).values():
            place(content)
    return described


class _Schemas:
    """The schemas of types, each under its name."""

    def __init__(self, by_name: dict[str, Any]) -> None:
        self.by_name = by_name

    def place(self, content: dict[str, Any]) -> None:
        """Move the schema of a type from a body to its place, and put a reference there."""
        schema = content.get("schema", {})
        if "title" not in schema or "properties" not in schema:
            return
        named = dict(_named(schema))
        self.by_name |= named
        content["schema"] = {"$ref": COMPONENT.format(model=schema["title"])}


def _named(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield a type and the types in it by name."""
    yield from schema.get("$defs", {}).items()
    yield str(schema["title"]), {name: value for name, value in schema.items() if name != "$defs"}
