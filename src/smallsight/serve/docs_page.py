"""`/docs`: the routes on one plain page, generated from the description that `/openapi.json` returns.

No scripts, nothing from other hosts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from smallsight.version import __version__

_METHODS = ("get", "post", "put", "patch", "delete")


def docs_page(openapi: Mapping[str, Any]) -> str:
    """Return the page for an OpenAPI description."""
    rows = "\n".join(_rows(openapi))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Smallsight {escape(__version__)}</title>
</head>
<body>
<h1>Smallsight {escape(__version__)}</h1>
<p>OpenAI clients use <code>/v1</code> of this address as their <code>base_url</code>. The complete,
machine-readable description is <a href="/openapi.json">/openapi.json</a>.</p>
{rows}
</body>
</html>
"""


def _rows(openapi: Mapping[str, Any]) -> Iterator[str]:
    for path, operations in openapi["paths"].items():
        for method in _METHODS:
            if (operation := operations.get(method)) is None:
                continue
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>"
            if names := list(_field_names(operation, openapi)):
                fields = ", ".join(f"<code>{escape(name)}</code>" for name in names)
                yield f"<p>Fields: {fields}.</p>"


def _field_names(operation: Mapping[str, Any], openapi: Mapping[str, Any]) -> Iterator[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    yield from openapi.get("components", {}).get("schemas", {}).get(name, {}).get("properties", {})
