"""The pages of the site that are no files in docs/: the guide by topics, the Python API, some of the root.

MkDocs calls it (``hooks`` in mkdocs.yml). In the repository the guide is one page, which can be searched with
the browser and is linked to from everywhere; on the site each ``## `` section is a page, and the longest
``### `` sections are too. Links are rewritten: to the page that a heading is on, or to the repository for
files that are not on the site.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "https://github.com/smallsight/smallsight"
GUIDE = "docs/guide.md"
# Pages of the root, by their place on the site.
FROM_THE_ROOT = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
}
# Sections of sections that are long enough for a page.
SEPARATE = frozenset(
    {
        "Is this variant good enough?",
        "Anthropic's protocol",
        "Immich",
        "Stored responses",
        "Models in memory",
        "Models on other servers",
        "meme-search",
        "Programs written for Ollama",
        "A password, and pages for the household",
    }
)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Topic:
    """A page that is a part of the guide: its name on the site, and its text with a title at its top."""

    name: str
    text: str


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub and the site make it."""
    return re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")


def headings(text: str) -> Iterator[re.Match[str]]:
    """Yield the headings that are not lines of a block of code."""
    fences = [match.span() for match in _FENCE.finditer(text)]
    for match in _HEADING.finditer(text):
        if not any(begin <= match.start() < end for begin, end in fences):
            yield match


def topics(text: str) -> list[Topic]:
    """Return the guide's pages in its order; the first is what stands above its sections."""
    found = list(headings(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    pages: dict[str, str] = {}
    raised_by, name, parent = 0, "index", "index"
    for match, end in zip(found, ends, strict=True):
        depth, title = len(match[1]), match[2]
        if depth == 2:
            raised_by, name = 1, slug(title)
            parent = name
        elif depth == 3:  # one that is not separate belongs to its section again
            raised_by, name = (2, slug(title)) if title in SEPARATE else (1, parent)
        part = text[match.start() + min(raised_by, depth - 1) : end]
        pages[name] = pages.get(name, "") + part
    return [Topic(f"guide/{name}.md", text) for name, text in pages.items()]


def anchors(guide: list[Topic]) -> dict[str, str]:
    """Return the page of each anchor of the guide."""
    return {slug(match[2]): topic.name for topic in guide for match in headings(topic.text)}


class Links:
    """Knows where the files of the repository are on the site."""

    def __init__(self, guide: list[Topic], on_site: set[str]) -> None:
        self._anchors = anchors(guide)
        self._on_site = on_site  # below docs/
        self._from_the_root = {source: name for name, source in FROM_THE_ROOT.items()}

    def rewritten(self, text: str, source: str, page: str) -> str:
        """Return a page's text with links that lead somewhere; ``source`` is its file in the repository."""
        parts, begin = [], 0
        for code in _CODE.finditer(text):
            parts += [self._with_links(text[begin : code.start()], source, page), code[0]]
            begin = code.end()
        return "".join([*parts, self._with_links(text[begin:], source, page)])

    def _with_links(self, text: str, source: str, page: str) -> str:
        return _LINK.sub(lambda match: self._address(match[1], source, page), text)

    def _address(self, link: str, source: str, page: str) -> str:
        if re.match(r"[a-z]+:", link):
            return link
        path, _, anchor = unquote(link).partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path)) if path else source
        if target == GUIDE:
            found = self._anchors.get(anchor, "guide/index.md")
        elif target in self._from_the_root:
            found = self._from_the_root[target]
        elif target.removeprefix("docs/") in self._on_site and target.startswith("docs/"):
            found = target.removeprefix("docs/")
        else:
            kind = "tree" if (ROOT / target).is_dir() else "blob"
            return f"{REPOSITORY}/{kind}/main/{target}" + (f"#{anchor}" if anchor else "")
        shown = posixpath.relpath(found, posixpath.dirname(page) or ".")
        return shown + (f"#{anchor}" if anchor else "")


def python_api() -> str:
    """Return the page of the Python API: a directive for each public name, in the order of `__all__`."""
    tree = ast.parse((ROOT / "src" / "smallsight" / "__init__.py").read_text(encoding="utf-8"))
    names = _public_names(tree)
    places = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    functions = [name for name in names if name[0].islower() and name in places]
    errors = [name for name in names if name.endswith("Error")]
    values = [name for name in names if name in places and name not in {*functions, *errors}]
    parts = [
        "# Python API",
        "",
        "Every name of `smallsight.__all__`, from its docstring. Examples are in the guide:",
    ]
    parts += ["[descriptions](guide.md#descriptions), [the library](guide.md#the-library-from-python)."]
    for title, group in (("Functions", functions), ("Classes", values), ("Errors", errors)):
        parts += ["", f"## {title}"]
        for name in group:
            parts += ["", f"::: {places[name]}.{name}"]
    return "\n".join(parts) + "\n"


def _public_names(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(one, ast.Name) and one.id == "__all__" for one in node.targets
        ):
            names: list[str] = ast.literal_eval(node.value)
            return names
    raise ValueError("smallsight/__init__.py has no __all__")


# What follows is called by MkDocs.

_SOURCES: dict[str, str] = {}  # page on the site → file in the repository
_LINKS: list[Links] = []


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write the files of a pattern into the navigation in its place."""
    config.nav = _listed(config.nav or [], Path(config.docs_dir))
    return config


def _listed(entries: list[Any], docs: Path) -> list[Any]:
    found: list[Any] = []
    for entry in entries:
        if isinstance(entry, dict):
            found.append(
                {
                    title: _listed(below, docs) if isinstance(below, list) else below
                    for title, below in entry.items()
                }
            )
        elif "*" in entry:
            found += sorted(path.relative_to(docs).as_posix() for path in docs.glob(entry))
        else:
            found.append(entry)
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the generated pages in the place of the guide."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - the functions above need no MkDocs

    guide = topics((ROOT / GUIDE).read_text(encoding="utf-8"))
    generated = {one.name: (one.text, GUIDE) for one in guide}
    generated |= {
        name: ((ROOT / source).read_text(encoding="utf-8"), source) for name, source in FROM_THE_ROOT.items()
    }
    generated["python-api.md"] = (python_api(), "docs/python-api.md")
    if (whole := files.get_file_from_path("guide.md")) is not None:
        files.remove(whole)
    _SOURCES.clear()
    for name, (text, source) in generated.items():
        files.append(File.generated(config, name, content=text))
        _SOURCES[name] = source
    _LINKS[:] = [Links(guide, {file.src_uri for file in files})]
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Rewrite the links of each page."""
    name = page.file.src_uri
    return _LINKS[0].rewritten(markdown, _SOURCES.get(name, f"docs/{name}"), name)
