"""What a command says of errors of the system that no part of it foresaw."""

from __future__ import annotations

import errno
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
from PIL import Image

from smallsight.cli.main import invoke
from smallsight.cli.system_errors import system_error
from smallsight.errors import OutOfResourcesError, PathError, SettingsError, StorageError
from smallsight.settings_places import default_home

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


def run_in_shell(
    words: str, *, limit_kb: int | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    limited = f"ulimit -v {limit_kb}; " if limit_kb else ""
    program = f"{limited}{shlex.quote(sys.executable)} -m smallsight {words}"
    return subprocess.run(
        ["sh", "-c", program], check=False, capture_output=True, timeout=120, env=os.environ | environment
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("words", ["--json models", "models", "--json show nosuch.png"])
def test_output_that_cannot_be_written_ends_with_a_sentence(words, tmp_path):
    ended = run_in_shell(f"{words} >/dev/full", SMALLSIGHT_HOME=str(tmp_path), NO_COLOR="1")
    said = ended.stderr.decode()
    assert ended.returncode in (StorageError.exit_code, PathError.exit_code)
    assert said.startswith("error: ")
    assert "Traceback" not in said
    assert "Exception ignored" not in said


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_work_goes_on_where_its_messages_cannot_be_written(tmp_path):
    """A log on a full disk, or a terminal that is gone, is no reason to stop indexing."""
    Image.new("RGB", (8, 8), "red").save(tmp_path / "owl.png")
    environment = {"SMALLSIGHT_HOME": str(tmp_path / "home"), "SMALLSIGHT_INDEX__OCR": "false"}
    folder = shlex.quote(str(tmp_path))
    assert run_in_shell(f"index {folder} 2>/dev/full", **environment).returncode == 0
    found = run_in_shell("search owl --paths 2>/dev/full", **environment)
    assert (found.returncode, found.stdout.strip()) == (0, os.fsencode(tmp_path / "owl.png"))
    assert run_in_shell("show nosuch.png 2>/dev/full", **environment).returncode == 3


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Unix")
@pytest.mark.parametrize("redirected", ["", "2>&1"])
def test_a_reader_that_leaves_ends_every_command_alike(redirected, tmp_path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "owl.png")
    environment = {"SMALLSIGHT_HOME": str(tmp_path / "home"), "SMALLSIGHT_INDEX__OCR": "false"}
    assert run_in_shell(f"index {shlex.quote(str(tmp_path))}", **environment).returncode == 0
    program = f"{shlex.quote(sys.executable)} -m smallsight"
    for words in ("export", "search owl", "models", "show owl.png", "search owl --json", "--help", "nothing"):
        if words == "nothing" and not redirected:
            continue  # it prints nothing to the reader
        left = f"cd {shlex.quote(str(tmp_path))}; {{ {program} {words} {redirected}; echo $? >code; }} | true"
        said = subprocess.run(
            ["bash", "-c", left], capture_output=True, timeout=120, check=False, env=os.environ | environment
        )
        assert ((tmp_path / "code").read_text(), said.stderr) == ("141\n", b""), words


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix")
def test_closed_standard_files_are_not_taken_by_others(tmp_path):
    closed = run_in_shell("--version <&- >&- 2>&-", SMALLSIGHT_HOME=str(tmp_path))
    assert closed.returncode == 0
    named = run_in_shell("models show nosuch <&- >&-", SMALLSIGHT_HOME=str(tmp_path), NO_COLOR="1")
    assert named.stderr.decode().startswith("error: There is no model called 'nosuch'.")


def test_a_removed_folder_is_a_sentence():
    told = system_error(FileNotFoundError(errno.ENOENT, "No such file or directory"))  # of os.getcwd
    assert isinstance(told, PathError)
    assert "current folder" in told.message


@pytest.mark.parametrize("encoding", ["ascii", "cp437"])
def test_characters_that_cannot_be_printed_are_escaped(encoding, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "猫.png")
    ended = run_in_shell(
        f"describe {shlex.quote(str(tmp_path / '猫.png'))} --model test",
        SMALLSIGHT_HOME=str(tmp_path / "home"),
        PYTHONIOENCODING=encoding,
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, b"\\u732b")


@pytest.mark.parametrize("words", ["describe '~nosuchuser/a.png' --model test", "folders"])
def test_a_home_folder_of_nobody_is_a_sentence(words, tmp_path):
    home = str(tmp_path) if words.startswith("describe") else "~nosuchuser/data"
    ended = run_in_shell(words, SMALLSIGHT_HOME=home, NO_COLOR="1")
    assert ended.returncode in (2, 3)
    assert b"nosuchuser" in ended.stderr
    assert b"unforeseen" not in ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_wherever_memory_ends_the_error_says_so(tmp_path):
    """openvino 2026.4.1 reports it as a RuntimeError, or returns from ``infer`` without rows of logits."""
    picture = tmp_path / "red.png"
    Image.new("RGB", (64, 64), "red").save(picture)
    failed = []
    for limit_kb in (300_000, 500_000, 1_300_000):
        ended = run_in_shell(f"describe {picture}", limit_kb=limit_kb, SMALLSIGHT_HOME=str(tmp_path / "home"))
        said = ended.stderr.decode()
        if ended.returncode:  # how much it needs depends on the machine
            failed.append(limit_kb)
            assert ended.returncode == OutOfResourcesError.exit_code, said
            assert "Traceback" not in said
            assert "\nhint: close other programs" in said
    assert failed  # the runtime alone needs more than the least


def test_a_user_without_a_home_folder_is_told_what_to_set(monkeypatch):
    def has_none(*_: object, **__: object) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs, "user_data_dir", has_none)
    with pytest.raises(SettingsError, match="no home folder") as caught:
        default_home()
    assert "SMALLSIGHT_HOME" in (caught.value.hint or "")


def test_a_path_of_no_user_is_unusable():
    with pytest.raises(RuntimeError) as caught:
        Path("~nosuchuser/a.png").expanduser()
    assert isinstance(system_error(caught.value), PathError)
    assert system_error(RuntimeError("of ours")) is None


def test_an_unknown_command_is_told_in_json_too(capsys):
    for arguments in (["--json", "bogus"], ["bogus", "--json"]):
        assert invoke(arguments) == 2
        assert "bogus" in json.loads(capsys.readouterr().out)["error"]["message"]
