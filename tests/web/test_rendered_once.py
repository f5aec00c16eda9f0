"""The tiles of the whole library are rendered once for everyone, and again when it has changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contract.served import served
from smallsight.library.database import Database
from smallsight.library.schema import content, folder, picture
from smallsight.library.search.sqlite.facets import refresh_index
from smallsight.settings import load_settings
from smallsight.web.page_renderer import PageRenderer

_MONTH = re.compile(r'data-start="([0-9]+)"')
_NAME = re.compile(r'<span class="name">([^<]+)</span>')


def _add(database: Database, number: int, name: str) -> None:
    with database.writing() as connection:
        connection.execute(content.insert().values(id=number, sha256=f"{number:064}", size_bytes=1))
        values = {"folder_id": 1, "path": name, "size_bytes": 1, "mtime_ns": number * 10**16}
        connection.execute(picture.insert().values(content_id=number, seen_at_s=0.0, **values))
        refresh_index(connection, [number])


def test_tiles_of_the_whole_library_are_rendered_again_after_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rendered = []

    def count(self: PageRenderer, template: str, values: object) -> object:
        rendered.append(template)
        return part(self, template, values)

    part = PageRenderer.part
    monkeypatch.setattr(PageRenderer, "part", count)
    with (
        Database.open_for_writing(load_settings(home=tmp_path).database_path) as database,
        served(tmp_path, server={"watch": False}) as (client, _),
    ):
        with database.writing() as connection:
            connection.execute(folder.insert().values(id=1, path=str(tmp_path / "none"), added_at_s=0.0))
        _add(database, 1, "<b>one.png")
        _add(database, 2, "two.png")
        pages = [client.get("/app/", headers={"accept-language": "de"}).text for _ in range(3)]
        assert [_NAME.findall(page) for page in pages] == [["two.png", "&lt;b&gt;one.png"]] * 3
        assert [_MONTH.findall(page) for page in pages] == [["0", "1"]] * 3
        assert "&lt;b&gt;one.png auswählen" in pages[0]
        assert sorted(rendered) == ["scrubber.html", "tag_options.html", "tile_page.html"]
        assert "Select &lt;b&gt;one.png" in client.get("/app/", headers={"accept-language": "en"}).text
        _add(database, 3, "three.png")
        names = ["three.png", "two.png", "&lt;b&gt;one.png"]
        assert _NAME.findall(client.get("/app/tiles").text) == names
