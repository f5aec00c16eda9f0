"""Reads captions, keywords, dates, cameras and places from an XMP packet: of a picture, or a sidecar file.

Hostile XML: declarations of entities are refused, and depth, number and length of what is kept are bounded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from xml.parsers import expat

from smallsight.media.metadata.fields import FieldRole, MetadataField

__all__ = ["MAX_XMP_BYTES", "read_xmp"]

MAX_XMP_BYTES = 8 * 1024 * 1024  # edit histories are long
_MAX_DEPTH = 100
_MAX_ITEMS = 2_000
_MAX_CHARS = 1_000_000  # of all items together

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RDF_ROOT, _DESCRIPTION, _ITEM = f"{_RDF} RDF", f"{_RDF} Description", f"{_RDF} li"
_LANGUAGE = "http://www.w3.org/XML/1998/namespace lang"
_DC = "http://purl.org/dc/elements/1.1/"
_LIGHTROOM = "http://ns.adobe.com/lightroom/1.0/"
_DIGIKAM = "http://www.digikam.org/ns/1.0/"
_MICROSOFT = "http://ns.microsoft.com/photo/1.0"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_TIFF = "http://ns.adobe.com/tiff/1.0/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_SMALLSIGHT = "https://github.com/smallsight/smallsight/xmp/1.0/"


@dataclass(frozen=True, slots=True)
class _Property:
    origin: str
    role: FieldRole
    separator: str | None = None  # between the levels of a keyword


_DC_DESCRIPTION = f"{_DC} description"

# In the order in which the fields are returned.
_PROPERTIES = {
    f"{_DC} title": _Property("xmp:dc:title", FieldRole.TITLE),
    _DC_DESCRIPTION: _Property("xmp:dc:description", FieldRole.DESCRIPTION),
    f"{_PHOTOSHOP} Headline": _Property("xmp:photoshop:Headline", FieldRole.COMMENT),
    f"{_DC} subject": _Property("xmp:dc:subject", FieldRole.KEYWORD),
    f"{_LIGHTROOM} hierarchicalSubject": _Property("xmp:lr:hierarchicalSubject", FieldRole.KEYWORD, "|"),
    f"{_DIGIKAM} TagsList": _Property("xmp:digiKam:TagsList", FieldRole.KEYWORD, "/"),
    f"{_MICROSOFT} LastKeywordXMP": _Property("xmp:MicrosoftPhoto:LastKeywordXMP", FieldRole.KEYWORD, "/"),
    f"{_MICROSOFT}/ LastKeywordXMP": _Property("xmp:MicrosoftPhoto:LastKeywordXMP", FieldRole.KEYWORD, "/"),
    f"{_EXIF} DateTimeOriginal": _Property("xmp:exif:DateTimeOriginal", FieldRole.TAKEN),
    f"{_PHOTOSHOP} DateCreated": _Property("xmp:photoshop:DateCreated", FieldRole.TAKEN),
    f"{_XMP} CreateDate": _Property("xmp:xmp:CreateDate", FieldRole.DIGITISED),
    f"{_EXIF} DateTimeDigitized": _Property("xmp:exif:DateTimeDigitized", FieldRole.DIGITISED),
    f"{_EXIF} GPSTimeStamp": _Property("xmp:exif:GPSTimeStamp", FieldRole.GPS_TIME),
    f"{_TIFF} Make": _Property("xmp:tiff:Make", FieldRole.MAKE),
    f"{_TIFF} Model": _Property("xmp:tiff:Model", FieldRole.MODEL),
    f"{_EXIF} GPSLatitude": _Property("xmp:exif:GPSLatitude", FieldRole.LATITUDE),
    f"{_EXIF} GPSLongitude": _Property("xmp:exif:GPSLongitude", FieldRole.LONGITUDE),
}
# What ``smallsight export`` says about the words that it wrote.
_OUR_HASH, _OUR_SOURCE = f"{_SMALLSIGHT} descriptionHash", f"{_SMALLSIGHT} descriptionSource"
_MACHINE_TAGS = f"{_SMALLSIGHT} machineTags"
_WANTED = frozenset({*_PROPERTIES, _OUR_HASH, _OUR_SOURCE, _MACHINE_TAGS})
_OF_PROGRAMS = frozenset({"darktable", "_digikam_internal_tags_"})  # first levels of keywords that they add


class _RefusedError(Exception):
    """The XML declares entities or is nested too deeply."""


def read_xmp(data: bytes) -> list[MetadataField]:
    """Return the fields of an XMP packet; of a damaged one those before the damage.

    A keyword with levels gives one keyword per level, the deepest first.
    """
    if len(data) > MAX_XMP_BYTES:
        return []
    reader = _Reader()
    try:
        with suppress(expat.ExpatError):
            reader.read(data.strip(b"\0 \t\r\n"))
    except (_RefusedError, LookupError, ValueError):  # ValueError: a declared encoding that does not exist
        return []
    return list(_fields(reader.items))


def _fields(items: dict[str, list[_Item]]) -> Iterator[MetadataField]:
    levels = {
        name: [_levels(item.text, one) for item in items.get(name, ())] for name, one in _PROPERTIES.items()
    }
    of_programs, of_people = set[str](), set[str]()
    for name, one in _PROPERTIES.items():
        for keyword in levels[name] if one.separator else ():
            is_programs = keyword[0].casefold() in _OF_PROGRAMS
            (of_programs if is_programs else of_people).update(keyword)
    dropped = of_programs - of_people | {item.text for item in items.get(_MACHINE_TAGS, ())}
    for name, one in _PROPERTIES.items():
        if one.role is not FieldRole.KEYWORD:
            texts = items.get(name, [])
            default = [item for item in texts if item.language == "x-default"] or texts
            for item in default[:1]:
                if name == _DC_DESCRIPTION and _is_from_a_model(item.text, items):
                    continue
                yield MetadataField(one.role, item.text, one.origin)
            continue
        for keyword in levels[name]:
            for level in reversed(keyword):
                if level not in dropped:
                    yield MetadataField(FieldRole.KEYWORD, level, one.origin)


def _is_from_a_model(description: str, items: dict[str, list[_Item]]) -> bool:
    """Return whether ``smallsight export`` wrote this description, and a model made it."""
    source, digest = ("".join(item.text for item in items.get(name, ())) for name in (_OUR_SOURCE, _OUR_HASH))
    written = hashlib.sha256(description.encode("utf-8", "surrogatepass")).hexdigest()
    return source == "machine" and bool(digest) and written.startswith(digest)


def _levels(text: str, one: _Property) -> list[str]:
    levels = [text] if one.separator is None else text.split(one.separator)
    return [level for part in levels if (level := part.strip())] or [""]


@dataclass(slots=True)
class _Item:
    language: str = ""
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.parts)


class _Reader:
    """Collects the items of the wanted properties of the resource that a packet describes."""

    def __init__(self) -> None:
        self.items: dict[str, list[_Item]] = {}
        self._path: list[str] = []
        self._property: str | None = None
        self._item: _Item | None = None
        self._num_items = self._num_chars = 0

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(data, True)

    def _refuse(self, *_: object) -> None:
        raise _RefusedError

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > _MAX_DEPTH:
            raise _RefusedError
        if self._path[-2:] == [_RDF_ROOT, _DESCRIPTION]:
            for attribute, text in attributes.items():
                if attribute in _WANTED:
                    item = _Item()
                    self._characters_of(item, text)
                    self._keep(attribute, item)
        elif self._property is None:
            if name in _WANTED and self._path[-3:-1] == [_RDF_ROOT, _DESCRIPTION]:
                self._property = name
                self._item = _Item()  # for text without a list
        elif name == _ITEM and self._path[-3] == self._property:
            self._item = _Item(attributes.get(_LANGUAGE, "").casefold())

    def _end(self, name: str) -> None:
        self._path.pop()
        if name == _ITEM and self._property is not None and self._path[-2] == self._property:
            self._keep(self._property, self._item)
            self._item = None
        elif name == self._property and self._path[-2:] == [_RDF_ROOT, _DESCRIPTION]:
            if self._item is not None and self._item.text.strip():
                self._keep(name, self._item)
            self._property = self._item = None

    def _keep(self, name: str, item: _Item | None) -> None:
        if item is not None and self._num_items < _MAX_ITEMS:
            self._num_items += 1
            self.items.setdefault(name, []).append(item)

    def _characters(self, text: str) -> None:
        self._characters_of(self._item, text)

    def _characters_of(self, item: _Item | None, text: str) -> None:
        if item is not None and self._num_chars < _MAX_CHARS:
            self._num_chars += len(text)
            item.parts.append(text)
