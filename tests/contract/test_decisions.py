"""Every dependency was decided on, by a page that says why."""

import ast
import re
import tomllib
from functools import cache

import pytest

from contract.checkout import ROOT, parsed, place, python_files

FOLDER = ROOT / "docs" / "decisions"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))
HEADINGS = ["Context", "Options", "Decision", "Consequences", "When to revisit"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIREMENTS = [
    *PROJECT["dependencies"],
    *(one for extra in PROJECT["optional-dependencies"].values() for one in extra),
]
DEPENDENCIES = sorted({re.split(r"[\[<>=~!; ]", requirement)[0] for requirement in REQUIREMENTS})
IMPORTED_AS = {"pillow": "PIL", "pillow-heif": "pillow_heif"}


@pytest.mark.parametrize("name", DEPENDENCIES)
def test_a_dependency_has_a_decision(name):
    pages = [path for path in RECORDS if re.search(dependency_line(name), path.read_text(encoding="utf-8"))]
    assert pages, f"no page of docs/decisions names `{name}` in its line of dependencies"


def dependency_line(name):
    """Match the paragraph at a page's top that names its dependencies."""
    return rf"Dependenc(?:y|ies):(?:[^\n]|\n(?!\n))*`{re.escape(name)}`"


@pytest.mark.parametrize("name", DEPENDENCIES)
def test_a_dependency_is_used(name):
    module = IMPORTED_AS.get(name, name.replace("-", "_"))
    assert module in imported_by_src(), f"nothing in src imports {module}"


@cache
def imported_by_src():
    """Return the names of all top-level packages that src imports."""
    modules = set()
    for path in python_files("src"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Import):
                modules.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module.split(".")[0])
    return modules


def test_numbers_are_consecutive():
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("path", RECORDS, ids=place)
def test_a_record_has_its_headings_and_is_on_the_list(path):
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert text.startswith(f"# {int(path.name[:4])}. ")
    assert f"({path.name})" in (FOLDER / "README.md").read_text(encoding="utf-8")
