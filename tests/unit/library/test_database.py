from __future__ import annotations

import os
import signal
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from forked_commands import command_server, run_command
from smallsight.errors import (
    LibraryBusyError,
    LibraryDamagedError,
    LibraryMissingError,
    StorageError,
)
from smallsight.library.database import Database
from smallsight.library.lock import WriteLock
from smallsight.library.migrations import NEWEST
from smallsight.library.migrations.upgrade import _config, newest_step
from smallsight.library.schema import content_tag, folder, metadata
from smallsight.settings import Settings


def test_migrations_make_exactly_the_tables_of_the_schema(database: Database):
    with database.reading() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or name in metadata.tables},
        )
        assert compare_metadata(context, metadata) == []


def test_the_declared_newest_shape_is_the_last_step():
    assert newest_step() == NEWEST


def test_a_transaction_that_fails_leaves_nothing(database: Database):
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        connection.execute(folder.insert().values(path="/a", added_at_s=0.0))
        raise ZeroDivisionError
    with database.reading() as connection:
        assert connection.execute(sa.select(folder)).all() == []


def test_readers_cannot_write(database: Database):
    with database.reading() as connection, pytest.raises(sa.exc.OperationalError, match="readonly"):
        connection.execute(folder.insert().values(path="/a", added_at_s=0.0))


def test_a_reader_sees_one_state_while_the_writer_commits(database: Database):
    with database.reading() as connection:
        count = sa.select(sa.func.count()).select_from(folder)
        before = connection.execute(count).scalar_one()
        with database.writing() as writer:
            writer.execute(folder.insert().values(path="/a", added_at_s=0.0))
        assert connection.execute(count).scalar_one() == before
    with database.reading() as connection:
        assert connection.execute(count).scalar_one() == before + 1


