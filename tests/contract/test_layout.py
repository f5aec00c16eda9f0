"""What a file may be called and how long it may get."""

import ast

import pytest

from contract.checkout import PACKAGE, parsed, place, python_files

FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "base", "core", "manager", "tools"}
MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 60
SOURCES = python_files("src")


@pytest.mark.parametrize("path", python_files("src", "tests", "benchmarks", "examples", "docs"), ids=place)
def test_no_file_is_named_after_nothing(path):
    assert path.stem.strip("_") not in FORBIDDEN_NAMES
    assert not FORBIDDEN_NAMES & set(path.relative_to(PACKAGE.parents[1]).parts)


@pytest.mark.parametrize("path", python_files("src", "tests", "benchmarks", "docs"), ids=place)
def test_files_are_not_too_long(path):
    num_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert num_lines <= MAX_FILE_LINES, f"{place(path)} has {num_lines} lines: it owns more than one thing"


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_functions_are_not_too_long(path):
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_every_folder_of_src_is_a_package():
    folders = {path.parent for path in SOURCES}
    assert [place(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []
