from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from smallsight.library.database import Database
from smallsight.library.schema import folder
from smallsight.library.validation_keeping import keep_validation
from smallsight.library.validations import StoredValidation, stored_validations
from smallsight.settings import Settings

FOUND = StoredValidation(
    model="SmolVLM-256M-Instruct-int8",
    base="SmolVLM-256M-Instruct",
    version="0.2.0",
    machine="AMD EPYC (avx2 fma)",
    picture_set="4f1d" * 16,
    measured_at_s=1_790_000_000.0,
    verdict="stable",
    is_decided=True,
    reasons=("The mean quality is 98.0 %; 95 % is enough.",),
    summary={"num_pictures": 64, "quality": {"mean": 0.98, "low": 0.97, "high": 0.99}},
    scheme="bf16 vision=int8-groups",
    precision="int8",
    key="k",
    weights_bytes=250_000_000,
    loaded_bytes=500_000_000,
    peak_bytes=700_000_000,
    first_token_s=0.8,
    tokens_per_s=61.5,
    pictures_per_min=14.0,
)


def stored(path: Path) -> tuple[StoredValidation, ...]:
    return stored_validations(path, FOUND.version, FOUND.machine)


def test_what_is_stored_is_read_as_it_was(settings: Settings):
    keep_validation(settings.database_path, FOUND)
    assert stored(settings.database_path) == (FOUND,)


def test_those_of_this_version_and_machine_count_the_newest_last(settings: Settings):
    path = settings.database_path
    for change in (
        {"verdict": "experimental"},
        {"measured_at_s": FOUND.measured_at_s - 1, "verdict": "do not ship"},
        {"measured_at_s": FOUND.measured_at_s + 9, "version": "0.1.0", "verdict": "do not ship"},
        {"measured_at_s": FOUND.measured_at_s + 9, "machine": "another (neon)", "verdict": "do not ship"},
        {"model": "another"},
    ):
        keep_validation(path, replace(FOUND, **change))
    assert [(one.model, one.verdict) for one in stored(path)] == [
        (FOUND.model, "do not ship"),
        (FOUND.model, "experimental"),
        ("another", "stable"),
    ]


def test_only_the_newest_of_a_model_are_kept(settings: Settings):
    for number in range(23):
        keep_validation(settings.database_path, replace(FOUND, measured_at_s=float(number)))
    keep_validation(settings.database_path, replace(FOUND, model="another", measured_at_s=0.0))
    with closing(sqlite3.connect(settings.database_path)) as connection:
        rows = connection.execute("SELECT model, measured_at_s FROM validation ORDER BY id").fetchall()
    assert [row[1] for row in rows if row[0] == FOUND.model] == [float(number) for number in range(3, 23)]
    assert [row[1] for row in rows if row[0] == "another"] == [0.0]


def test_it_is_stored_while_another_process_indexes(settings: Settings):
    with Database.open_for_writing(settings.database_path, for_run=True) as run:
        keep_validation(settings.database_path, FOUND)
        with run.writing() as connection:
            connection.execute(folder.insert().values(path="/a", added_at_s=0.0))
    assert stored(settings.database_path) == (FOUND,)


@pytest.mark.parametrize("state", ["no library", "no table", "no database", "empty"])
def test_where_nothing_can_be_read_there_are_none(tmp_path: Path, state: str):
    path = tmp_path / "library.sqlite3"
    if state == "no table":
        sqlite3.connect(path).execute("CREATE TABLE folder (id INTEGER)").connection.close()
    elif state == "no database":
        path.write_bytes(b"hello" * 1000)
    elif state == "empty":
        path.touch()
        path.with_name("library.sqlite3-wal").write_bytes(b"pages")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert stored(path) == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == before, "reading has changed the folder"


def test_reading_needs_no_sqlalchemy():
    code = (
        "import sys, smallsight.services.model_verdicts\n"
        "print([name for name in ('sqlalchemy', 'openvino') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