def test_writers_take_turns_and_lose_nothing(database: Database):
    def add(start: int) -> None:
        for number in range(start, start + 25):
            with database.writing() as connection:
                connection.execute(folder.insert().values(path=f"/{number}", added_at_s=0.0))

    threads = [threading.Thread(target=add, args=(100 * worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(folder)).scalar_one() == 100


def test_a_second_run_is_told_who_indexes_the_library(settings: Settings):
    script = (
        "from pathlib import Path\n"
        "from smallsight.library.database import Database\n"
        "from smallsight.errors import LibraryBusyError\n"
        f"try: Database.open_for_writing(Path({str(settings.database_path)!r}), for_run=True)\n"
        "except LibraryBusyError as error: print(error.message)"
    )
    with Database.open_for_writing(settings.database_path, for_run=True):
        code, out, err = run_command(script, os.environ)
    assert code == 0, err
    assert f"process {os.getpid()}" in out


def test_the_lock_is_free_again_after_closing(settings: Settings):
    Database.open_for_writing(settings.database_path, for_run=True).close()
    with (
        Database.open_for_writing(settings.database_path, for_run=True),
        pytest.raises(LibraryBusyError, match="being indexed"),
    ):
        Database.open_for_writing(settings.database_path, for_run=True)
    Database.open_for_writing(settings.database_path, for_run=True).close()


_MANY_ROWS = """
from pathlib import Path
from smallsight.library.database import Database
from smallsight.library.lock import WriteLock
from smallsight.library.schema import folder
with Database.open_for_writing(Path({path!r}), for_run={name!r} == "run") as database:
    for number in range(150):
        with database.writing() as connection:
            connection.execute(folder.insert().values(path=f"/{name}/{{number}}", added_at_s=0.0))
"""


def test_processes_that_write_at_once_lose_nothing(settings: Settings):
    Database.open_for_writing(settings.database_path).close()
    processes = [
        command_server().start(_MANY_ROWS.format(path=str(settings.database_path), name=name), os.environ)
        for name in ("run", "first", "second")
    ]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    with Database.open_for_reading(settings.database_path) as database:
        database.check_integrity()
        with database.reading() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(folder)).scalar_one() == 3 * 150


def test_a_writer_that_is_killed_in_a_transaction_holds_nobody_up(settings: Settings):
    script = (
        "import os; from pathlib import Path\n"
        "from smallsight.library.database import Database\n"
        "from smallsight.library.schema import folder\n"
        f"database = Database.open_for_writing(Path({str(settings.database_path)!r}), for_run=True)\n"
        "with database.writing() as connection:\n"
        "    connection.execute(folder.insert().values(path='/lost', added_at_s=0.0))\n"
        "    os.kill(os.getpid(), 9)"
    )
    assert run_command(script, os.environ)[0] == -signal.SIGKILL
    with Database.open_for_writing(settings.database_path, for_run=True) as database:
        with database.writing() as connection:
            connection.execute(folder.insert().values(path="/kept", added_at_s=0.0))
        with database.reading() as connection:
            assert connection.execute(sa.select(folder.c.path)).scalars().all() == ["/kept"]


def test_a_writer_that_never_ends_is_a_sentence(settings: Settings):
    settings.home.mkdir()
    lock = WriteLock(settings.database_path.with_name("writer.lock"))
    other = WriteLock(settings.database_path.with_name("writer.lock"))
    with (
        lock.held(1.0),
        pytest.raises(LibraryBusyError, match="too long"),
        other.held(0.05),
    ):
        pass
    with other.held(0.05):
        pass
    lock.close()
    other.close()


def test_no_library_is_a_sentence(settings: Settings):
    with pytest.raises(LibraryMissingError) as caught:
        Database.open_for_reading(settings.database_path)
    assert "smallsight index" in (caught.value.hint or "")


def test_an_empty_file_becomes_a_library(settings: Settings):
    settings.home.mkdir()
    settings.database_path.touch()
    with Database.open_for_reading(settings.database_path) as database:
        database.check_integrity()


def test_a_file_that_is_no_database_is_a_sentence(settings: Settings):
    settings.home.mkdir()
    settings.database_path.write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(LibraryDamagedError, match="not a database"):
        Database.open_for_reading(settings.database_path)
    with pytest.raises(LibraryDamagedError, match="not a database"):
        Database.open_for_writing(settings.database_path)


def test_a_library_of_a_newer_version_is_refused_and_left_alone(settings: Settings):
    Database.open_for_writing(settings.database_path).close()
    connection = sqlite3.connect(settings.database_path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(LibraryDamagedError, match="newer version"):
        Database.open_for_reading(settings.database_path)
    with pytest.raises(LibraryDamagedError, match="newer version"):
        Database.open_for_writing(settings.database_path)


def test_damage_inside_the_file_is_found(settings: Settings):
    with Database.open_for_writing(settings.database_path) as database, database.writing() as connection:
        for number in range(500):
            connection.execute(folder.insert().values(path=f"/{number:050}", added_at_s=0.0))
    data = bytearray(settings.database_path.read_bytes())
    page_bytes = int.from_bytes(data[16:18], "big")
    for start in range(2 * page_bytes, len(data) - page_bytes, page_bytes):
        data[start : start + 100] = b"\xff" * 100
    settings.database_path.write_bytes(data)
    with (
        pytest.raises(LibraryDamagedError),
        Database.open_for_reading(settings.database_path) as database,
    ):
        database.check_integrity()


def test_a_full_disk_is_a_sentence_and_undoes_only_the_transaction(database: Database):
    with database.writing() as connection:
        connection.execute(folder.insert().values(path="/kept", added_at_s=0.0))
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    with database.writing() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="disk is full"), database.writing() as connection:
        for number in range(10_000):
            connection.execute(folder.insert().values(path=f"/{number:0500}", added_at_s=0.0))
    with database.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        assert connection.execute(sa.select(folder.c.path)).scalars().all() == ["/kept"]


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path):
    blocker = tmp_path / "file"
    blocker.touch()
    with pytest.raises(StorageError) as caught:
        Database.open_for_writing(blocker / "home" / "library.sqlite3")
    assert "SMALLSIGHT_HOME" in (caught.value.hint or "")


