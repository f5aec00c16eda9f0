"""Numbers that no record can have, in addresses, queries and forms: not found, and never an error of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image
from starlette.testclient import TestClient

from contract.served import served
from quiet_progress import QuietProgress
from smallsight.library.database import Database
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan
from smallsight.settings import Settings
from smallsight.web.record_ids import parse_record_id
from web.logged_in import PAGE, form_token

TOO_LARGE = ("9" * 16, str(2**63), "9" * 30, "9" * 5000)  # Python itself converts no more than 4300 digits


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    home = tmp_path_factory.mktemp("numbers")
    pictures = home / "pictures"
    pictures.mkdir()
    Image.new("RGB", (20, 20), "red").save(pictures / "red.png")
    settings = Settings(home=home)
    with Database.open_for_writing(settings.database_path, for_run=True) as database:
        known = Library(database).add_folder(pictures)
        FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)
    with served(home, server={"watch": False}) as (client, _):
        yield client


@pytest.mark.parametrize("number", TOO_LARGE)
@pytest.mark.parametrize("path", ["/pictures/{}", "/pictures/{}/description", "/thumbs/{}/" + 64 * "0"])
def test_addresses(started: TestClient, path: str, number: str):
    assert started.get(f"/app{path.format(number)}", headers=PAGE).status_code == 404


@pytest.mark.parametrize("number", [*TOO_LARGE, "-1", "1.5", "x"])
def test_a_picture_to_search_by(started: TestClient, number: str):
    assert started.get("/app/", params={"similar": number}, headers=PAGE).status_code == 200


@pytest.mark.parametrize("number", TOO_LARGE)
@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/pictures/1/restore", "version"),
        ("/bulk", "id"),
        ("/tags/suggested", "id"),
        ("/duplicates", "id"),
        ("/ask", "content_id"),
    ],
)
def test_fields_of_forms(started: TestClient, path: str, field: str, number: str):
    form = {field: number, "form_token": form_token(started), "tag": "a", "question": "What?"}
    assert started.post(f"/app{path}", data=form, headers=PAGE).status_code != 500


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("12", 12), ("٣", None), ("", None), (None, None)])
def test_what_is_a_number_of_a_record(text: object, number: int | None):
    assert parse_record_id(text) == number
