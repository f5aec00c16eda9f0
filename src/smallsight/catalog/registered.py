"""The user's own models: directories, and variants of other models, by name, in one JSON file.

The directories are never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from smallsight.catalog.state_file import locked_state, read_state, write_state
from smallsight.errors import SettingsError, UnknownModelError

_DIRECTORIES, _VARIANTS = "directories", "variants"


@dataclass(frozen=True)
class RegisteredModel:
    """A directory in Hugging Face layout that the user registered under a name."""

    name: str
    directory: Path
    family: str


@dataclass(frozen=True)
class RegisteredVariant:
    """A model in a quantisation scheme of the user's: ``base`` is its name, ``scheme`` the scheme's text."""

    name: str
    base: str
    scheme: str


_Own = TypeVar("_Own", RegisteredModel, RegisteredVariant)


class RegisteredModels:
    """The user's own models; every call reads the file, so programs see each other's changes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> tuple[RegisteredModel, ...]:
        """Return the registered directories by name; raises SettingsError if the file is invalid."""
        return self._read(
            _DIRECTORIES,
            lambda name, row: RegisteredModel(name, Path(row["directory"]), row["family"]),
        )

    def variants(self) -> tuple[RegisteredVariant, ...]:
        """Return the variants by name; raises SettingsError if the file is invalid."""
        return self._read(
            _VARIANTS, lambda name, row: RegisteredVariant(name, str(row["base"]), str(row["scheme"]))
        )

    def names(self) -> tuple[str, ...]:
        """Return the names of directories, then those of variants."""
        return (*(model.name for model in self.all()), *(variant.name for variant in self.variants()))

    def get(self, name: str) -> RegisteredModel | None:
        """Return the directory registered under this name, ignoring case, or None."""
        return _find(name, self.all())

    def variant(self, name: str) -> RegisteredVariant | None:
        """Return the variant of this name, ignoring case, or None."""
        return _find(name, self.variants())

    def add(self, model: RegisteredModel) -> None:
        """Register a directory; a model already registered under that name is replaced."""
        with locked_state(self._path):
            self._write([*_without(model.name, self.all()), model], _without(model.name, self.variants()))

    def add_variant(self, variant: RegisteredVariant) -> None:
        """Save a variant; a model already registered under that name is replaced.

        Nothing is checked here: ``inventory.listing.ModelService.add_variant`` does.
        """
        with locked_state(self._path):
            self._write(
                _without(variant.name, self.all()), [*_without(variant.name, self.variants()), variant]
            )

    def forget(self, name: str) -> RegisteredModel | RegisteredVariant:
        """Remove a directory or variant from the list; raises UnknownModelError if it is not registered."""
        with locked_state(self._path):
            model = self.get(name) or self.variant(name)
            if model is None:
                raise UnknownModelError(
                    f"No model is registered as {name!r}.",
                    hint="`smallsight models` lists the known models.",
                )
            self._write(_without(name, self.all()), _without(name, self.variants()))
        return model

    def _read(self, key: str, make: Callable[[str, Mapping[str, Any]], _Own]) -> tuple[_Own, ...]:
        rows = read_state(self._path).get(key, {})
        try:
            models = [make(name, row) for name, row in rows.items()]
        except (AttributeError, KeyError, TypeError) as error:
            raise SettingsError(
                f"{self._path} is not a valid list of models.",
                hint="fix or delete it, then register them again with `smallsight models add DIR`.",
            ) from error
        return tuple(sorted(models, key=lambda model: model.name.casefold()))

    def _write(self, models: list[RegisteredModel], variants: list[RegisteredVariant]) -> None:
        state: dict[str, Any] = {
            _DIRECTORIES: {m.name: {"directory": str(m.directory), "family": m.family} for m in models}
        }
        if variants:
            state[_VARIANTS] = {v.name: {"base": v.base, "scheme": v.scheme} for v in variants}
        write_state(self._path, state)


def _find(name: str, models: tuple[_Own, ...]) -> _Own | None:
    wanted = name.strip().casefold()
    return next((model for model in models if model.name.casefold() == wanted), None)


def _without(name: str, models: tuple[_Own, ...]) -> list[_Own]:
    unwanted = name.strip().casefold()
    return [model for model in models if model.name.casefold() != unwanted]
