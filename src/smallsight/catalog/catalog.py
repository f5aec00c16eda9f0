"""The catalogue: reads ``entries.toml`` once and looks up models by name or repository id."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from smallsight.catalog.entry import Architecture, Entry, Licence, Modality, Precision, Verdict
from smallsight.errors import UnknownModelError

_MIN_LIKENESS = 0.5
_MIN_LIKENESS_OF_BEGINNING = 0.75
_NOT_INHERITED = ("id", "name", "base")


@dataclass(frozen=True)
class Catalog:
    """All known models, in display order.

    ``model_types`` maps the "model_type" of a ``config.json`` to the name of a family.
    """

    entries: tuple[Entry, ...]
    model_types: Mapping[str, str]

    def get(self, name: str) -> Entry | None:
        """Return the entry with this name or repository id, ignoring case, or None.

        A repository id selects the base model, not one of the quantised variants that use the same files.
        """
        wanted = name.strip().casefold()
        for entry in self.entries:
            if entry.name.casefold() == wanted:
                return entry
        for entry in self.entries:
            repositories = (entry.repository, *entry.other_repositories)
            if entry.base is None and any(r is not None and r.casefold() == wanted for r in repositories):
                return entry
        return None

    def find(self, name: str) -> Entry:
        """Return what ``get`` does; raises UnknownModelError, which suggests similar names."""
        entry = self.get(name)
        if entry is None:
            raise unknown_model(name, [e.name for e in self.entries])
        return entry

    def base_of(self, entry: Entry) -> Entry:
        """Return the entry whose files this one uses: its base, or itself."""
        return entry if entry.base is None else self.find(entry.base)

    def sharing_files_with(self, entry: Entry) -> tuple[Entry, ...]:
        """Return the other entries that use the same files."""
        base = self.base_of(entry).name
        return tuple(e for e in self.entries if e.name != entry.name and self.base_of(e).name == base)


def _nearest(name: str, known_names: Iterable[str]) -> list[str]:
    """Return up to three names that are similar, as a whole or in their beginning."""
    scored: list[tuple[float, str]] = []
    for known in known_names:
        whole = difflib.SequenceMatcher(None, name, known).ratio()
        beginning = difflib.SequenceMatcher(None, name, known[: len(name)]).ratio()
        if whole >= _MIN_LIKENESS or (beginning >= _MIN_LIKENESS_OF_BEGINNING and len(name) > 2):
            scored.append((max(whole, beginning), known))
    return [known for _, known in sorted(scored, key=lambda one: one[0], reverse=True)[:3]]


def unknown_model(name: str, known_names: list[str]) -> UnknownModelError:
    """Return the error for an unknown name, with up to three similar names as its hint."""
    near = nearest_names(name, known_names)
    if near:
        hint = f"did you mean {', '.join(near)}?"
    else:
        hint = "`smallsight models` lists the known models; `smallsight models add DIR` registers a folder."
    return UnknownModelError(f"There is no model called {name!r}.", hint=hint)


def nearest_names(name: str, known_names: list[str]) -> list[str]:
    """Return up to three of the names that are similar to one that is not among them."""
    by_folded = {known.casefold(): known for known in known_names}
    return [by_folded[near] for near in _nearest(name.strip().casefold(), by_folded)]


@cache
def load_catalog() -> Catalog:
    """Read the catalogue that ships with this release."""
    return _read_catalog("entries.toml")


@cache
def load_embedding_catalog() -> Catalog:
    """Read the picture embedding models that this release knows; they answer no questions."""
    return _read_catalog("embedding_models.toml")


def _read_catalog(name: str) -> Catalog:
    text = resources.files("smallsight.catalog").joinpath(name).read_text(encoding="utf-8")
    return parse_catalog(tomllib.loads(text))


def parse_catalog(data: Mapping[str, Any]) -> Catalog:
    """Build a catalogue from parsed TOML; a variant inherits what it does not set from its base."""
    architectures = {name: _architecture(name, row) for name, row in data["architectures"].items()}
    rows: dict[str, dict[str, Any]] = {}
    for row in data["entries"]:
        inherited = rows[row["base"]] if "base" in row else {}
        rows[row["name"]] = {k: v for k, v in inherited.items() if k not in _NOT_INHERITED} | row
    return Catalog(
        entries=tuple(_entry(row, architectures, data["file_patterns"]["default"]) for row in rows.values()),
        model_types={t: family for family, row in data["families"].items() for t in row["model_types"]},
    )


def _architecture(name: str, row: Mapping[str, Any]) -> Architecture:
    sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items() if k != "family"}
    return Architecture(name=name, family=row["family"], sizes=sizes)


def _entry(row: Mapping[str, Any], architectures: Mapping[str, Architecture], patterns: list[str]) -> Entry:
    known = dict(row)
    architecture, stored = known.pop("architecture", None), known.pop("checkpoint_precision", None)
    return Entry(
        licence=Licence(**known.pop("licence")),
        badges=tuple(known.pop("badges")),
        modalities=tuple(Modality(m) for m in known.pop("modalities")),
        precisions=tuple(Precision(p) for p in known.pop("precisions")),
        verdict=Verdict(known.pop("verdict", Verdict.NOT_MEASURED)),
        architecture=None if architecture is None else architectures[architecture],
        checkpoint_precision=None if stored is None else Precision(stored),
        other_repositories=tuple(known.pop("other_repositories", ())),
        files=tuple(known.pop("files", patterns if "repository" in known else ())),
        **known,
    )
