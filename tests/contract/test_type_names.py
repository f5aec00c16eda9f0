"""One type name, one meaning: no class or alias of src has the name of another, private ones counted."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from contract.checkout import assert_none, parsed, place, python_files


def names_of_types(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield node.name
            yield from names_of_types(node.body)
        elif isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name):
            is_variable = isinstance(node.value, ast.Call)  # a TypeVar means nothing outside its file
            if target.id.lstrip("_")[:1].isupper() and not target.id.isupper() and not is_variable:
                yield target.id
        elif isinstance(node, ast.If | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from names_of_types(node.body)


def test_no_two_types_share_a_name():
    places: defaultdict[str, set[str]] = defaultdict(set)
    for path in python_files("src"):
        for name in names_of_types(parsed(path).body):
            places[name.lstrip("_")].add(f"{name} in {place(path)}")
    shared = [" and ".join(sorted(found)) for found in places.values() if len(found) > 1]
    assert_none("a type has a name that no other has", sorted(shared))
