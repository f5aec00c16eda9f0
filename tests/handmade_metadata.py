"""Makes blocks of metadata byte by byte, for tests that need exact or damaged ones."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
}


def xmp_packet(body: str, *, before: str = "") -> bytes:
    """Return an XMP packet around properties, written as XML."""
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    return (
        f"{before}<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>"
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}">'
        f'<rdf:Description rdf:about="" {names}>{body}</rdf:Description>'
        "</rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
    ).encode()


def xmp_of(description: str | None = None, keywords: Sequence[str] = (), title: str | None = None) -> bytes:
    """Return an XMP packet with a title, a description and keywords."""
    texts = "".join(
        f'<dc:{name}><rdf:Alt><rdf:li xml:lang="x-default">{escape(text)}</rdf:li></rdf:Alt></dc:{name}>'
        for name, text in (("title", title), ("description", description))
        if text is not None
    )
    items = "".join(f"<rdf:li>{escape(keyword)}</rdf:li>" for keyword in keywords)
    return xmp_packet(f"{texts}<dc:subject><rdf:Bag>{items}</rdf:Bag></dc:subject>")


def exif_block(
    values: Mapping[int, bytes], order: str = "<", in_exif: Mapping[int, bytes] | None = None
) -> bytes:
    """Return a TIFF structure with byte values by tag, and others in its EXIF directory."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    num_entries = len(values) + (in_exif is not None)
    first = _directory(dict(values), order, 8, num_entries)
    if in_exif is None:
        return head + first
    inner_at = 8 + len(_directory({**values, 0x8769: b"\0\0\0\0"}, order, 8, num_entries))
    outer = _directory({**values, 0x8769: struct.pack(f"{order}I", inner_at)}, order, 8, num_entries)
    return head + outer + _directory(dict(in_exif), order, inner_at, len(in_exif))


def _directory(values: Mapping[int, bytes], order: str, at: int, num_entries: int) -> bytes:
    entries = struct.pack(f"{order}H", num_entries)
    data_at = at + 2 + 12 * num_entries + 4
    data = b""
    for tag, value in sorted(values.items()):
        if tag == 0x8769:
            entries += struct.pack(f"{order}HHI", tag, 4, 1) + value
        elif len(value) <= 4:
            entries += struct.pack(f"{order}HHI", tag, 7, len(value)) + value.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}HHII", tag, 7, len(value), data_at + len(data))
            data += value
    return entries + b"\0\0\0\0" + data


def iptc_records(*records: tuple[int, int, bytes]) -> bytes:
    """Return IPTC-IIM records (record, dataset, value)."""
    return b"".join(
        bytes((0x1C, record, dataset)) + struct.pack(">H", len(value)) + value
        for record, dataset, value in records
    )


def photoshop_resources(iptc: bytes) -> bytes:
    """Return Photoshop's image resources, the IPTC records among them."""
    other = b"8BIM" + struct.pack(">H", 0x03ED) + b"\x05named\0\0"[:6] + struct.pack(">I", 3) + b"abc\0"
    return other + b"8BIM" + struct.pack(">H", 0x0404) + b"\0\0" + struct.pack(">I", len(iptc)) + iptc
