"""The picture embedding models of this machine: what a name means, and how much memory each needs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from smallsight.catalog.catalog import load_embedding_catalog
from smallsight.catalog.entry import Entry, Precision
from smallsight.catalog.files import FoundFiles, ModelFiles, Source
from smallsight.errors import ModelUnavailableError, UnknownModelError
from smallsight.families.embedding_families import find_embedding_family
from smallsight.families.tensor_shape import Use
from smallsight.inventory.names import Names
from smallsight.library_settings import LibrarySettings
from smallsight.quant.scheme import SCHEMES, Module, Scheme

_PROGRAM_BYTES = 150 * 1024 * 1024  # the runtime and this package, without weights


@dataclass(frozen=True, slots=True)
class PictureModel:
    """A picture embedding model with files on this machine."""

    name: str
    directory: Path


@dataclass(frozen=True, slots=True)
class PictureModelStatus:
    """One model of the catalogue; ``files`` is None where it has none here.

    ``memory_bytes`` estimates both networks and the program in each precision. The table of words, of
    ``table_bytes``, stays on disk.
    """

    entry: Entry
    files: FoundFiles | None
    parameters: int
    table_bytes: int
    memory_bytes: dict[Precision, int]


def list_picture_models(
    settings: LibrarySettings, cache_dir: Path | None = None
) -> tuple[PictureModelStatus, ...]:
    """Return every picture embedding model of the catalogue; its files may be in a hub's cache."""
    files = _files(settings, cache_dir)
    return tuple(_status(entry, files.locate(entry)) for entry in load_embedding_catalog().entries)


def shipped_picture_model() -> Entry:
    """Return the model whose files are part of this package."""
    return next(entry for entry in load_embedding_catalog().entries if entry.repository is None)


def find_picture_model(
    settings: LibrarySettings,
    wanted: str | Path | None,
    cache_dir: Path | None = None,
    *,
    or_shipped: bool = False,
) -> PictureModel | None:
    """Return the model with this name or folder; without one, the first of the catalogue that is here.

    The one that ships with this package counts only if it is named, or with ``or_shipped``: it knows drawings
    only. Raises UnknownModelError, and ModelUnavailableError if the named model has no files here.
    """
    files = _files(settings, cache_dir)
    if wanted is None:
        located = ((entry, files.locate(entry)) for entry in load_embedding_catalog().entries)
        return next(
            (
                PictureModel(entry.name, found.directory)
                for entry, found in located
                if found is not None and (or_shipped or found.source is not Source.PACKAGE)
            ),
            None,
        )
    entry = load_embedding_catalog().get(str(wanted))
    if entry is None:
        folder = Path(wanted).expanduser().absolute()
        with suppress(OSError):  # a name that is too long
            if folder.is_dir():
                return PictureModel(folder.name, folder)
        names = ", ".join(entry.name for entry in load_embedding_catalog().entries)
        raise UnknownModelError(
            f"There is no picture embedding model called {str(wanted)!r}.", hint=f"use {names}, or a folder."
        )
    found = files.locate(entry)
    if found is None:
        raise ModelUnavailableError(
            f"The files of {entry.name} are not on this machine.",
            hint=f"`smallsight models pull {entry.name}` fetches them.",
        )
    return PictureModel(entry.name, found.directory)


def _files(settings: LibrarySettings, cache_dir: Path | None) -> ModelFiles:
    return Names(catalog=load_embedding_catalog(), cache_dir=cache_dir).files(settings)


def _status(entry: Entry, files: FoundFiles | None) -> PictureModelStatus:
    assert entry.architecture is not None  # noqa: S101 - a test holds it
    shapes = find_embedding_family(entry.family).tensor_shapes(entry.architecture.sizes)
    table_bytes = sum(4 * tensor.num_values for tensor in shapes if tensor.use is Use.LOOKUP)
    memory_bytes = {
        precision: _PROGRAM_BYTES
        + sum(_bytes(tensor.shape, tensor.use, SCHEMES[precision]) for tensor in shapes)
        for precision in entry.precisions
    }
    return PictureModelStatus(
        entry, files, sum(tensor.num_values for tensor in shapes), table_bytes, memory_bytes
    )


def _bytes(shape: tuple[int, ...], use: Use, scheme: Scheme) -> int:
    """Return the bytes of a tensor in memory: none of a table that stays on disk."""
    if use is Use.LOOKUP:
        return 0
    if use is Use.LINEAR:
        return scheme.modules[Module.VISION].matrix_bytes(*shape)
    num_values = 1
    for side in shape:
        num_values *= side
    return 4 * num_values
