"""Uploads and folders over HTTP, in this process: the protocol, its refusals, and the chooser's roots."""

from __future__ import annotations

import base64
import io
import re
import shutil
import time
from urllib.parse import quote

import pytest
from PIL import Image

from contract.served import served
from smallsight.library.database import Database
from smallsight.library.library import Library

PART = "application/offset+octet-stream"


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("place")
    (root / "album").mkdir()
    (root / "outside").mkdir()
    (root / "album" / "way out").symlink_to(root / "outside")
    database = Database.open_for_writing(root / "home" / "library.sqlite3", for_run=False)
    Library(database).add_folder(root / "album")
    database.close()
    return root


@pytest.fixture(scope="module")
def client(place):
    server = {"watch": False, "folder_roots": (place / "album",)}
    with served(place / "home", server=server, index={"ocr": False}) as (client, _):
        token = re.search(r'name="form-token" content="(\w+)"', client.get("/app/folders").text)[1]
        client.headers["x-form-token"] = token
        yield client


def create(client, data: bytes, name: str = "a.png", folder: str = ""):
    pairs = {"filename": name, "folder": folder}
    metadata = ",".join(f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in pairs.items())
    return client.post("/app/uploads", headers={"upload-length": str(len(data)), "upload-metadata": metadata})


def send(client, address: str, offset: int, data: bytes):
    return client.patch(address, content=data, headers={"upload-offset": str(offset), "content-type": PART})


def test_an_upload_in_parts_is_stored_indexed_and_known_the_next_time(client, place):
    data = png("red")
    created = create(client, data)
    assert created.status_code == 201
    address = created.headers["location"]
    assert send(client, address, 0, data[:30]).headers["upload-offset"] == "30"
    assert client.head(address).headers["upload-offset"] == "30"
    wrong = send(client, address, 10, data[10:])
    assert wrong.status_code == 409
    assert "30 bytes have arrived" in wrong.headers["x-problem"]
    done = send(client, address, 30, data[30:])
    assert (done.status_code, done.headers["x-upload-state"]) == (204, "stored")
    assert (place / "album" / "Uploads" / "a.png").read_bytes() == data
    assert client.head(address).status_code == 404
    deadline_s = time.monotonic() + 60
    while True:
        address = create(client, data, "another name.png").headers["location"]
        again = send(client, address, 0, data)
        assert again.headers["x-upload-state"] == "duplicate"
        if "x-upload-address" in again.headers:
            break
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    assert "a.png" in client.get(again.headers["x-upload-address"]).text
    assert [one.name for one in (place / "album" / "Uploads").iterdir()] == ["a.png"]


def test_a_cancelled_upload_is_gone(client):
    address = create(client, png("blue")).headers["location"]
    assert client.delete(address).status_code == 204
    assert client.head(address).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"upload-length": "0"}, 400),
        ({"upload-length": "-1"}, 400),
        ({"upload-length": "9" * 14}, 413),
        ({"upload-length": "10", "upload-metadata": "filename ###"}, 400),
    ],
)
def test_an_upload_that_makes_no_sense_is_refused(client, headers, status):
    assert client.post("/app/uploads", headers=headers).status_code == status


def test_pictures_are_stored_in_folders_of_the_library_only(client, place):
    for folder in (place / "outside", place / "album" / "way out", place / "album" / ".." / "outside"):
        refused = create(client, png("red"), folder=str(folder))
        assert refused.status_code == 400
        assert "Not inside a folder of the library" in refused.headers["x-problem"]
    assert list((place / "outside").iterdir()) == []


def test_a_change_without_the_token_of_a_page_is_refused(client):
    headers = {"x-form-token": "wrong", "upload-length": "10"}
    assert client.post("/app/uploads", headers=headers).status_code == 403
    for path in (
        "folders/add",
        "folders/remove",
        "folders/scan",
        "folders/stop",
        "uploads/share",
        "uploads/form",
    ):
        refused = client.post(f"/app/{path}", data={"path": "/"}, headers={"x-form-token": "wrong"})
        assert refused.status_code == 403, path


def test_a_form_stores_pictures_without_scripts_and_says_what_happened(client, place):
    files = [("files", ("form.png", png("green"))), ("files", ("notes.png", b"text"))]
    answer = client.post("/app/uploads/form", files=files, follow_redirects=True)
    assert "Stored" in answer.text
    assert "not a picture that can be read" in answer.text
    assert (place / "album" / "Uploads" / "form.png").exists()


def test_an_empty_file_in_a_form_is_told_and_no_file_is_no_problem(client):
    answer = client.post("/app/uploads/form", files=[("files", ("hollow.png", b""))], follow_redirects=True)
    assert "hollow.png" in answer.text
    assert "empty" in answer.text
    nothing = client.post("/app/uploads/form", files=[("files", ("", b""))], follow_redirects=True)
    assert nothing.status_code == 200
    assert "empty" not in nothing.text


@pytest.mark.parametrize(
    "path", ["{0}/..", "{0}/album/../outside", "{0}/album/way out", "/", "/etc", "{0}/album/%2e%2e"]
)
def test_the_chooser_stays_below_its_roots(client, place, path):
    wanted = path.format(place)
    for given in (quote(wanted), quote(quote(wanted)), wanted.replace(" ", "+")):
        answer = client.get(f"/app/folders/choose?path={given}")
        assert answer.status_code == 400
        assert "outside</span>" not in answer.text


def test_the_chooser_shows_folders_and_no_files(client, place):
    (place / "album" / "2024 <b>").mkdir()
    shutil.copy(__file__, place / "album" / "file.txt")
    shown = client.get("/app/folders/choose", params={"path": str(place / "album")}).text
    assert "2024 &lt;b&gt;" in shown
    assert "file.txt" not in shown
    assert "way out" not in shown
