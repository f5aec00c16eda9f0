"""Killed at any statement of a migration, a library is in a schema that exists, and goes on from it (R22)."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command

from forked_commands import run_command
from scale import scaled
from smallsight.library.backup import check_library
from smallsight.library.database import Database
from smallsight.library.migrations import NEWEST
from smallsight.library.migrations.upgrade import _config

NUM_KILLS = scaled(5)
# Opens a library for writing, and is killed before the statement of that number; 0 counts them.
PROGRAM = """
import os, signal, sqlite3, sys
from pathlib import Path
import smallsight.library.database as database
number, count = int(sys.argv[2]), 0

class Counted(sqlite3.Connection):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.set_trace_callback(self.note)

    def note(self, statement):
        global count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

connect = sqlite3.connect
sqlite3.connect = lambda *a, **named: connect(*a, factory=Counted, **named)
database.Database.open_for_writing(Path(sys.argv[1])).close()
print(count)
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of the first schema, with things that every step changes."""
    path = tmp_path_factory.mktemp("old") / "library.sqlite3"
    Database.open_for_writing(path).close()
    path.unlink()
    migrate(path, "0001")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO folder (id, path, added_at_s) VALUES (1, '/pictures', 0)")
        for number in range(1, 41):
            connection.execute(
                "INSERT INTO picture (folder_id, path, size_bytes, mtime_ns, content_id, seen_at_s) "
                "VALUES (1, ?, 1, 1700000000000000000, ?, 5)",
                (f"a {number}.png", number),
            )
            connection.execute(
                "INSERT INTO content (id, sha256, size_bytes, format, ocr_text, ocr_source) "
                "VALUES (?, ?, 1, 'PNG', ?, 'machine')",
                (number, f"{number:064x}", "l\nWORDS ١٢٣"),
            )
            for position, text in enumerate(("l", "WORDS ١٢٣")):
                connection.execute(
                    "INSERT INTO text_line VALUES (?, ?, ?, 0.4, '[]')", (number, position, text)
                )
            connection.execute(
                "INSERT INTO search_text (content_id, name, folder, tags, description, ocr, filters) "
                "VALUES (?, 'a', '', '', '', 'l words ١٢٣', '')",
                (number,),
            )
        connection.execute("INSERT INTO tag (id, name, folded) VALUES (1, 'Été ١', 'été ١')")
        connection.execute("INSERT INTO content_tag (content_id, tag_id) VALUES (1, 1)")
        connection.commit()
    return path


def migrate(path: Path, revision: str) -> None:
    import sqlalchemy as sa

    engine = sa.create_engine(f"sqlite:///{path}")
    config = _config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    engine.dispose()


def run(path: Path, number: int) -> tuple[int, str]:
    """Return the exit code and what it printed."""
    arguments = f"import sys\nsys.argv[1:] = {[str(path), str(number)]!r}\n"
    code, out, err = run_command(arguments + PROGRAM, os.environ)
    return code, out + err


def revision_and_tables(path: Path) -> tuple[str, tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        tables = connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY sql"
        ).fetchall()
        return revision, tuple(row[0] for row in tables)


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return sorted(connection.iterdump())


def test_every_kill_leaves_a_schema_that_exists_and_nothing_is_lost(old: Path, tmp_path: Path):
    shapes = {}
    for revision in (f"{number:04}" for number in range(1, int(NEWEST) + 1)):
        at = tmp_path / f"{revision}.sqlite3"
        shutil.copy(old, at)
        migrate(at, revision)
        found, tables = revision_and_tables(at)
        shapes[found] = tables
    assert max(shapes) == NEWEST
    whole = tmp_path / "whole" / "library.sqlite3"
    whole.parent.mkdir()
    shutil.copy(old, whole)
    num_statements = int(run(whole, 0)[1])
    assert num_statements > 100
    seen = set()
    for kill in range(NUM_KILLS):
        path = tmp_path / f"kill {kill}" / "library.sqlite3"
        path.parent.mkdir()
        shutil.copy(old, path)
        code, printed = run(path, 1 + kill * (num_statements - 1) // max(1, NUM_KILLS - 1))
        assert code in (-signal.SIGKILL, 0), printed
        revision, tables = revision_and_tables(path)
        assert shapes[revision] == tables, f"between two schemas after statement {kill}"
        seen.add(revision)
        Database.open_for_writing(path).close()
        assert revision_and_tables(path)[0] == NEWEST
        assert check_library(path) == []
        assert dump(path) == dump(whole)
    assert len(seen) > 1, "all kills came before or after the migration"
