"""Reads and changes single properties of an XMP document, and keeps everything else in it as it was.

An XMP document is RDF in XML: properties are attributes or elements of ``rdf:Description``. Programs write
either form; both are read, and what is set is written as an element.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.dom import minidom
from xml.parsers.expat import ExpatError

__all__ = ["DC", "SMALLSIGHT", "XMP", "XmpDocument", "XmpError", "without_illegal"]

# Names, never fetched.
_WEB = "http"
RDF = f"{_WEB}://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC = f"{_WEB}://purl.org/dc/elements/1.1/"
XMP = f"{_WEB}://ns.adobe.com/xap/1.0/"
SMALLSIGHT = "https://github.com/smallsight/smallsight/xmp/1.0/"
_XML = f"{_WEB}://www.w3.org/XML/1998/namespace"
_XMLNS = f"{_WEB}://www.w3.org/2000/xmlns/"
_PREFIXES = {RDF: "rdf", DC: "dc", XMP: "xmp", SMALLSIGHT: "smallsight"}

_EMPTY = f"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Smallsight">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about=""/>
 </rdf:RDF>
</x:xmpmeta>
"""
_TEXT_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_VALUE_ESCAPES = {**_TEXT_ESCAPES, '"': "&quot;", "\n": "&#10;", "\t": "&#9;"}


class XmpError(Exception):
    """A document that is not understood; the message completes "... was left alone: "."""


class XmpDocument:
    """One document in memory."""

    def __init__(self, document: minidom.Document, *, is_declared: bool) -> None:
        self._document = document
        self._is_declared = is_declared
        root = document.documentElement
        places = [] if root is None else [root, *_elements(root)]
        found = [element for element in places if _is_named(element, RDF, "RDF")]
        if len(found) != 1:
            raise XmpError("it is not XMP")
        self._rdf = found[0]

    @classmethod
    def empty(cls) -> XmpDocument:
        """Return a document without properties."""
        return cls.parse(_EMPTY.encode())

    @classmethod
    def parse(cls, data: bytes) -> XmpDocument:
        """Read a document in UTF-8; raises XmpError."""
        if b"\0" in data:
            raise XmpError("it is not UTF-8")
        if b"<!DOCTYPE" in data:
            raise XmpError("it has a document type")
        try:
            document = minidom.parseString(data)  # noqa: S318 - without a document type there is nothing to expand
        except (ExpatError, ValueError, LookupError, RecursionError) as error:
            raise XmpError("it is not well-formed XML") from error
        if document.doctype is not None:
            raise XmpError("it has a document type")
        return cls(document, is_declared=data.lstrip(b"\xef\xbb\xbf").startswith(b"<?xml "))

    def text(self, space: str, name: str) -> str | None:
        """Return a simple property, or None."""
        for description in self._descriptions():
            if description.hasAttributeNS(space, name):
                return str(description.getAttributeNS(space, name))
        found = next(self._elements(space, name), None)
        return None if found is None else _text_of(found)

    def items(self, space: str, name: str) -> list[str]:
        """Return the items of a property: of a bag or a list, or the one of a simple property."""
        found = next(self._elements(space, name), None)
        if found is None or not (items := list(_list_items(found))):
            single = self.text(space, name)
            return [single] if single and single.strip() else []
        return [_text_of(item) for item in items]

    def default_text(self, space: str, name: str) -> str | None:
        """Return the text in the default language of a property in several languages, or None."""
        found = next(self._elements(space, name), None)
        items = [] if found is None else list(_list_items(found))
        if found is None or (not items and not any(_elements(found))):
            return self.text(space, name)
        chosen = next(filter(_is_default, items), None)
        return None if chosen is None else _text_of(chosen)

    def set_text(self, space: str, name: str, text: str | None) -> None:
        """Set or remove a simple property."""
        self._remove(space, name)
        if text is not None:
            self._add(space, name).appendChild(self._document.createTextNode(without_illegal(text)))

    def set_items(self, space: str, name: str, items: Sequence[str]) -> None:
        """Set a property to a bag of these items, or remove it if there are none."""
        self._remove(space, name)
        if not items:
            return
        bag = self._below(self._add(space, name), "Bag")
        for item in items:
            self._below(bag, "li").appendChild(self._document.createTextNode(without_illegal(item)))

    def set_default_text(self, space: str, name: str, text: str | None) -> None:
        """Set or remove the text in the default language; other languages stay."""
        found = next(self._elements(space, name), None)
        others = [] if found is None else [item for item in _list_items(found) if not _is_default(item)]
        self._remove(space, name)
        if text is None and not others:
            return
        alternatives = self._below(self._add(space, name), "Alt")
        if text is not None:
            item = self._below(alternatives, "li")
            item.setAttributeNS(_XML, "xml:lang", "x-default")
            item.appendChild(self._document.createTextNode(without_illegal(text)))
        for other in others:
            alternatives.appendChild(other)

    def to_bytes(self) -> bytes:
        """Return the document as UTF-8; raises XmpError if it is nested too deeply."""
        pieces = ['<?xml version="1.0" encoding="UTF-8"?>\n'] if self._is_declared else []
        try:
            for node in self._document.childNodes:
                pieces += [*_serialised(node), "\n"]
        except RecursionError as error:
            raise XmpError("it is nested too deeply") from error
        return "".join(pieces).encode()

    def _descriptions(self) -> list[minidom.Element]:
        return [node for node in _elements(self._rdf) if _is_named(node, RDF, "Description")]

    def _elements(self, space: str, name: str) -> Iterator[minidom.Element]:
        for description in self._descriptions():
            yield from (node for node in _elements(description) if _is_named(node, space, name))

    def _remove(self, space: str, name: str) -> None:
        for description in self._descriptions():
            if description.hasAttributeNS(space, name):
                description.removeAttributeNS(space, name)
            for element in [node for node in _elements(description) if _is_named(node, space, name)]:
                before = element.previousSibling
                if isinstance(before, minidom.Text) and not before.data.strip():
                    description.removeChild(before)  # its indentation
                description.removeChild(element)

    def _add(self, space: str, name: str) -> minidom.Element:
        """Append an empty element for a property, and return it."""
        descriptions = self._descriptions()
        if not descriptions:
            new = self._document.createElementNS(RDF, self._qualified(self._rdf, RDF, "Description"))
            new.setAttributeNS(RDF, self._qualified(self._rdf, RDF, "about"), "")
            self._rdf.appendChild(new)
            descriptions = [new]
        description = descriptions[0]
        element = self._document.createElementNS(space, self._qualified(description, space, name))
        last = description.lastChild
        if isinstance(last, minidom.Text) and not last.data.strip():
            description.insertBefore(self._document.createTextNode("\n   "), last)
            description.insertBefore(element, last)
        else:
            description.appendChild(self._document.createTextNode("\n   "))
            description.appendChild(element)
            description.appendChild(self._document.createTextNode("\n  "))
        return element

    def _below(self, parent: minidom.Element, name: str) -> minidom.Element:
        element = self._document.createElementNS(RDF, self._qualified(parent, RDF, name))
        parent.appendChild(element)
        return element

    def _qualified(self, scope: minidom.Element, space: str, name: str) -> str:
        """Return a name with a prefix for this namespace, declared in ``scope`` unless there is one."""
        bound = _prefixes_in(scope)
        for prefix, bound_space in bound.items():
            if bound_space == space and prefix:
                return f"{prefix}:{name}"
        prefix = _PREFIXES[space]
        while prefix in bound:
            prefix += "_"
        scope.setAttributeNS(_XMLNS, f"xmlns:{prefix}", space)
        return f"{prefix}:{name}"


