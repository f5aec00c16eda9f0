"""What the tables of stored responses keep and evict."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from smallsight.errors import RequestTooLargeError
from smallsight.services.response_tables import ResponseTables, StoredResponse, StoreLimits

NOW_S = 1_000_000.0
PICTURE = "data:image/png;base64," + "A" * 10_000


@contextmanager
def opened(path: Path, **limits: Any) -> Iterator[ResponseTables]:
    values = {"max_responses": 100, "max_bytes": 10**6, "max_age_s": 1000, "max_read_bytes": 10**6} | limits
    tables = ResponseTables(path / "responses.sqlite3", StoreLimits(**values))
    yield tables
    tables.close()


def response(name: str, parent: str | None = None, owner: str = "me", text: str = "hello") -> StoredResponse:
    given = [{"id": f"in_{name}", "text": text}]
    answered = [{"id": f"out_{name}", "text": "answer"}]
    return StoredResponse(name, owner, parent, {"id": name, "output": answered}, given, answered)


def num_texts(path: Path) -> int:
    connection = sqlite3.connect(path / "responses.sqlite3")
    found: int = connection.execute("SELECT COUNT(*) FROM texts").fetchone()[0]
    connection.close()
    return found


def test_a_response_comes_back_as_it_was(tmp_path: Path):
    one = response("a", text=PICTURE)
    with opened(tmp_path) as tables:
        assert tables.keep(one, NOW_S)
    with opened(tmp_path) as tables:
        assert tables.find("me", "a", NOW_S) == one
        assert tables.items("me", ["in_a", "out_a", "in_b"], NOW_S) == {
            "in_a": one.given[0],
            "out_a": one.answered[0],
        }


def test_another_owner_finds_nothing(tmp_path: Path):
    with opened(tmp_path) as tables:
        tables.keep(response("a"), NOW_S)
        tables.keep(response("b", parent="a", owner="you"), NOW_S)
        assert tables.find("you", "a", NOW_S) is None
        assert tables.conversation("you", "a", NOW_S) is None
        assert tables.conversation("you", "b", NOW_S) is None
        assert tables.items("you", ["in_a"], NOW_S) == {}
        assert not tables.forget("you", "a")
        assert tables.find("me", "a", NOW_S) is not None


def test_a_conversation_is_in_order_and_needs_all_its_responses(tmp_path: Path):
    with opened(tmp_path) as tables:
        for name, parent in (("a", None), ("b", "a"), ("c", "b")):
            tables.keep(response(name, parent), NOW_S)
        told = tables.conversation("me", "c", NOW_S)
        assert told is not None
        assert [item["id"] for item in told] == ["in_a", "out_a", "in_b", "out_b", "in_c", "out_c"]
        assert tables.forget("me", "b")
        assert tables.conversation("me", "c", NOW_S) is None
        assert tables.conversation("me", "a", NOW_S) is not None


def test_the_oldest_are_evicted_but_not_the_beginning_of_a_conversation(tmp_path: Path):
    with opened(tmp_path, max_responses=3) as tables:
        for name, parent in (("a", None), ("b", None), ("c", None), ("d", "a"), ("e", None)):
            tables.keep(response(name, parent), NOW_S)
        assert [name for name in "abcde" if tables.find("me", name, NOW_S)] == ["a", "d", "e"]


def test_a_picture_is_stored_once_and_goes_with_its_last_response(tmp_path: Path):
    with opened(tmp_path, max_bytes=3 * len(PICTURE)) as tables:
        for name in "abcdefgh":
            assert tables.keep(response(name, text=PICTURE), NOW_S)
        assert num_texts(tmp_path) == 1
        for name in "abcdefgh":
            assert tables.forget("me", name)
    assert num_texts(tmp_path) == 0
    assert b"AAAA" not in (tmp_path / "responses.sqlite3").read_bytes()


def test_bytes_are_bounded_on_disk_too(tmp_path: Path):
    with opened(tmp_path, max_bytes=100_000) as tables:
        for number in range(100):
            assert tables.keep(response(str(number), text=f"{number}{PICTURE}"), NOW_S)
        assert tables.find("me", "99", NOW_S) is not None
        assert tables.find("me", "80", NOW_S) is None
        assert not tables.keep(response("large", text="B" * 100_000), NOW_S)
        assert tables.find("me", "99", NOW_S) is not None
    assert (tmp_path / "responses.sqlite3").stat().st_size < 200_000


def test_what_is_too_old_is_not_found_and_then_deleted(tmp_path: Path):
    with opened(tmp_path) as tables:
        tables.keep(response("a", text=PICTURE), NOW_S)
        assert tables.find("me", "a", NOW_S + 1000) is not None
        assert tables.find("me", "a", NOW_S + 1002) is None
        assert tables.conversation("me", "a", NOW_S + 1002) is None
        assert tables.items("me", ["in_a"], NOW_S + 1002) == {}
        tables.keep(response("b"), NOW_S + 1002)
    assert num_texts(tmp_path) == 0


def test_a_conversation_that_is_too_large_is_not_read(tmp_path: Path):
    with opened(tmp_path, max_read_bytes=25_000) as tables:
        tables.keep(response("a", text=PICTURE), NOW_S)
        tables.keep(response("b", "a", text=PICTURE), NOW_S)
        assert tables.conversation("me", "b", NOW_S) is not None
        tables.keep(response("c", "b", text=PICTURE), NOW_S)
        with pytest.raises(RequestTooLargeError, match="limit 25000"):
            tables.conversation("me", "c", NOW_S)
        with pytest.raises(RequestTooLargeError):
            tables.items("me", ["in_a", "in_b", "in_c"], NOW_S)


def test_an_object_that_looks_like_a_stored_text_is_only_an_object(tmp_path: Path):
    secret = response("a", text=PICTURE)
    with opened(tmp_path) as tables:
        tables.keep(secret, NOW_S)
        connection = sqlite3.connect(tmp_path / "responses.sqlite3")
        digest = connection.execute("SELECT digest FROM texts").fetchone()[0]
        connection.close()
        for forged in ({"$text": digest}, {"$text": {"$text": digest}}, {"$text": "x", "b": 1}):
            body = {"id": "b", "tools": [forged]}
            tables.keep(StoredResponse("b", "you", None, body, [], []), NOW_S)
            found = tables.find("you", "b", NOW_S)
            assert found is not None
            assert found.body == body
            tables.forget("you", "b")
