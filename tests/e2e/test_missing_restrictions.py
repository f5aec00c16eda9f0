"""A machine whose kernel lacks one of the decoder's restrictions: it is said once, or nothing starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from smallsight.media.seccomp import ARCHITECTURES

from .serving import about, data_url, png, running

WITHOUT_LANDLOCK = [sys.executable, str(Path(__file__).parent.parent / "without_landlock.py")]

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in ARCHITECTURES, reason="a filter takes Landlock away"
)


def run(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home), "SMALLSIGHT_INDEX__OCR": "false", **settings}
    return subprocess.run(
        [*WITHOUT_LANDLOCK, sys.executable, "-m", "smallsight", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_server_says_once_what_is_missing_and_answers(tmp_path: Path):
    with running(tmp_path / "home", prefix=WITHOUT_LANDLOCK) as server:
        assert server.health()["missing_restrictions"] == ["file_reads_denied"]
        assert server.ask(model="test", messages=about(data_url())).status_code == 200
        assert server.log.read_text().count("decoder_restrictions_missing") == 1


def test_a_server_with_all_of_them_says_so_and_hides_its_memory(tmp_path: Path):
    with running(tmp_path / "home", limits__require_sandbox="true") as server:
        assert Path(f"/proc/{server.process.pid}/mem").stat().st_uid == 0  # what hides it from its own user
        assert server.health()["missing_restrictions"] == []
        assert server.ask(model="test", messages=about(data_url())).status_code == 200


@pytest.mark.mostly_slow(1)
@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("index", ".")])
def test_nothing_starts_where_it_has_to_be_there(tmp_path: Path, command: tuple[str, ...]):
    done = run(tmp_path / "home", *command, SMALLSIGHT_LIMITS__REQUIRE_SANDBOX="true")
    assert done.returncode == 2
    assert "error: Refusing to start: the decoder lacks restrictions here: file_reads_denied." in done.stderr


def test_nothing_is_decoded_where_it_has_to_be_there(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(png())
    picture = str(tmp_path / "a.png")
    done = run(
        tmp_path / "home", "describe", picture, "--model", "test", SMALLSIGHT_LIMITS__REQUIRE_SANDBOX="true"
    )
    assert done.returncode == 4
    assert "lacks restrictions: file_reads_denied" in done.stderr


def test_doctor_says_which_and_why(tmp_path: Path):
    done = run(tmp_path / "home", "doctor")
    text = " ".join((done.stdout + done.stderr).split())
    assert "works, without: file reads denied ([Errno 1] Operation not permitted)" in text