def without_illegal(text: str) -> str:
    """Drop the characters that XML cannot hold, such as most control characters."""
    return "".join(
        one
        for one in text
        if one in "\t\n\r" or " " <= one <= "\ud7ff" or "\ue000" <= one <= "\ufffd" or one > "\uffff"
    )


def _prefixes_in(scope: minidom.Element) -> dict[str, str]:
    """Return the namespaces by prefix that hold for the children of an element."""
    bound: dict[str, str] = {}
    node: object = scope
    while isinstance(node, minidom.Element):
        for attribute in _attributes(node):
            if attribute.namespaceURI == _XMLNS and attribute.prefix == "xmlns":
                bound.setdefault(attribute.localName, attribute.value)  # inner ones hide outer ones
        node = node.parentNode
    return bound


def _attributes(element: minidom.Element) -> list[minidom.Attr]:
    return list(element.attributes.values()) if element.hasAttributes() else []


def _elements(parent: minidom.Element) -> Iterator[minidom.Element]:
    yield from (node for node in parent.childNodes if isinstance(node, minidom.Element))


def _is_named(element: minidom.Element, space: str, *names: str) -> bool:
    return element.namespaceURI == space and element.localName in names


def _list_items(element: minidom.Element) -> Iterator[minidom.Element]:
    """Yield the items of the bag, sequence or alternatives in an element."""
    for container in _elements(element):
        if _is_named(container, RDF, "Bag", "Seq", "Alt"):
            yield from (node for node in _elements(container) if _is_named(node, RDF, "li"))


def _is_default(item: minidom.Element) -> bool:
    return bool(item.getAttributeNS(_XML, "lang").lower() == "x-default")


def _text_of(element: minidom.Element) -> str:
    return "".join(node.data for node in element.childNodes if isinstance(node, minidom.Text))


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(one, one) for one in text)


def _serialised(node: minidom.Node) -> Iterator[str]:
    if isinstance(node, minidom.Element):
        yield f"<{node.tagName}"
        for attribute in _attributes(node):
            yield f' {attribute.name}="{_escaped(attribute.value, _VALUE_ESCAPES)}"'
        if not node.childNodes:
            yield "/>"
            return
        yield ">"
        for child in node.childNodes:
            yield from _serialised(child)
        yield f"</{node.tagName}>"
    elif isinstance(node, minidom.CDATASection):
        yield f"<![CDATA[{node.data}]]>"
    elif isinstance(node, minidom.Text):
        yield _escaped(node.data, _TEXT_ESCAPES)
    elif isinstance(node, minidom.Comment):
        yield f"<!--{node.data}-->"
    elif isinstance(node, minidom.ProcessingInstruction):
        yield f"<?{node.target} {node.data}?>"