def test_tags_of_an_older_library_are_a_persons(settings: Settings):
    path = settings.database_path
    path.parent.mkdir(parents=True)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql("INSERT INTO content (id, sha256, size_bytes) VALUES (1, 'a', 1)")
        connection.exec_driver_sql("INSERT INTO tag VALUES (1, 'Cat', 'cat')")
        connection.exec_driver_sql("INSERT INTO content_tag VALUES (1, 1)")
        connection.commit()
    engine.dispose()
    with Database.open_for_writing(path) as database, database.writing() as connection:
        assert connection.execute(sa.select(content_tag)).all() == [(1, 1, "human", None, None)]
        with pytest.raises(sa.exc.IntegrityError, match="tag_source_known"):
            connection.execute(content_tag.update().values(source="nobody"))


def test_an_older_library_is_searched_by_the_new_forms_and_loses_misread_lines(settings: Settings):
    path = settings.database_path
    path.parent.mkdir(parents=True)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        insert = connection.exec_driver_sql
        insert("INSERT INTO folder (id, path, added_at_s) VALUES (1, '/pictures', 0)")
        for content_id, text, source in [
            (1, "世\nLearn C++", "machine"),
            (2, "世", "human"),
            (3, "8", "machine"),
        ]:
            insert(
                "INSERT INTO content (id, sha256, size_bytes, ocr_text, ocr_source) VALUES (?, ?, 1, ?, ?)",
                (content_id, str(content_id), text, source),
            )
            insert(
                "INSERT INTO picture (folder_id, path, size_bytes, mtime_ns, content_id, seen_at_s)"
                " VALUES (1, ?, 1, 1, ?, 0)",
                (f"{content_id}.png", content_id),
            )
            for position, line in enumerate(text.split("\n")):
                confidence = 0.99 if len(line) > 1 else 0.6
                insert(
                    "INSERT INTO text_line VALUES (?, ?, ?, ?, '[]')",
                    (content_id, position, line, confidence),
                )
            insert(
                "INSERT INTO search_text VALUES (?, ?, 'pictures', '', '', 'learn c', ?)",
                (content_id, str(content_id), "\ue000"),
            )
            insert(
                "INSERT INTO chunk (content_id, text, embedder_key, vector) VALUES (?, ?, 'k', x'00')",
                (content_id, text),
            )
        insert("INSERT INTO tag VALUES (1, '\u06cc', '\u06cc')")
        connection.commit()
    engine.dispose()
    with Database.open_for_writing(path) as database, database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT ocr_text FROM content ORDER BY id").scalars().all()
        assert rows == ["Learn C++", "世", ""]
        indexed = connection.exec_driver_sql("SELECT ocr FROM search_text ORDER BY 1").scalars().all()
        assert indexed == ["", "learn cplusplus", "世"]
        assert connection.exec_driver_sql("SELECT text FROM chunk").scalars().all() == ["世\nLearn C++"]
        versions = connection.exec_driver_sql("SELECT text_version FROM content ORDER BY id").scalars().all()
        assert versions == [1, 1, 2]
        assert connection.exec_driver_sql("SELECT folded FROM tag").scalar_one() == "\u064a"


@pytest.mark.skipif(os.name == "nt", reason="paths are shorter there")
def test_a_path_that_is_too_long_for_sqlite_is_named_as_the_reason(tmp_path: Path):
    deep = tmp_path.joinpath(*["d" * 100] * 6)
    deep.mkdir(parents=True)
    with pytest.raises(StorageError, match=r"too long for SQLite \(limit 500 bytes\)"):
        Database.open_for_writing(deep / "library.sqlite3")


def test_a_relative_home_that_looks_like_an_address_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    path = Path("file:home?mode=memory") / "library.sqlite3"
    Database.open_for_writing(path).close()
    assert (tmp_path / path).stat().st_size > 0
    Database.open_for_reading(path).close()
