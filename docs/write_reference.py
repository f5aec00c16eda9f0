"""Writes the generated parts of the documents: settings, commands, and the source tree.

Run it as ``python docs/write_reference.py`` after changing any of them; ``--check`` only compares and exits
with 1 when a document is out of date. Each part stands between two comments, ``<!-- begin NAME -->`` and
``<!-- end NAME -->``; everything else in a document is left as it is.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from smallsight.cli.commands import whole_command_line
from smallsight.settings import Settings

DOCS = Path(__file__).resolve().parent
PACKAGE = DOCS.parent / "src" / "smallsight"
_MAX_SUMMARY_CHARS = 90


def settings_table() -> str:
    """Return every setting as a Markdown table: name, environment variable, default, description."""
    lines = ["| setting | environment variable | default | what it is |", "|---|---|---|---|"]
    for name, field in _settings(Settings):
        variable = "SMALLSIGHT_" + name.upper().replace(".", "__")
        lines.append(f"| `{name}` | `{variable}` | {_default(field)} | {field.description} |")
    return "\n".join(lines)


def _settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def _default(field: FieldInfo) -> str:
    if field.default_factory is dict:
        return "none"
    if field.default_factory is not None:
        return "the platform's folder"
    if field.default is None:
        return "unset"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    if isinstance(field.default, tuple):
        return ", ".join(f"`{value}`" for value in field.default)
    return f"`{field.default}`"


def command_reference() -> str:
    """Return every command with its arguments and options."""
    return "\n\n".join(_command_sections(typer.main.get_command(whole_command_line()), "smallsight"))


def _command_sections(command: Any, name: str) -> Iterator[str]:  # noqa: ANN401 - Typer's own copy of Click
    lines = [f"### `{name}`", "", " ".join((command.help or "").split())]
    rows = [
        f"| `{_spelling(parameter)}` | {_escaped(parameter.help or '')} |"
        for parameter in command.params
        if parameter.name != "help"
    ]
    if rows:
        lines += ["", "| argument or option | what it does |", "|---|---|", *rows]
    yield "\n".join(lines)
    listed = {name: child for name, child in getattr(command, "commands", {}).items() if not child.hidden}
    for below, child in listed.items():
        yield from _command_sections(child, f"{name} {below}")


def _spelling(parameter: Any) -> str:  # noqa: ANN401 - Typer's own copy of Click
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper() + ("..." if parameter.nargs == -1 else "")
    return ", ".join(parameter.opts)


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def source_tree() -> str:
    """Return the tree of the package: each folder and file with the first sentence of its docstring."""
    return "\n".join(["```text", *_tree_lines(PACKAGE, 0), "```"])


def _tree_lines(folder: Path, depth: int) -> Iterator[str]:
    yield _tree_line(f"{folder.name}/", folder / "__init__.py", depth)
    entries = [path for path in folder.iterdir() if path.name not in {"__pycache__", "__init__.py"}]
    for path in sorted(entries, key=lambda path: (path.is_dir(), path.name)):
        if path.parent.name == "shipped":
            yield f"{'  ' * (depth + 1)}{f'{path.name}/':<{30 - 2 * depth}}the model of the package"
        elif path.is_dir():
            yield from _tree_lines(path, depth + 1)
        else:
            yield _tree_line(path.name, path, depth + 1)


def _tree_line(name: str, path: Path, depth: int) -> str:
    return f"{'  ' * depth}{name:<{32 - 2 * depth}}{_summary(path)}".rstrip()


def _summary(path: Path) -> str:
    """Return the first half of what a file says about itself."""
    is_text = path.is_file() and path.suffix != ".png"
    text = path.read_text(encoding="utf-8") if is_text else ""
    if path.suffix == ".py":
        sentence = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0]
        sentence = re.split(r"\.(?:\s|$)", " ".join(sentence.split()))[0]
    elif text.startswith("#"):
        sentence = re.split(r"\.(?:\s|$)", text.splitlines()[0].lstrip("# "))[0]
    else:
        sentence = "says that the package is typed" if path.name == "py.typed" else ""
    sentence = sentence.partition("; ")[0].replace("``", "")
    return sentence.partition(": ")[0] if len(sentence) > _MAX_SUMMARY_CHARS else sentence


PARTS = {
    "settings": (DOCS / "guide.md", settings_table),
    "commands": (DOCS / "guide.md", command_reference),
    "source tree": (DOCS / "tree.md", source_tree),
}


def outdated(*, repair: bool) -> list[str]:
    """Return the names of the parts that differ from the code, and rewrite them if asked."""
    found = []
    for name, (document, write) in PARTS.items():
        text = document.read_text(encoding="utf-8")
        begin, end = f"<!-- begin {name} -->\n", f"\n<!-- end {name} -->"
        before, opened, rest = text.partition(begin)
        inside, closed, after = rest.partition(end)
        if not (opened and closed):
            raise SystemExit(f"{document.name} lacks the comments around {name!r}.")
        if inside != write():
            found.append(name)
            if repair:
                document.write_text(before + begin + write() + end + after, encoding="utf-8")
    return found


def main(arguments: list[str]) -> int:
    """Write or check, say what was out of date, and return the exit code."""
    is_check = "--check" in arguments
    found = outdated(repair=not is_check)
    for name in found:
        sys.stdout.write(f"{'out of date' if is_check else 'written'}: {name}\n")
    return 1 if is_check and found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
