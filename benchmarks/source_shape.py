"""The shape of the source: files and functions by folder, import cycles, imports that go up, names of types.

Counts what is in src/smallsight, without running it; sizes are in lines. A cycle is a set of modules that
import each other at module level, also for type checkers alone. What may import what is the first contract of
pyproject.toml: an import from one of its lines to another part of the same line, or to a line above, goes up.
A name stands for several types if classes or aliases of several files have it.

Run: python benchmarks/source_shape.py [--json FILE]
"""

from __future__ import annotations

import argparse
import ast
import json
import statistics
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "smallsight"
LONG_FUNCTION = 50


def main() -> None:
    """Print the table and the counts, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the numbers here")
    arguments = parser.parse_args()
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
    imports = {name_of(path): set(imports_of(tree, trees)) for path, tree in trees.items()}
    found: dict[str, Any] = {
        "folders": {name: sizes(paths, trees) for name, paths in folders(trees).items()},
        "cycles": cycles(imports),
        "imports_up": imports_up(imports),
        "shared_type_names": shared_type_names(trees),
    }
    print("| folder | files | lines | file: median, p95, longest | function: p95, longest | over 50 |")
    print("|---|---|---|---|---|---|")
    for name, one in found["folders"].items():
        print(
            f"| {name} | {one['files']} | {one['lines']:,} | {one['file_median']}, {one['file_p95']}, "
            f"{one['file_max']} | {one['function_p95']}, {one['function_max']} | {one['long_functions']} |"
        )
    for kind in ("cycles", "imports_up", "shared_type_names"):
        print(f"{kind}: {len(found[kind])} {found[kind] or ''}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def folders(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the files of the package, and of each folder in it, the largest folder first."""
    by_folder: defaultdict[str, list[Path]] = defaultdict(list)
    for path in paths:
        parts = path.relative_to(PACKAGE).parts
        by_folder[parts[0] if len(parts) > 1 else "top"].append(path)
    ordered = sorted(by_folder.items(), key=lambda item: -len(item[1]))
    return {"all": [one for _, own in ordered for one in own], **dict(ordered)}


def sizes(paths: list[Path], trees: dict[Path, ast.Module]) -> dict[str, int]:
    """Return numbers of files, lines and long functions, and percentiles of lengths."""
    files = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)
    functions = sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in paths
        for node in ast.walk(trees[path])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ) or [0]
    return {
        "files": len(files),
        "lines": sum(files),
        "file_median": round(statistics.median(files)),
        "file_p95": percentile(files, 95),
        "file_max": files[-1],
        "function_p95": percentile(functions, 95),
        "function_max": functions[-1],
        "long_functions": sum(length > LONG_FUNCTION for length in functions),
    }


def percentile(ordered: list[int], percent: int) -> int:
    """Return the value that so many percent of the values do not exceed."""
    return ordered[-(-len(ordered) * percent // 100) - 1]


def name_of(path: Path) -> str:
    """Return a module's name."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree: ast.Module, trees: Iterable[Path]) -> Iterator[str]:
    """Yield the package's modules that a module imports at its top level."""
    known = {name_of(path) for path in trees}
    for node in top_level(tree.body):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            inner = [f"{node.module}.{one.name}" for one in node.names]
            yield from (one if one in known else node.module for one in inner)


def top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements outside functions and classes."""
    for node in body:
        if isinstance(node, ast.If):
            yield from top_level([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from top_level(
                [*node.body, *node.orelse, *(one for each in node.handlers for one in each.body)]
            )
        else:
            yield node


def cycles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Return the sets of modules that reach each other."""
    reached = {name: reach(name, imports) for name in imports}
    found = {frozenset(one for one in reached[name] if name in reached[one]) for name in imports}
    return sorted(sorted(one) for one in found if one)


def reach(start: str, imports: dict[str, set[str]]) -> set[str]:
    """Return all modules that a module imports, directly or not; itself only through another."""
    seen: set[str] = set()
    waiting = [*imports[start] - {start}]
    while waiting:
        if (name := waiting.pop()) not in seen:
            seen.add(name)
            waiting += imports[name] - {name}
    return seen


def imports_up(imports: dict[str, set[str]]) -> list[str]:
    """Return the imports from a layer to one above it, or to another one beside it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = project["tool"]["importlinter"]["contracts"][0]["layers"]
    layer = {one.strip(): number for number, line in enumerate(lines) for one in line.split("|")}

    def part(name: str) -> str:
        return ".".join(name.split(".")[:2])

    return sorted(
        f"{name} -> {other}"
        for name, others in imports.items()
        for other in others
        if part(name) in layer and part(other) in layer
        if part(name) != part(other) and layer[part(other)] <= layer[part(name)]
    )


def shared_type_names(trees: dict[Path, ast.Module]) -> dict[str, list[str]]:
    """Return the names that classes or aliases of several places have, private ones counted."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(name_of(path))
        for node in top_level(tree.body):
            if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name):
                name = target.id.lstrip("_")
                if name[:1].isupper() and not name.isupper() and not isinstance(node.value, ast.Call):
                    places[name].append(name_of(path))
    return {name: found for name, found in sorted(places.items()) if len(found) > 1}


if __name__ == "__main__":
    main()
