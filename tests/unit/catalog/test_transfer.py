"""Patience and checks of a single transfer; the transfers themselves are tested through the hub."""

from __future__ import annotations

import hashlib

import pytest

from smallsight.catalog.manifest import RemoteFile
from smallsight.catalog.transfer import PART_SUFFIX, Request, Retries, fetch, verify

CONTENT = b"hello world"
FILE = RemoteFile("f.safetensors", len(CONTENT), "sha256", hashlib.sha256(CONTENT).hexdigest())
NOWHERE = Request("http://127.0.0.1:1/f", {}, "org/model")


def test_the_delay_doubles_up_to_a_limit_and_obeys_the_server():
    retries = Retries(first_delay_s=1.0)
    assert [retries.delay_s(n, None) for n in (1, 2, 3)] == [1.0, 2.0, 4.0]
    assert retries.delay_s(20, None) == 30.0
    assert retries.delay_s(1, 7.0) == 7.0
    assert retries.delay_s(1, 9999.0) == 30.0


@pytest.mark.parametrize(
    ("content", "is_whole"), [(CONTENT, True), (CONTENT[:-1], False), (b"hellO world", False)]
)
def test_a_file_is_whole_or_not(tmp_path, content, is_whole):
    path = tmp_path / "f"
    path.write_bytes(content)
    assert verify(path, FILE) is is_whole


def test_a_complete_part_needs_no_network(tmp_path):
    destination = tmp_path / "blob"
    (tmp_path / f"blob{PART_SUFFIX}").write_bytes(CONTENT)
    heard = []
    assert fetch(NOWHERE, FILE, destination, on_bytes=heard.append, retries=Retries()) == 0
    assert destination.read_bytes() == CONTENT
    assert heard == [len(CONTENT)]


def test_an_empty_file_needs_no_network(tmp_path):
    empty = RemoteFile("empty.txt", 0, "git-sha1", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
    fetch(NOWHERE, empty, tmp_path / "blob", on_bytes=lambda _: None, retries=Retries())
    assert (tmp_path / "blob").read_bytes() == b""


def test_a_part_that_is_too_long_is_dropped(tmp_path, hub):
    hub.serve("org/model", {"f.safetensors": CONTENT})
    commit = hub.serve("org/model", {"f.safetensors": CONTENT})
    (tmp_path / f"blob{PART_SUFFIX}").write_bytes(CONTENT * 2)
    request = Request(f"{hub.url}/org/model/resolve/{commit}/f.safetensors", {}, "org/model")
    received_bytes = fetch(request, FILE, tmp_path / "blob", on_bytes=lambda _: None, retries=Retries())
    assert received_bytes == len(CONTENT)
    assert (tmp_path / "blob").read_bytes() == CONTENT
