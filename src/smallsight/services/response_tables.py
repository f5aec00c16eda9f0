"""The tables of stored responses: one SQLite connection, used by one thread.

Owns what is stored and what is evicted. A text that is long, such as a picture, is stored once, whatever
number of responses have it. Raises sqlite3.Error; the caller decides what that means.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from smallsight.errors import RequestTooLargeError
from smallsight.policy.log import get_logger

log = get_logger(__name__)

StoredItem: TypeAlias = dict[str, Any]

_VERSION = 1
_LONG_CHARS = 4096
_TEXT = "$text"  # the key of an object that stands for a long text
_MAX_TURNS = 1000  # of one conversation
_BUSY_TIMEOUT_S = 5.0
_TABLES = """
CREATE TABLE IF NOT EXISTS responses (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, parent TEXT,
    created_s INTEGER NOT NULL, used INTEGER NOT NULL, num_bytes INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS items (
    response INTEGER NOT NULL REFERENCES responses ON DELETE CASCADE, position INTEGER NOT NULL,
    is_input INTEGER NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (response, position)
);
CREATE INDEX IF NOT EXISTS items_by_id ON items (id);
CREATE TABLE IF NOT EXISTS texts (digest TEXT PRIMARY KEY, num_bytes INTEGER NOT NULL, text BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS uses (
    response INTEGER NOT NULL REFERENCES responses ON DELETE CASCADE, digest TEXT NOT NULL,
    PRIMARY KEY (response, digest)
);
CREATE INDEX IF NOT EXISTS uses_of_texts ON uses (digest);
"""
# A conversation: a response, and those before it.
_CHAIN = """
WITH RECURSIVE chain(number, parent, depth) AS (
    SELECT number, parent, 0 FROM responses WHERE id = :id AND owner = :owner
    UNION ALL
    SELECT earlier.number, earlier.parent, depth + 1 FROM responses AS earlier
    JOIN chain ON earlier.id = chain.parent WHERE earlier.owner = :owner AND depth < :max_turns
)
"""
_USE_CHAIN = f"{_CHAIN} UPDATE responses SET used = :used WHERE number IN (SELECT number FROM chain)"  # noqa: S608
_READ_CHAIN = f"""{_CHAIN}
SELECT responses.number, responses.parent, created_s,
       num_bytes + (SELECT COALESCE(SUM(texts.num_bytes), 0) FROM texts JOIN uses USING (digest)
                    WHERE uses.response = responses.number)
FROM chain JOIN responses ON responses.number = chain.number ORDER BY depth DESC
"""  # noqa: S608 - all parts are constants
_EVICT_OLDEST = """
DELETE FROM responses WHERE number = (SELECT number FROM responses ORDER BY used, number LIMIT 1)
"""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response as it was returned, and the items of its request; each item is an object with an "id".

    ``owner`` is who may read it, ``parent`` the id of the response that it continues.
    """

    id: str
    owner: str
    parent: str | None
    body: Mapping[str, Any]
    given: Sequence[StoredItem]
    answered: Sequence[StoredItem]


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """How much is stored, how long, and how much one request may read."""

    max_responses: int
    max_bytes: int
    max_age_s: float
    max_read_bytes: int


class ResponseTables:
    """An open file of stored responses. Use and close it in the thread that opened it."""

    def __init__(self, path: Path, limits: StoreLimits) -> None:
        self._limits = limits
        self._connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def keep(self, one: StoredResponse, now_s: float) -> bool:
        """Store a response and evict what is too old or too much; False if it is larger than the store."""
        texts: dict[str, bytes] = {}
        body = _written(one.body, texts)
        items = [(item["id"], _written(item, texts)) for item in (*one.given, *one.answered)]
        num_bytes = len(body) + sum(len(written) for _, written in items)
        if num_bytes + sum(map(len, texts.values())) > self._limits.max_bytes:
            log.warning("response_too_large_to_store", limit_bytes=self._limits.max_bytes)
            return False
        with self._writing() as cursor:
            used = cursor.execute("SELECT COALESCE(MAX(used), 0) + 1 FROM responses").fetchone()[0]
            if one.parent is not None:  # a conversation that goes on is not evicted from its beginning
                cursor.execute(_USE_CHAIN, {**_names(one.owner, one.parent), "used": used})
            row = (one.id, one.owner, one.parent, int(now_s), used, num_bytes, body)
            cursor.execute(
                "INSERT INTO responses (id, owner, parent, created_s, used, num_bytes, body) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            number = cursor.lastrowid
            rows = [(number, i, i < len(one.given), *item) for i, item in enumerate(items)]
            cursor.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?)", rows)
            rows_of_texts = [(digest, len(text), text) for digest, text in texts.items()]
            cursor.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?, ?)", rows_of_texts)
            cursor.executemany("INSERT INTO uses VALUES (?, ?)", [(number, digest) for digest in texts])
            self._evict(cursor, now_s)
        return True

    def find(self, owner: str, response_id: str, now_s: float) -> StoredResponse | None:
        """Return one response, or None; raises RequestTooLargeError."""
        row = self._connection.execute(
            "SELECT number, parent, body FROM responses WHERE id = ? AND owner = ? AND created_s >= ?",
            (response_id, owner, now_s - self._limits.max_age_s),
        ).fetchone()
        if row is None:
            return None
        number, parent, body = row
        items = self._items(number)
        given, answered = (
            [item for is_input, item in items if is_input is wanted] for wanted in (True, False)
        )
        return StoredResponse(response_id, owner, parent, self._read(body), given, answered)

    def conversation(self, owner: str, response_id: str, now_s: float) -> list[StoredItem] | None:
        """Return all items of a response and those before it, oldest first; None if any is missing.

        Raises RequestTooLargeError.
        """
        rows = self._connection.execute(_READ_CHAIN, _names(owner, response_id)).fetchall()
        is_too_old = any(created_s < now_s - self._limits.max_age_s for _, _, created_s, _ in rows)
        if not rows or rows[0][1] is not None or is_too_old:
            return None
        self._require_readable(sum(num_bytes for _, _, _, num_bytes in rows))
        return [item for number, *_ in rows for _, item in self._items(number)]

    def items(self, owner: str, ids: Sequence[str], now_s: float) -> dict[str, StoredItem]:
        """Return the newest items with these ids, without those that are missing.

        Raises RequestTooLargeError.
        """
        found: dict[str, StoredItem] = {}
        num_bytes = 0
        for one in dict.fromkeys(ids):
            row = self._connection.execute(
                "SELECT items.body FROM items JOIN responses ON number = response "
                "WHERE items.id = ? AND owner = ? AND created_s >= ? ORDER BY number DESC LIMIT 1",
                (one, owner, now_s - self._limits.max_age_s),
            ).fetchone()
            if row is not None:
                found[one] = self._read(row[0])
                num_bytes += len(json.dumps(found[one]))
                self._require_readable(num_bytes)
        return found

    def forget(self, owner: str, response_id: str) -> bool:
        """Delete one response; False if there is none."""
        with self._writing() as cursor:
            cursor.execute("DELETE FROM responses WHERE id = ? AND owner = ?", (response_id, owner))
            is_deleted = cursor.rowcount == 1
            _delete_unused(cursor)
        return is_deleted

    def _prepare(self) -> None:
        for pragma in (
            "auto_vacuum = FULL",
            "secure_delete = ON",
            "synchronous = NORMAL",
            "foreign_keys = ON",
        ):
            self._connection.execute(f"PRAGMA {pragma}")  # what is deleted leaves the file
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, _VERSION):
            raise sqlite3.NotSupportedError(f"version {found} of the tables")
        if found == 0:
            self._connection.executescript(
                f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;"
            )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Cursor]:
        cursor = self._connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            yield cursor
            cursor.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                cursor.execute("ROLLBACK")
            raise

    def _evict(self, cursor: sqlite3.Cursor, now_s: float) -> None:
        cursor.execute("DELETE FROM responses WHERE created_s < ?", (now_s - self._limits.max_age_s,))
        _delete_unused(cursor)
        while True:
            number, num_bytes = cursor.execute(
                "SELECT COUNT(*), COALESCE(SUM(num_bytes), 0) FROM responses"
            ).fetchone()
            num_bytes += cursor.execute("SELECT COALESCE(SUM(num_bytes), 0) FROM texts").fetchone()[0]
            if number <= self._limits.max_responses and num_bytes <= self._limits.max_bytes:
                return
            cursor.execute(_EVICT_OLDEST)
            _delete_unused(cursor)

    def _items(self, number: int) -> list[tuple[bool, StoredItem]]:
        rows = self._connection.execute(
            "SELECT is_input, body FROM items WHERE response = ? ORDER BY position", (number,)
        ).fetchall()
        return [(bool(is_input), self._read(body)) for is_input, body in rows]

    def _read(self, written: str) -> StoredItem:
        whole: StoredItem = self._whole(json.loads(written))
        return whole

    def _whole(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, list):
            return [self._whole(one) for one in value]
        if not isinstance(value, dict):
            return value
        if value.keys() == {_TEXT} and isinstance(
            value[_TEXT], dict
        ):  # an object that looks like one of ours
            return {_TEXT: self._whole(value[_TEXT][_TEXT])}
        if value.keys() == {_TEXT}:
            row = self._connection.execute(
                "SELECT text FROM texts WHERE digest = ?", (value[_TEXT],)
            ).fetchone()
            return row[0].decode("utf-8", "surrogatepass")
        return {name: self._whole(one) for name, one in value.items()}

    def _require_readable(self, num_bytes: int) -> None:
        if num_bytes > self._limits.max_read_bytes:
            raise RequestTooLargeError(
                f"The conversation is too large: {num_bytes} bytes (limit {self._limits.max_read_bytes}).",
                hint="begin a new one, or raise server.max_body_bytes.",
            )


def _names(owner: str, response_id: str) -> dict[str, str | int]:
    return {"owner": owner, "id": response_id, "max_turns": _MAX_TURNS}


def _delete_unused(cursor: sqlite3.Cursor) -> None:
    cursor.execute("DELETE FROM texts WHERE NOT EXISTS (SELECT 1 FROM uses WHERE uses.digest = texts.digest)")


def _written(value: Mapping[str, Any], texts: dict[str, bytes]) -> str:
    return json.dumps(_apart(value, texts), separators=(",", ":"))


def _apart(value: Any, texts: dict[str, bytes]) -> Any:  # noqa: ANN401 - JSON
    """Return JSON in which objects stand for long texts, which are added to ``texts``."""
    if isinstance(value, str) and len(value) > _LONG_CHARS:
        data = value.encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(data).hexdigest()
        texts[digest] = data
        return {_TEXT: digest}
    if isinstance(value, list):
        return [_apart(one, texts) for one in value]
    if isinstance(value, dict):
        apart = {name: _apart(one, texts) for name, one in value.items()}
        return {_TEXT: apart} if apart.keys() == {_TEXT} else apart
    return value
