"""Reads deploy/Dockerfile: its stages, and what each of them does in order. It runs nothing.

It knows the instructions and forms that our file has, and refuses others instead of leaving them out.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_NAMES = frozenset("ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK RUN USER VOLUME WORKDIR".split())
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its continued lines joined and its comments taken out."""

    name: str
    text: str

    def as_list(self) -> list[str]:
        """Return the words of an instruction in the form of a JSON list, such as CMD."""
        words: list[str] = json.loads(self.text[self.text.index("[") :])
        return words


@dataclass(slots=True)
class Stage:
    """One stage: an image, or another stage, and what is done to it."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)


def read_dockerfile(path: Path, **arguments: str) -> dict[str, Stage]:
    """Return the stages of a file by their names; ``arguments`` are those of ``--build-arg``."""
    stages: dict[str, Stage] = {}
    values: dict[str, str] = {}
    for one in instructions(path.read_text(encoding="utf-8")):
        if one.name == "ARG" and not stages:
            name, _, default = one.text.partition("=")
            values[name] = arguments.get(name, default)
        elif one.name == "FROM":
            base, keyword, name = one.text.split()
            if keyword != "AS":
                raise ValueError(f"FROM without a name: {one.text}")
            stages[name] = Stage(name, expand(base, values))
        elif one.name == "ARG":
            raise ValueError(f"ARG inside a stage: {one.text}")
        else:
            list(stages.values())[-1].instructions.append(one)
    return stages


def instructions(text: str) -> Iterator[Instruction]:
    """Yield the instructions of a file."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for joined in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        name, _, rest = joined.partition(" ")
        if name not in _NAMES:
            raise ValueError(f"Unknown instruction: {joined}")
        yield Instruction(name, " ".join(rest.split()) if name != "RUN" else rest.strip())


def expand(text: str, values: dict[str, str]) -> str:
    """Replace variables by their values; unknown ones are empty, as in a build."""
    return _VARIABLE.sub(lambda match: values.get(match[1] or match[2], ""), text)


def read_variables(text: str, values: dict[str, str]) -> dict[str, str]:
    """Return what an ENV instruction sets."""
    pairs = (word.partition("=") for word in shlex.split(text))
    return {name: expand(value, values) for name, _, value in pairs}


def needed_stages(stages: dict[str, Stage], target: str) -> list[str]:
    """Return the stages that a target needs, itself last, each after what it is made from."""
    stage = stages[target]
    sources = [match[1] for one in stage.instructions if (match := re.match(r"--from=(\S+)", one.text))]
    found = [
        name
        for source in (stage.base, *sources)
        if source in stages
        for name in needed_stages(stages, source)
    ]
    return [*dict.fromkeys(found), target]
