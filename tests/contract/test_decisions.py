"""Every dependency was decided on, by a page that says why."""

import ast
import importlib.util
import re
import tomllib
from pathlib import Path

from contract.checkout import ROOT, assert_none, parsed, place, python_files

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
# Optional for a library that src imports: without them it has no forms and no WebSockets.
READ_AS_FILES = {"rapidocr"}  # its networks, by reading/ocr_networks.py
USED_BY = {
    "python-multipart": "starlette.formparsers",
    "websockets": "uvicorn.protocols.websockets.websockets_sansio_impl",
}


def test_a_dependency_has_a_decision():
    pages = [path.read_text(encoding="utf-8") for path in RECORDS]
    missing = [
        name for name in DEPENDENCIES if not any(re.search(dependency_line(name), page) for page in pages)
    ]
    assert_none("a page of docs/decisions names each dependency in its line of dependencies", missing)


def dependency_line(name):
    """Match the paragraph at a page's top that names its dependencies."""
    return rf"Dependenc(?:y|ies):(?:[^\n]|\n(?!\n))*`{re.escape(name)}`"


def test_a_dependency_is_used():
    imported = packages_of(*(parsed(path) for path in python_files("src")))
    modules = {name: IMPORTED_AS.get(name, name.replace("-", "_")) for name in DEPENDENCIES}
    unused = [
        name
        for name, module in modules.items()
        if module not in imported | used_by(imported, name) and name not in READ_AS_FILES
    ]
    assert_none("something in src imports each dependency", unused)


def used_by(imported, name):
    """Return what the library that a dependency is for imports, if src imports this library."""
    module = USED_BY.get(name, "")
    if module.split(".")[0] not in imported:
        return set()
    source = Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8")
    return packages_of(ast.parse(source))


def packages_of(*trees):
    """Return the names of all top-level packages that modules import."""
    modules = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            modules.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module.split(".")[0])
    return modules


def test_numbers_are_consecutive():
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


def faults(path):
    """Yield what is wrong with a record."""
    text = path.read_text(encoding="utf-8")
    if (headings := re.findall(r"^## (.+)$", text, re.MULTILINE)) != HEADINGS:
        yield f"{place(path)}: its headings are {headings}"
    if not text.startswith(f"# {int(path.name[:4])}. "):
        yield f"{place(path)}: its title does not begin with its number"
    if f"({path.name})" not in (FOLDER / "README.md").read_text(encoding="utf-8"):
        yield f"{place(path)}: not on the list of README.md"


def test_a_record_has_its_headings_and_is_on_the_list():
    assert_none(
        f"headings {HEADINGS}, a number, a line on the list", (one for p in RECORDS for one in faults(p))
    )
