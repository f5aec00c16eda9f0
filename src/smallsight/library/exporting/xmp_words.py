"""Puts a picture's description and tags into the XMP of a sidecar, beside what other programs wrote there.

Other programs read ``dc:description`` and ``dc:subject``. Properties in a namespace of Smallsight say which
of those words it wrote, so that it replaces only these, and which of them come from a model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from smallsight.library.exporting.record import PictureRecord
from smallsight.library.exporting.xmp_document import DC, SMALLSIGHT, XMP, XmpDocument, without_illegal
from smallsight.version import __version__

__all__ = ["MergedSidecar", "merge_words"]

_PROGRAM = "Smallsight"


@dataclass(frozen=True, slots=True)
class MergedSidecar:
    """The new content of a sidecar, None if it need not change.

    With ``is_kept`` another program's description stayed in place of the library's.
    """

    data: bytes | None
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class _SidecarWords:
    """The words in a sidecar, and what of them Smallsight wrote; ``ours`` is a hash of its description."""

    description: str | None
    ours: str | None
    source: str | None
    model: str | None
    subject: tuple[str, ...]
    our_tags: tuple[str, ...]
    machine_tags: tuple[str, ...]


def merge_words(existing: bytes | None, record: PictureRecord, *, overwrite: bool) -> MergedSidecar:
    """Return a sidecar with the words of a record; ``existing`` is its content, None if there is none.

    A description and keywords by others stay, except with ``overwrite``; everything else in the sidecar
    always does. Raises XmpError.
    """
    document = XmpDocument.empty() if existing is None else XmpDocument.parse(existing)
    before = _read(document)
    after, is_kept = _merged(before, record, overwrite=overwrite)
    if after == before:
        return MergedSidecar(None, is_kept)
    _store(document, before, after)
    if existing is None:
        document.set_text(XMP, "CreatorTool", f"{_PROGRAM} {__version__}")
    return MergedSidecar(document.to_bytes(), is_kept)


def _read(document: XmpDocument) -> _SidecarWords:
    return _SidecarWords(
        description=document.default_text(DC, "description"),
        ours=document.text(SMALLSIGHT, "descriptionHash"),
        source=document.text(SMALLSIGHT, "descriptionSource"),
        model=document.text(SMALLSIGHT, "descriptionModel"),
        subject=tuple(document.items(DC, "subject")),
        our_tags=tuple(document.items(SMALLSIGHT, "tags")),
        machine_tags=tuple(document.items(SMALLSIGHT, "machineTags")),
    )


def _merged(before: _SidecarWords, record: PictureRecord, *, overwrite: bool) -> tuple[_SidecarWords, bool]:
    """Return the words to write, and whether another program's description stays instead of the record's."""
    wanted = _legal(record.description)
    is_ours = before.description is None or before.ours == _hash(before.description)
    description, ours, source, model, is_kept = before.description, None, None, None, False
    if is_ours or (overwrite and wanted is not None):
        description = wanted
        if wanted is not None:
            ours, source, model = _hash(wanted), record.description_by, _legal(record.description_model)
    else:
        is_kept = wanted is not None and wanted != before.description
    tags = tuple(dict.fromkeys(filter(None, map(_legal, (tag.name for tag in record.tags)))))
    others = () if overwrite and tags else tuple(one for one in before.subject if one not in before.our_tags)
    our_tags = tuple(one for one in tags if one not in others)
    machine = {_legal(name) for name in record.machine_tags}
    return (
        _SidecarWords(
            description,
            ours,
            source,
            model,
            (*others, *our_tags),
            our_tags,
            tuple(one for one in our_tags if one in machine),
        ),
        is_kept,
    )


def _store(document: XmpDocument, before: _SidecarWords, after: _SidecarWords) -> None:
    if after.description != before.description:
        document.set_default_text(DC, "description", after.description)
    if after.subject != before.subject:
        document.set_items(DC, "subject", after.subject)
    _store_text(document, "descriptionHash", after.ours)
    _store_text(document, "descriptionSource", after.source)
    _store_text(document, "descriptionModel", after.model)
    _store_items(document, "tags", after.our_tags)
    _store_items(document, "machineTags", after.machine_tags)


def _store_text(document: XmpDocument, name: str, text: str | None) -> None:
    if document.text(SMALLSIGHT, name) != text:
        document.set_text(SMALLSIGHT, name, text)


def _store_items(document: XmpDocument, name: str, items: Sequence[str]) -> None:
    if document.items(SMALLSIGHT, name) != list(items):
        document.set_items(SMALLSIGHT, name, items)


def _legal(text: str | None) -> str | None:
    """Return a text as XML can hold it; None for one without any word."""
    cleaned = without_illegal(text or "").replace("\r\n", "\n").replace("\r", "\n").strip()
    return cleaned or None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
