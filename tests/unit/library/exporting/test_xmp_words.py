from __future__ import annotations

import pytest

from smallsight.library.exporting.record import ExportedTag, PictureRecord
from smallsight.library.exporting.xmp_document import DC, SMALLSIGHT, XMP, XmpDocument, XmpError
from smallsight.library.exporting.xmp_words import merge_words

RDF_NAME = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DARKTABLE = """<?xml version="1.0" encoding="UTF-8"?>
<!-- a comment -->
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:darktable="http://darktable.sf.net/"
   xmp:Rating="4"
   darktable:note="one&#xA;two &lt;three&gt; &quot;four&quot;"
   darktable:xmp_version="5">
   <dc:subject>
    <rdf:Seq>
     <rdf:li>theirs</rdf:li>
    </rdf:Seq>
   </dc:subject>
   <darktable:history>
    <rdf:Seq>
     <rdf:li darktable:num="0" darktable:operation="exposure" darktable:params="0000&amp;80bf"/>
    </rdf:Seq>
   </darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""


def record(description: str | None = "A cat.", *tags: str, by: str = "machine") -> PictureRecord:
    return PictureRecord(
        files=(),
        size_bytes=1,
        description=description,
        description_by=by if description else None,
        description_model="test" if by == "machine" and description else None,
        tags=tuple(ExportedTag(name, by) for name in tags),
    )


def merge(existing: str | bytes | None, what: PictureRecord, *, overwrite: bool = False) -> XmpDocument:
    data = existing.encode() if isinstance(existing, str) else existing
    merged = merge_words(data, what, overwrite=overwrite).data
    assert merged is not None
    return XmpDocument.parse(merged)


def words(document: XmpDocument) -> tuple[str | None, list[str]]:
    return document.default_text(DC, "description"), document.items(DC, "subject")


def test_a_new_sidecar_says_who_wrote_its_words():
    document = merge(None, record('A <cat> & "co".', "cat", "two words"))
    assert words(document) == ('A <cat> & "co".', ["cat", "two words"])
    assert document.text(XMP, "CreatorTool").startswith("Smallsight ")
    assert document.text(SMALLSIGHT, "descriptionSource") == "machine"
    assert document.text(SMALLSIGHT, "descriptionModel") == "test"
    assert document.items(SMALLSIGHT, "machineTags") == ["cat", "two words"]


def test_another_programs_sidecar_keeps_everything_else():
    document = merge(DARKTABLE, record("A cat.", "cat"))
    assert words(document) == ("A cat.", ["theirs", "cat"])
    darktable = "http://darktable.sf.net/"
    assert document.text(darktable, "note") == 'one\ntwo <three> "four"'
    assert document.text(XMP, "Rating") == "4"
    written = document.to_bytes().decode()
    assert (
        '<rdf:li darktable:num="0" darktable:operation="exposure" darktable:params="0000&amp;80bf"/>'
        in written
    )
    assert "<!-- a comment -->" in written
    assert written.startswith("<?xml ")


def test_the_same_words_change_nothing():
    first = merge_words(DARKTABLE.encode(), record("A cat.", "cat"), overwrite=False).data
    assert first is not None
    assert merge_words(first, record("A cat.", "cat"), overwrite=False).data is None


def test_only_words_of_ours_are_replaced():
    first = merge_words(DARKTABLE.encode(), record("A cat.", "cat", "pet"), overwrite=False).data
    assert words(merge(first, record("A dog.", "pet", "dog"))) == ("A dog.", ["theirs", "pet", "dog"])
    assert words(merge(first, record(None))) == (None, ["theirs"])


def test_a_description_changed_elsewhere_stays_unless_asked():
    first = merge_words(None, record("A cat."), overwrite=False).data
    assert first is not None
    changed = first.replace(b"A cat.", b"My cat, asleep.")
    merged = merge_words(changed, record("A dog."), overwrite=False)
    assert merged.is_kept
    assert merged.data is not None
    document = XmpDocument.parse(merged.data)
    assert words(document)[0] == "My cat, asleep."
    assert document.text(SMALLSIGHT, "descriptionSource") is None
    assert words(merge(changed, record("A dog."), overwrite=True))[0] == "A dog."


def test_overwriting_without_words_removes_none():
    assert merge_words(DARKTABLE.encode(), record(None), overwrite=True).data is None


def description_in(properties: str, attributes: str = "") -> str:
    return f"""<rdf:RDF xmlns:rdf="{RDF_NAME}" xmlns:dc="http://purl.org/dc/elements/1.1/">
    <rdf:Description rdf:about="" {attributes}>{properties}</rdf:Description></rdf:RDF>"""


@pytest.mark.parametrize(
    "sidecar",
    [
        description_in("", 'dc:description="theirs"'),
        description_in("<dc:description>theirs</dc:description>"),
        description_in(
            '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">theirs</rdf:li>'
            '<rdf:li xml:lang="fr">le leur</rdf:li></rdf:Alt></dc:description>'
        ),
        description_in("<dc:description><![CDATA[theirs]]></dc:description>"),
        description_in("").replace("</rdf:RDF>", "")
        + description_in(
            '<d:description xmlns:d="http://purl.org/dc/elements/1.1/">theirs</d:description>'
        ).split(">", 1)[1],
    ],
    ids=range(5),
)
def test_every_form_of_a_description_is_seen_and_replaced_when_asked(sidecar: str):
    assert words(XmpDocument.parse(sidecar.encode()))[0] == "theirs"
    document = merge(sidecar, record("ours"), overwrite=True)
    assert words(document)[0] == "ours"
    written = document.to_bytes().decode()
    assert "theirs" not in written
    assert ("le leur" in written) == ("le leur" in sidecar)
    kept = merge_words(sidecar.encode(), record("ours"), overwrite=False)
    assert kept.is_kept


def test_prefixes_that_mean_something_else_are_not_used():
    sidecar = f"""<r:RDF xmlns:r="{RDF_NAME}" xmlns:dc="urn:x" xmlns:smallsight="urn:y" xmlns:rdf="urn:z">
    <r:Description r:about="" dc:description="not ours"/></r:RDF>"""
    document = merge(sidecar, record("A cat.", "cat"))
    assert words(document) == ("A cat.", ["cat"])
    assert document.text("urn:x", "description") == "not ours"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "well-formed"),
        (b"<a", "well-formed"),
        (b"<a/>", "not XMP"),
        ("<a/>".encode("utf-16"), "UTF-8"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "document type"),
        (b"<a>" * 100_000 + b"</a>" * 100_000, "not XMP"),
    ],
    ids=range(6),
)
def test_what_is_not_xmp_is_refused(data: bytes, why: str):
    with pytest.raises(XmpError, match=why):
        merge_words(data, record(), overwrite=True)


def test_characters_that_xml_cannot_hold_are_dropped():
    document = merge(None, record("a\x00b\x1bc\ufffed\r\ne\U0001f408", "t\x07ag", "\x01"))
    assert words(document) == ("abcd\ne\U0001f408", ["tag"])
