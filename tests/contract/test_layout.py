"""What a file may be called, and how long it and its functions may get."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from contract.checkout import ROOT, assert_none, parsed, place, python_files

FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "base", "core", "manager", "tools"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
FOLDERS = ("src", "tests", "benchmarks", "examples", "docs", "training")
# Longer on 2026-11-28, when one number began to hold everywhere. Take an entry out when it is short enough.
LONG_FILES = {
    "tests/unit/engine/openvino/test_moondream2.py",
    "training/scenes.py",
}
LONG_FUNCTIONS = {
    "benchmarks/contenders/florence2_transformers_contender.py: main",
    "benchmarks/contenders/llama_cpp_contender.py: measure_picture",
    "benchmarks/contenders/transformers_contender.py: main",
    "benchmarks/florence2_files.py: files",
    "training/batches.py: make_sample",
}


def is_named_after_nothing(path: Path) -> bool:
    relative = path.relative_to(ROOT)
    return bool(FORBIDDEN_NAMES & {path.stem.strip("_"), *relative.parts})


def num_lines_of_functions(tree: ast.Module) -> dict[str, int]:
    return {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def long_files() -> dict[str, int]:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in python_files(*FOLDERS)}
    return {place(path): length for path, length in lengths.items() if length > MAX_FILE_LINES}


def long_functions() -> dict[str, int]:
    return {
        f"{place(path)}: {name}": length
        for path in python_files(*FOLDERS)
        for name, length in num_lines_of_functions(parsed(path)).items()
        if length > MAX_FUNCTION_LINES
    }


def test_no_file_is_named_after_nothing():
    found = [place(path) for path in python_files(*FOLDERS) if is_named_after_nothing(path)]
    assert_none("a file is named after what it owns", found)


@pytest.mark.parametrize("name", ["src/a/utils.py", "src/core/a.py", "tests/_helpers.py"])
def test_a_name_that_says_nothing_would_be_noticed(name):
    assert is_named_after_nothing(ROOT / name)


@pytest.mark.parametrize(
    ("measure", "allowed", "limit"),
    [(long_files, LONG_FILES, MAX_FILE_LINES), (long_functions, LONG_FUNCTIONS, MAX_FUNCTION_LINES)],
    ids=["files", "functions"],
)
def test_nothing_is_too_long(measure, allowed, limit):
    long = measure()
    offenders = [f"{name}: {length} lines" for name, length in long.items() if name not in allowed]
    assert_none(f"up to {limit} lines: what is longer owns more than one thing", offenders)
    assert_none("no longer too long: take it out of the list above", sorted(allowed - long.keys()))


def test_lengths_are_counted_from_the_first_line_to_the_last():
    assert num_lines_of_functions(ast.parse("def f():\n    def g():\n        pass\n\n    g()\n")) == {
        "f": 5,
        "g": 2,
    }


def test_every_folder_of_src_is_a_package():
    folders = {path.parent for path in python_files("src")} - {ROOT / "src"}
    missing = [place(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()]
    assert_none("a folder of src has an __init__.py", missing)
