"""What the documents tell people to type: the lines and Python blocks of their fenced blocks, in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README, FIRST_STEPS, GUIDE, TEAM = (
    ROOT / name for name in ("README.md", "docs/first-steps.md", "docs/guide.md", "docs/team.md")
)
# For people with servers, clusters and other programs, and for those who change Smallsight.
OPERATOR_PAGES = tuple(
    ROOT / name
    for name in ("docs/containers.md", "docs/deploy.md", "docs/mcp.md", "docs/ray.md", "CONTRIBUTING.md")
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"\s{2,}# .*$")
_PROGRAM = re.compile(r"^(?:\.venv/bin/)?smallsight\b")
_PROGRAMS = "smallsight|pip|python3?|docker|podman|systemctl|curl|make|git|ray|serve|apt"
_LOOKS_TYPED = re.compile(rf"\s*(?:\$ |(?:sudo |[\w./-]*/)?(?:{_PROGRAMS}) (?! ))")
_INLINE = re.compile(r"`(smallsight[^`]*)`")


@dataclass(frozen=True)
class Step:
    """A line for the shell, or the source of a Python program, or a settings file."""

    place: str
    language: str
    text: str

    @property
    def is_command(self) -> bool:
        """Whether it is a command line that begins with our program."""
        return self.language == "sh" and _PROGRAM.match(self.text) is not None


def steps(document: Path) -> Iterator[Step]:
    """Yield the steps of a document; comments at the end of a line are no part of it."""
    content = document.read_text(encoding="utf-8")
    for fence in _FENCE.finditer(content):
        language, block = fence[1] or "sh", fence[2]
        first_line = content.count("\n", 0, fence.start()) + 2
        if language != "sh":
            yield Step(f"{document.name}:{first_line}", language, block)
            continue
        begun = ""
        for number, line in enumerate(block.splitlines(), first_line):
            text = f"{begun} {_COMMENT.sub('', line).strip()}".strip()
            begun = text[:-1].strip() if text.endswith("\\") else ""  # it goes on in the next line
            if text and not begun:
                yield Step(f"{document.name}:{number}", language, text)


def hidden_commands(document: Path) -> Iterator[Step]:
    """Yield the lines of blocks in no language of ``steps`` that look like something to type."""
    for one in steps(document):
        if one.language in {"text", "console", "bash", "shell"}:
            for line in one.text.splitlines():
                if _LOOKS_TYPED.match(line):
                    yield Step(one.place, one.language, line)


def imports(program: str) -> str:
    """Return the import statements at the beginning of the lines of a program."""
    return "".join(f"{line}\n" for line in program.splitlines() if re.match(r"(?:import|from) ", line))


def inline_commands(document: Path) -> Iterator[str]:
    """Yield the commands that sentences name, such as `smallsight doctor`."""
    prose = _FENCE.sub("", document.read_text(encoding="utf-8"))
    for match in _INLINE.finditer(prose):
        yield " ".join(match[1].split())
