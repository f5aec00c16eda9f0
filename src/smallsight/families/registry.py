"""The explicit list of model families. Adding a family is adding its folder and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from smallsight.catalog.entry import Architecture
from smallsight.errors import ModelNotRunnableError
from smallsight.families.family import Capabilities, Family
from smallsight.families.florence2.family import FAMILY as FLORENCE2
from smallsight.families.moondream2.family import FAMILY as MOONDREAM2
from smallsight.families.smolvlm.family import FAMILY as SMOLVLM
from smallsight.families.tensor_shape import TensorShape

FAMILIES: Mapping[str, Family] = {family.name: family for family in (SMOLVLM, FLORENCE2, MOONDREAM2)}


def find_family(name: str) -> Family:
    """Return the family of this name; raises ModelNotRunnableError when there is no code for it."""
    if name not in FAMILIES:
        raise ModelNotRunnableError(
            f"Smallsight has no code for the model family {name!r}.",
            hint=f"it knows {', '.join(sorted(FAMILIES))}.",
        )
    return FAMILIES[name]


def titles_that(can: Callable[[Capabilities], object]) -> str:
    """Return the titles of the families with a capability, for a message."""
    return " or ".join(family.title for family in FAMILIES.values() if can(family.capabilities))


def tensor_shapes(architecture: Architecture) -> tuple[TensorShape, ...]:
    """List every parameter tensor of an architecture."""
    return find_family(architecture.family).tensor_shapes(architecture.sizes)
