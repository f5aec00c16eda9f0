"""The page of a file that is no picture says why, in place of a picture that cannot be shown."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from contract.served import served
from forked_commands import run_command
from web.logged_in import PAGE


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "the file is empty"), (b"\x89PNG\r\n\x1a\n" + bytes(50), "The PNG data is damaged")],
)
def test_the_reason_is_in_the_place_of_the_picture(tmp_path: Path, data: bytes, reason: str):
    pictures, home = tmp_path / "pictures", tmp_path / "home"
    pictures.mkdir()
    (pictures / "broken.png").write_bytes(data)
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home), "SMALLSIGHT_INDEX__OCR": "false"}
    run_command(["index", str(pictures), "--quiet"], environment)
    with served(home, server={"watch": False}) as (client, _):
        page = client.get("/app/pictures/1", headers=PAGE).text
    assert re.search(rf'<p class="reason bad">[^<]*{reason}', page)
    assert re.search(r'<div class="shown" hidden ', page)
