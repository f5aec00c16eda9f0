"""The English texts of the pages, found where they are written."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from jinja2 import Environment, nodes

from contract.checkout import PACKAGE
from smallsight.web.data_texts import data_texts

WEB = PACKAGE / "web"
_NAMES = {"t": 1, "translate": 1, "tn": 3, "translate_count": 3}
MONTHS = "January February March April May June July August September October November December".split()


def interface_texts() -> set[str]:
    """Return every text that is passed to a function that translates."""
    found = set(MONTHS) | data_texts()
    for path in WEB.glob("**/*.py"):
        found.update(_in_python(path.read_text("utf-8")))
    for path in (WEB / "templates").glob("*.html"):
        found.update(_in_template(path.read_text("utf-8")))
    return found


def _in_python(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _NAMES:
            for argument in node.args[: _NAMES[node.func.id]]:
                branches = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
                yield from (one.value for one in branches if isinstance(one, ast.Constant))


def _in_template(source: str) -> Iterator[str]:
    for node in Environment(autoescape=True).parse(source).find_all(nodes.Call):
        if isinstance(node.node, nodes.Name) and node.node.name in _NAMES:
            for argument in node.args[: _NAMES[node.node.name]]:
                if isinstance(argument, nodes.Const) and isinstance(argument.value, str):
                    yield argument.value
