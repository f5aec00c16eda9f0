from __future__ import annotations

import sqlalchemy as sa

from smallsight.library.schema import content
from smallsight.library.search.sqlite.search_text import refresh_search_text


def stored(database, content_id):
    with database.reading() as connection:
        return connection.exec_driver_sql(
            "SELECT name, folder, tags, description, ocr FROM search_text WHERE content_id = ?", (content_id,)
        ).one_or_none()


def matching(database, expression):
    with database.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT rowid FROM search_index WHERE search_index MATCH ? ORDER BY rowid", (expression,)
        )
        return [row[0] for row in rows]


def refresh(database, *content_ids):
    with database.writing() as connection:
        refresh_search_text(connection, content_ids)


def test_a_row_holds_every_text_in_search_form(small, database):
    one = small.add(
        "2024/Été/IMG_1.JPG",
        root="/srv/me/Memes",
        ocr="DON'T\npanic",
        description="Ein Hund",
        tags=["So Wow"],
    )
    small.add_file(one, "copy.jpg", root="/other")
    name, folder, tags, description, ocr = stored(database, one)
    assert name.replace("\ue001", "|") == "img 1 jpg | copy jpg"
    assert folder.replace("\ue001", "|") == "memes 2024 ete | other"
    assert (tags, description, ocr) == ("so wow", "ein hund", "dont panic")


def test_changes_leave_nothing_old_behind(small, database):
    one = small.add("a.png", ocr="first text")
    with database.writing() as connection:
        connection.execute(sa.update(content).where(content.c.id == one).values(ocr_text="second text"))
        refresh_search_text(connection, [one])
    assert matching(database, '"first"') == []
    assert matching(database, '"second"') == [one]


def test_a_content_without_files_leaves_the_index_and_comes_back(small, database):
    one = small.add("a.png", ocr="hello")
    small.vanish(one)
    assert stored(database, one) is None
    assert matching(database, '"hello"') == []
    small.add_file(one, "b.png")
    assert matching(database, '"hello"') == [one]
    assert stored(database, one)[0] == "b png"


def test_unknown_ids_repeats_and_none_at_all_are_fine(small, database):
    one = small.add("a.png", ocr="hello")
    refresh(database)
    refresh(database, 12345, one, one)
    assert matching(database, '"hello"') == [one]


def test_the_index_agrees_with_its_table_after_many_changes(small, database):
    ids = [small.add(f"{number}.png", ocr=f"word{number % 7} common") for number in range(30)]
    for content_id in ids[::3]:
        small.vanish(content_id)
    refresh(database, *ids)
    with database.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO search_index (search_index, rank) VALUES ('integrity-check', 1)"
        )
        connection.exec_driver_sql(
            "INSERT INTO term_trigram (term_trigram, rank) VALUES ('integrity-check', 1)"
        )
    assert len(matching(database, '"common"')) == 20


def test_words_enter_the_vocabulary_once(small, database):
    small.add("a.png", ocr="hello hello 犬 x")
    small.add("b.png", ocr="hello")
    with database.reading() as connection:
        terms = [row[0] for row in connection.exec_driver_sql("SELECT term FROM term ORDER BY term")]
    assert terms == ["hello", "pictures", "png"]
