"""Names that stand for other names: where a chain of them ends, compared without case."""

from __future__ import annotations

from collections.abc import Mapping


def end_of_chain(name: str, aliases: Mapping[str, str]) -> str:
    """Follow aliases to the name that they stand for; a name that is not an alias is returned unchanged.

    Raises ValueError for aliases that stand for each other in a circle.
    """
    if not aliases:
        return name
    by_folded = {alias.strip().casefold(): target for alias, target in aliases.items()}
    passed = [name]
    while (target := by_folded.get(passed[-1].strip().casefold())) is not None:
        if target.strip().casefold() in {one.strip().casefold() for one in passed}:
            circle = " -> ".join([*passed, target])
            raise ValueError(f"they stand for each other in a circle: {circle}")
        passed.append(target)
    return passed[-1]
