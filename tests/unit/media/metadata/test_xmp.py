"""XMP packets of several programs, and hostile ones."""

from __future__ import annotations

import hashlib

import pytest

from handmade_metadata import xmp_of, xmp_packet
from smallsight.media.metadata.words import FieldRole
from smallsight.media.metadata.xmp import read_xmp

BAG = "<rdf:Bag>{}</rdf:Bag>"


def bag(name: str, *items: str) -> str:
    inner = "".join(f"<rdf:li>{item}</rdf:li>" for item in items)
    return f"<{name}><rdf:Bag>{inner}</rdf:Bag></{name}>"


def texts(data: bytes) -> list[str]:
    return [field.text for field in read_xmp(data)]


def test_title_description_and_keywords_have_their_origins():
    fields = read_xmp(xmp_of("Ein Boot & ein Fluß", ["море", "猫"], title="Boot"))
    assert [(one.role, one.text, one.origin) for one in fields] == [
        (FieldRole.TITLE, "Boot", "xmp:dc:title"),
        (FieldRole.DESCRIPTION, "Ein Boot & ein Fluß", "xmp:dc:description"),
        (FieldRole.KEYWORD, "море", "xmp:dc:subject"),
        (FieldRole.KEYWORD, "猫", "xmp:dc:subject"),
    ]


def test_levels_of_keywords_are_keywords():
    body = bag("lr:hierarchicalSubject", "places|Italy|Rome") + bag("digiKam:TagsList", "People/Anna")
    assert texts(xmp_packet(body)) == ["Rome", "Italy", "places", "Anna", "People"]
    assert texts(xmp_packet(bag("MicrosoftPhoto:LastKeywordXMP", "a/b"))) == ["b", "a"]


def test_keywords_that_programs_add_are_left_out():
    body = bag("dc:subject", "darktable", "exported", "owl") + bag(
        "lr:hierarchicalSubject", "darktable|exported", "birds|owl"
    )
    assert texts(xmp_packet(body)) == ["owl", "owl", "birds"]


def test_the_default_language_is_taken():
    items = '<rdf:li xml:lang="de">Boot</rdf:li><rdf:li xml:lang="x-default">Boat</rdf:li>'
    assert texts(xmp_packet(f"<dc:title><rdf:Alt>{items}</rdf:Alt></dc:title>")) == ["Boat"]


def test_a_property_without_a_list_and_one_as_an_attribute():
    assert texts(xmp_packet("<dc:description>plain</dc:description>")) == ["plain"]
    short = xmp_packet("").replace(b'rdf:about=""', b'rdf:about="" dc:description="short"')
    assert (
        texts(short.replace(b"rdf:about", b'xmlns:dc="http://purl.org/dc/elements/1.1/" rdf:about', 1)) == []
    )
    fields = read_xmp(xmp_packet("").replace(b'rdf:about=""', b'rdf:about="" photoshop:Headline="short"'))
    assert [(one.role, one.text) for one in fields] == [(FieldRole.COMMENT, "short")]


def test_only_the_described_resource_counts():
    inner = f"<rdf:Description>{bag('dc:subject', 'inner')}</rdf:Description>"
    nested = f"<photoshop:History>{inner}</photoshop:History>"
    assert texts(xmp_packet(nested + bag("dc:subject", "outer"))) == ["outer"]


def test_what_precedes_damage_is_kept():
    whole = xmp_packet(bag("dc:subject", "kept") + bag("dc:title", "x" * 200))
    assert texts(whole[: whole.index(b"xxx")]) == ["kept"]
    assert texts(whole + b"\0" * 2000) == ["x" * 200, "kept"]
    assert texts(whole + b"<") == ["x" * 200, "kept"]


def test_utf_16_is_read():
    packet = xmp_of("Boot", ["猫"]).decode()
    assert texts(packet.encode("utf-16")) == ["Boot", "猫"]


ENTITIES = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
EXTERNAL = '<!DOCTYPE x SYSTEM "file:///etc/passwd">'


@pytest.mark.parametrize("before", [ENTITIES, EXTERNAL], ids=["entities", "external"])
def test_document_types_are_refused(before):
    assert texts(xmp_packet(bag("dc:subject", "a"), before=before)) == []


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"",
            b"\0" * 100,
            b"no xml",
            b"<a>" * 100_000,
            b"\xff\xfe\x00",
            b'<?xml version="1.0" encoding="nope"?><a/>',
        ),
        xmp_packet("<dc:title>" + "<rdf:li>" * 200),
    ],
    ids=range(7),
)
def test_bytes_that_are_no_packet_have_no_words(data):
    assert read_xmp(data) == []


def test_a_packet_with_very_many_items_is_bounded():
    packet = xmp_packet(bag("dc:subject", *(["word" * 20] * 50_000)))
    assert 0 < len(read_xmp(packet)) <= 2_000


EXPORTED = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:s="https://github.com/smallsight/smallsight/xmp/1.0/">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:description>
<dc:subject><rdf:Bag><rdf:li>mine</rdf:li><rdf:li>a model's</rdf:li></rdf:Bag></dc:subject>
<s:descriptionHash>{digest}</s:descriptionHash><s:descriptionSource>{source}</s:descriptionSource>
<s:machineTags><rdf:Bag><rdf:li>a model's</rdf:li></rdf:Bag></s:machineTags>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize(
    ("source", "is_changed", "words"),
    [
        ("human", False, ["A cat.", "mine"]),
        ("machine", False, ["mine"]),
        ("machine", True, ["A cat.", "mine"]),  # a person has written over a model's description
    ],
)
def test_what_a_model_wrote_does_not_come_back_as_a_persons(source: str, is_changed: bool, words: list[str]):
    digest = hashlib.sha256(b"A dog." if is_changed else b"A cat.").hexdigest()[:32]
    packet = EXPORTED.format(text="A cat.", digest=digest, source=source)
    assert [one.text for one in read_xmp(packet.encode())] == words
