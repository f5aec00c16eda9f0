"""The page of settings without a browser: values, tags with colours, keys, appearance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from contract.served import served
from quiet_progress import QuietProgress
from smallsight.http.api_keys import ApiKeys, Scope
from smallsight.library.database import Database
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan
from smallsight.library.tag_colours import tag_colours
from smallsight.library.tags import list_tags
from smallsight.settings import Settings, load_settings
from smallsight.web.tag_styles import tag_class, text_colour
from web.logged_in import PAGE, PASSWORD, form_token, log_in, store_password


@pytest.fixture(scope="module")
def running_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("settings")
        patch.setenv("SMALLSIGHT_HOME", str(home))
        patch.setenv("SMALLSIGHT_SEARCH__MIN_SIMILARITY", "0.4")
        yield home


@pytest.fixture(scope="module")
def started(running_home: Path) -> Iterator[TestClient]:
    settings = Settings(home=running_home)
    pictures = running_home.with_name("pictures")
    pictures.mkdir()
    for number in range(3):
        Image.new("RGB", (20, 20), (80 * number, 0, 9)).save(pictures / f"{number}.png")
    with Database.open_for_writing(settings.database_path, for_run=True) as database:
        known = Library(database).add_folder(pictures)
        FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)
    with served(running_home, memory={"max_loaded_models": 2}, server={"watch": False}) as (client, _):
        yield client


@pytest.fixture
def client(started: TestClient, running_home: Path) -> TestClient:
    for name in ("smallsight.toml", "api-keys.json"):
        (running_home / name).unlink(missing_ok=True)
    return started


@pytest.fixture
def home(running_home: Path) -> Path:
    return running_home


def text_of(client: TestClient, path: str = "/app/settings") -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def post(client: TestClient, path: str, **fields: Any) -> Any:
    token = re.search(r'name="form-token" content="(\w+)"', text_of(client, "/app/live"))
    assert token is not None
    return client.post(
        f"/app/settings/{path}", data={"form_token": token[1], **fields}, follow_redirects=False
    )


def test_values_are_stored_and_used_at_once(client: TestClient, home: Path):
    answer = post(
        client, "values", group="answers", **{"inference.max_tokens": "77", "inference.temperature": "0"}
    )
    assert answer.headers["location"] == "/app/settings?saved=answers#answers"
    assert (home / "smallsight.toml").read_text() == "[inference]\nmax_tokens = 77\n"
    page = text_of(client, "/app/settings?saved=answers")
    assert 'name="inference.max_tokens" inputmode="numeric" value="77"' in page
    assert "Saved." in page
    post(client, "values", group="answers", **{"inference.max_tokens": ""})
    assert load_settings().inference.max_tokens is None


def test_a_wrong_value_is_shown_again_with_what_is_wrong(client: TestClient, home: Path):
    answer = post(
        client, "values", group="limits", **{"limits.max_file_bytes": "-5", "limits.decode_timeout_s": "12"}
    )
    assert answer.status_code == 422
    assert 'value="-5"' in answer.text
    assert 'value="12"' in answer.text
    assert re.search(
        r'id="set-limits-max_file_bytes-problem" role="alert">Setting limits.max_file_bytes', answer.text
    )
    assert answer.text.count('aria-invalid="true"') == 1
    assert not (home / "smallsight.toml").exists()


def test_a_length_and_a_prompt_exclude_each_other(client: TestClient, home: Path):
    both = {"describe.prompt": "Say it.", "describe.length": "short"}
    answer = post(client, "values", group="descriptions", **both)
    assert answer.status_code == 422
    assert "cannot be combined with a prompt" in answer.text
    assert not (home / "smallsight.toml").exists()


def test_what_flags_and_variables_set_is_not_offered_and_not_written(client: TestClient, home: Path):
    page = text_of(client)
    assert "Set by the environment variable SMALLSIGHT_SEARCH__MIN_SIMILARITY" in page
    assert "Set by an option of the command" in page
    assert page.count(" disabled") == 2
    assert "From -1 to 1. Default: 0.3." in page
    fields = {"search.min_similarity": "0.9", "memory.max_loaded_models": "9", "memory.keep_alive_s": "5"}
    post(client, "values", group="limits", **fields)
    assert (home / "smallsight.toml").read_text() == "[memory]\nkeep_alive_s = 5.0\n"


def test_a_setting_of_another_group_is_not_written(client: TestClient, home: Path):
    post(client, "values", group="answers", **{"server.host": "0.0.0.0", "limits.max_file_bytes": "1"})
    assert not (home / "smallsight.toml").exists()
    assert post(client, "values", group="server").status_code == 400


def test_theme_and_language_are_remembered_and_forgotten(client: TestClient):
    answer = post(client, "appearance", theme="dark", language="en")
    assert "smallsight-theme=dark" in answer.headers["set-cookie"]
    assert '<html lang="en" data-theme="dark">' in text_of(client)
    post(client, "appearance", theme="system", language="")
    assert 'data-theme="system"' in text_of(client)
    post(client, "appearance", theme="<script>", language="xx")
    assert 'data-theme="system"' in text_of(client)


def test_a_key_is_shown_once_and_then_required(tmp_path: Path):
    with served(tmp_path, server={"watch": False}) as (client, _):
        assert "these pages close until there is a password: set it first" in text_of(client)
        assert post(client, "keys", name="phone").status_code == 422
        assert post(client, "keys", name="", scope="use").status_code == 422
        token = re.search(r'name="form-token" content="(\w+)"', text_of(client))
        assert token is not None
        answer = post(client, "keys", name="phone", scope=["use"])
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        found = re.search(r"<code>(ss-[\w-]{40,})</code>", answer.text)
        assert found is not None
        stored = ApiKeys(tmp_path / "api-keys.json")
        assert [(one.name, one.scopes) for one in stored.all()] == [("phone", {Scope.USE})]
        assert client.get("/app/settings").status_code == 403
        store_password(tmp_path)
        client.follow_redirects = False
        assert log_in(client) == 303
        assert found[1] not in client.get("/app/settings").text
        fields = {"form_token": form_token(client), "name": "phone"}
        removed = client.post("/app/settings/keys/remove", data=fields)
        assert removed.status_code == 303
        assert stored.all() == ()


def test_a_password_is_offered_before_the_first_key_and_keeps_the_pages_open(tmp_path: Path):
    with served(tmp_path, server={"watch": False}) as (client, _):
        page = text_of(client)
        assert page.index("settings/password") < page.index("Create a key without a password")
        for given, again, problem in (("short", "short", "length"), (PASSWORD, "something else", "differs")):
            answer = post(client, "password", password=given, again=again)
            assert answer.headers["location"] == f"/app/settings?password={problem}#keys"
        assert "The two passwords differ." in text_of(client, "/app/settings?password=differs")
        answer = post(client, "password", password=PASSWORD, again=PASSWORD)
        assert answer.headers["location"] == "/app/settings#keys"
        page = text_of(client)
        assert "Create a key without a password" not in page
        assert "settings/password" not in page
        assert post(client, "password", password="another one", again="another one").status_code == 400
        assert post(client, "keys", name="phone", scope="use").status_code == 200
        assert "phone" in text_of(client)
        client.cookies.clear()
        client.follow_redirects = False
        assert client.get("/app/settings", headers=PAGE).headers["location"].startswith("/app/login")
        assert log_in(client) == 303


@pytest.fixture
def tagged(client: TestClient, home: Path) -> Iterator[Database]:
    with Database.open_for_writing(home / "library.sqlite3") as database:
        library = Library(database)
        for content_id, names in ((1, ("Cat", "kitten")), (2, ("Cat",)), (3, ())):
            library.edit(content_id, tags_added=names)
        yield database
        for one in list_tags(database):
            library.edit(1, tags_removed=(one.name,))
            library.edit(2, tags_removed=(one.name,))


def names(database: Database) -> list[tuple[str, int]]:
    return [(one.name, one.num_pictures) for one in list_tags(database)]


def test_a_tag_gets_a_colour_that_chips_show_everywhere(client: TestClient, tagged: Database):
    assert post(client, "tags", name="Cat", new="Cat", colour="#FFCC00").status_code == 303
    assert tag_colours(tagged) == {"cat": "#ffcc00"}
    styles = client.get("/app/tag-colours.css")
    assert f".{tag_class('CAT')}{{background:#ffcc00;border-color:#ffcc00;color:#000000}}" in styles.text
    assert styles.headers["content-type"].startswith("text/css")
    again = client.get("/app/tag-colours.css", headers={"if-none-match": styles.headers["etag"]})
    assert again.status_code == 304
    for page in ("/app/settings", "/app/?view=list", "/app/pictures/1"):
        assert re.search(rf'class="chip[^"]* {tag_class("Cat")}"', text_of(client, page))
    post(client, "tags", name="Cat", new="Cat", colour="#ffcc00", plain="1")
    assert tag_colours(tagged) == {}


def test_a_tag_keeps_its_colour_under_another_name_and_after_merging(client: TestClient, tagged: Database):
    post(client, "tags", name="Cat", new="Felines", colour="#112233")
    assert names(tagged) == [("Felines", 2), ("kitten", 1)]
    assert tag_colours(tagged) == {"felines": "#112233"}
    post(client, "tags/merge", tag=["Felines", "kitten"], into="animals")
    assert names(tagged) == [("animals", 2)]
    assert tag_colours(tagged) == {"animals": "#112233"}


def test_a_tag_is_removed_from_all_pictures(client: TestClient, tagged: Database):
    assert post(client, "tags/remove", name="cat").status_code == 303
    assert names(tagged) == [("kitten", 1)]
    assert post(client, "tags/remove", name="cat").status_code == 404


@pytest.mark.parametrize("colour", ["red", "#12345", "#1234567", "#11223g", "#fff;}*{display:none"])
def test_only_colours_are_colours(client: TestClient, tagged: Database, colour: str):
    assert post(client, "tags", name="Cat", new="Cat", colour=colour).status_code == 400
    assert tag_colours(tagged) == {}


def test_merging_needs_tags_and_a_name(client: TestClient, tagged: Database):
    assert post(client, "tags/merge", tag=["Cat"], into="").status_code == 400
    assert post(client, "tags/merge", into="x").status_code == 400
    assert len(names(tagged)) == 2


def test_text_on_every_colour_is_legible():
    def luminance(colour: str) -> float:
        shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (
            one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in shares
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    steps = range(0, 256, 15)
    for colour in (f"#{red:02x}{green:02x}{blue:02x}" for red in steps for green in steps for blue in steps):
        low, high = sorted((luminance(colour), luminance(text_colour(colour))))
        assert (high + 0.05) / (low + 0.05) >= 4.5, colour
