"""What a command says of errors of the system that no part of it foresaw."""

from __future__ import annotations

import errno
import os

import pytest

from smallsight.cli.main import invoke
from smallsight.cli.system_errors import system_error
from smallsight.errors import OutOfResourcesError, PathError, StorageError

LONG = "a" * 5_000


@pytest.mark.parametrize(
    "arguments",
    [
        ["describe", LONG, "--model", "test"],
        ["describe", f"/{LONG}/x.png", "--model", "test"],
        ["caption", LONG, "--model", "test", "--out", "x.jsonl"],
        ["index", LONG],
        ["models", "add", LONG],
        ["export", "--out", f"{LONG}.jsonl"],
        ["library", "backup", LONG],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_name_that_is_too_long_is_a_path_that_cannot_be_used(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SMALLSIGHT_LOG_LEVEL", raising=False)

    assert invoke(arguments) == PathError.exit_code

    said = capsys.readouterr().err
    assert "File name too long" in said
    assert "unforeseen" not in said


@pytest.mark.parametrize(
    ("number", "expected", "words"),
    [
        (errno.EACCES, PathError, "permission"),
        (errno.ENAMETOOLONG, PathError, "check the path"),
        (errno.ENOSPC, StorageError, "make room"),
        (errno.EMFILE, OutOfResourcesError, "ulimit"),
    ],
)
def test_errors_of_the_system_have_a_sentence_and_a_hint(number, expected, words):
    told = system_error(OSError(number, os.strerror(number), "/some/path"))
    assert isinstance(told, expected)
    assert os.strerror(number) in told.message
    assert words in (told.hint or "")


def test_a_full_disk_needs_no_path():
    assert isinstance(system_error(OSError(errno.ENOSPC, "No space left on device")), StorageError)
    assert isinstance(system_error(MemoryError()), OutOfResourcesError)


@pytest.mark.parametrize("error", [OSError("no number"), OSError(errno.EACCES, "no path")])
def test_what_is_not_about_a_path_stays_unforeseen(error):
    assert system_error(error) is None
