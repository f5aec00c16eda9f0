"""The page of duplicates without a browser: what becomes of files that cannot be removed."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from contract.served import served
from quiet_progress import QuietProgress
from smallsight.library.database import Database
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan
from smallsight.settings import Settings
from web.logged_in import form_token


def test_each_file_that_cannot_be_removed_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    settings, pictures = Settings(home=tmp_path / "home"), tmp_path / "pictures"
    pictures.mkdir()
    paths = [pictures / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        Image.new("RGB", (20, 20), (60 * number, 0, 9)).save(path)
    with Database.open_for_writing(settings.database_path, for_run=True) as database:
        known = Library(database).add_folder(pictures)
        FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)
    kept, gone, changed, removed = paths
    with served(settings.home, server={"watch": False}) as (client, _):
        gone.unlink()
        changed.write_bytes(kept.read_bytes())
        fields = {"ids": "1,2,3,4", "keep": "1", "kind": "same", "confirmed": "yes"}
        fields |= {"form_token": form_token(client), "file": [str(path) for path in paths[1:]]}
        answer = client.post("/app/duplicates/decide", data=fields)
        assert answer.status_code == 409
        assert "2 files were not removed" in answer.text
        assert f"The file is not there any more: {gone}" in answer.text
        assert f"The file has changed since it was shown: {changed}" in answer.text
        assert "1 file removed." in answer.text
        assert not removed.exists()
        with Database.open_for_reading(settings.database_path) as database, database.cursor() as cursor:
            assert cursor.execute("SELECT count(*) FROM duplicate_decision").fetchone() == (0,)
