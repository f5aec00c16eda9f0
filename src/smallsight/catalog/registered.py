"""The user's own model directories: name to folder, in one JSON file. The folders are never changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smallsight.catalog.state_file import locked_state, read_state, write_state
from smallsight.errors import SettingsError, UnknownModelError

_KEY = "directories"


@dataclass(frozen=True)
class RegisteredModel:
    """A directory in Hugging Face layout that the user registered under a name."""

    name: str
    directory: Path
    family: str


class RegisteredModels:
    """The list of registered directories; every call reads the file, so programs see each other's changes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> tuple[RegisteredModel, ...]:
        """Return the registered directories by name; raises SettingsError if the file is invalid."""
        rows = read_state(self._path).get(_KEY, {})
        try:
            models = [
                RegisteredModel(name, Path(row["directory"]), row["family"]) for name, row in rows.items()
            ]
        except (AttributeError, KeyError, TypeError) as error:
            raise SettingsError(
                f"{self._path} is not a valid list of model directories.",
                hint="fix or delete it, then register them again with `smallsight models add DIR`.",
            ) from error
        return tuple(sorted(models, key=lambda model: model.name.casefold()))

    def get(self, name: str) -> RegisteredModel | None:
        """Return the directory registered under this name, ignoring case, or None."""
        wanted = name.strip().casefold()
        return next((model for model in self.all() if model.name.casefold() == wanted), None)

    def add(self, model: RegisteredModel) -> None:
        """Register a directory; a directory already registered under that name is replaced."""
        with locked_state(self._path):
            self._write([m for m in self.all() if m.name.casefold() != model.name.casefold()] + [model])

    def forget(self, name: str) -> RegisteredModel:
        """Unregister a directory and return it; raises UnknownModelError if it is not registered."""
        with locked_state(self._path):
            model = self.get(name)
            if model is None:
                raise UnknownModelError(
                    f"No directory is registered as {name!r}.",
                    hint="`smallsight models` lists the known models.",
                )
            self._write([m for m in self.all() if m != model])
        return model

    def _write(self, models: list[RegisteredModel]) -> None:
        rows = {m.name: {"directory": str(m.directory), "family": m.family} for m in models}
        write_state(self._path, {_KEY: rows})
