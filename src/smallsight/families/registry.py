"""The explicit list of model families. A new family is a folder and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from smallsight.catalog.entry import Architecture
from smallsight.errors import ModelNotRunnableError
from smallsight.families.family import Capabilities, Family
from smallsight.families.tensor_shape import TensorShape

_FOLDERS = (
    "smolvlm",
    "florence2",
    "moondream2",
)


def _family_of(folder: str) -> Family:
    """Return the record in a folder's ``family.py``; its name must be the folder's."""
    family: Family = import_module(f"smallsight.families.{folder}.family").FAMILY
    if family.name != folder:
        message = f"the family in {folder} is named {family.name}"
        raise ValueError(message)
    return family


FAMILIES: Mapping[str, Family] = {folder: _family_of(folder) for folder in _FOLDERS}


def find_family(name: str) -> Family:
    """Return the family with this name; raises ModelNotRunnableError for an unknown one."""
    if name not in FAMILIES:
        raise ModelNotRunnableError(
            f"Smallsight does not support the model family {name!r}.",
            hint=f"use one of {', '.join(sorted(FAMILIES))}.",
        )
    return FAMILIES[name]


def titles_that(can: Callable[[Capabilities], object]) -> str:
    """Return the titles of the families with a capability, for a message."""
    return " or ".join(family.title for family in FAMILIES.values() if can(family.capabilities))


def tensor_shapes(architecture: Architecture) -> tuple[TensorShape, ...]:
    """List every parameter tensor of an architecture."""
    return find_family(architecture.family).tensor_shapes(architecture.sizes)
