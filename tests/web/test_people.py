"""People with their own keys in the pages: what each may see, ask and change, and what ends that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from contract.served import served
from forked_commands import run_command
from smallsight.http.api_keys import ApiKeys, Scope
from smallsight.library.database import Database
from smallsight.library.edit_journal import list_edits
from smallsight.settings import Settings
from web.logged_in import PAGE, PASSWORD, form_token, log_in, other_browser, pages_of, store_password
from web.test_access import PUBLIC, address, connects, routes

PEOPLE = {
    "Lou": frozenset({Scope.PAGES}),
    "Ada": frozenset({Scope.PAGES, Scope.USE}),
    "Eve": frozenset({Scope.PAGES, Scope.EDIT}),
    "robot": frozenset({Scope.USE, Scope.EDIT, Scope.MONITOR}),
}
MANAGED = [
    "/app/duplicates",
    "/app/folders",
    "/app/models",
    "/app/settings",
    "/app/describe",
    "/app/sessions",
    "/app/left-out",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("people")
    (place / "pictures").mkdir()
    Image.new("RGB", (64, 48), (200, 10, 10)).save(place / "pictures" / "red.png")
    environment = {"SMALLSIGHT_HOME": str(place / "home"), "SMALLSIGHT_INDEX__OCR": "false"}
    code, _, err = run_command(["index", str(place / "pictures")], environment)
    assert code == 0, err
    return place / "home"


@pytest.fixture(scope="module")
def keys(home: Path) -> dict[str, str]:
    store = ApiKeys(home / "api-keys.json")
    return {name: store.add(name, scopes) for name, scopes in PEOPLE.items()}


@pytest.fixture(scope="module")
def site(home: Path, keys: dict[str, str]) -> Iterator[tuple[TestClient, Starlette]]:
    store_password(home)
    with served(home, server={"watch": False}) as (client, app):
        client.follow_redirects = False
        yield client, pages_of(app)


def browser_of(site: tuple[TestClient, Starlette], key: str) -> TestClient:
    browser = other_browser(site[0])
    assert log_in(browser, key) == 303
    return browser


def page(browser: TestClient) -> str:
    answer = browser.get("/app/pictures/1", headers=PAGE)
    assert answer.status_code == 200
    return answer.text


def post(browser: TestClient, where: str, /, **fields: str) -> int:
    return browser.post(where, data={"form_token": form_token(browser, "/app/"), **fields}).status_code


def test_a_key_for_the_pages_logs_in_and_another_does_not(site, keys: dict[str, str]):
    assert log_in(other_browser(site[0]), keys["robot"]) == 401
    assert log_in(other_browser(site[0]), f"{keys['Lou']}x") == 401
    assert browser_of(site, f" {keys['Lou']} ").get("/app/", headers=PAGE).status_code == 200


def test_who_may_only_look_sees_pictures_and_no_forms_to_change_them(site, keys: dict[str, str]):
    browser = browser_of(site, keys["Lou"])
    shown = page(browser)
    assert "/edit" not in shown
    assert "/ask" not in shown
    assert 'id="bulk"' not in browser.get("/app/", headers=PAGE).text
    assert 'href="/app/uploads"' not in browser.get("/app/", headers=PAGE).text
    for path in ("/app/settings", "/app/folders", "/app/models", "/app/live"):
        assert f'href="{path}"' not in shown
    assert 'action="/app/logout"' in shown


def test_each_right_allows_its_forms_alone(site, keys: dict[str, str]):
    look, ask, edit = (browser_of(site, keys[name]) for name in ("Lou", "Ada", "Eve"))
    assert "/edit" in page(edit)
    assert "/ask" not in page(edit)
    assert "/ask" in page(ask)
    assert "/edit" not in page(ask)
    for browser in (look, ask):
        assert post(browser, "/app/pictures/1/edit", description="not mine to write") == 403
        assert post(browser, "/app/bulk", action="tag", tag="no", id="1") == 403
        assert post(browser, "/app/saved", name="no") == 403
    assert post(edit, "/app/pictures/1/edit", description="Eve was here") == 303
    assert post(edit, "/app/bulk", action="tag", tag="yes", id="1") == 303
    assert post(edit, "/app/bulk", action="forget", id="1") == 403
    assert post(edit, "/app/bulk", action="describe", id="1") == 403
    assert post(look, "/app/pictures/1/ask", question="What is it?") == 403
    assert post(edit, "/app/pictures/1/ask", question="What is it?") == 403
    assert post(ask, "/app/pictures/1/ask", question="What is it?") != 403
    assert "Eve was here" in page(look)


@pytest.mark.parametrize("name", ["Lou", "Ada", "Eve"])
def test_library_and_server_are_managed_with_the_password_alone(site, keys: dict[str, str], name: str):
    browser = browser_of(site, keys[name])
    for path in MANAGED:
        assert browser.get(path, headers=PAGE).status_code == 403, path
    assert post(browser, "/app/settings/keys", name="mine", scope="edit") == 403
    assert post(browser, "/app/folders/add", path="/") == 403
    assert post(browser, "/app/duplicates/decide", group="1") == 403
    manager = other_browser(site[0])
    assert log_in(manager, PASSWORD) == 303
    for path in MANAGED:
        assert manager.get(path, headers=PAGE).status_code == 200, path


def test_no_change_is_open_to_who_may_only_look(site, keys: dict[str, str]):
    browser, app = browser_of(site, keys["Lou"]), site[1]
    token = form_token(browser, "/app/")
    harmless = {"/look", "/logout", "/settings/appearance", "/login"}
    for route in routes(app, Route):
        for method in {"POST", "PUT", "PATCH", "DELETE"} & set(route.methods or ()):
            if route.path in harmless | PUBLIC:
                continue
            answer = browser.request(method, address(route), headers={"x-form-token": token})
            assert answer.status_code == 403, (method, route.path, answer.status_code)


def test_an_edit_says_in_the_journal_whose_it_is(site, keys: dict[str, str], home: Path):
    assert post(browser_of(site, keys["Eve"]), "/app/pictures/1/edit", add_tag="by name") == 303
    manager = other_browser(site[0])
    log_in(manager)
    assert post(manager, "/app/pictures/1/edit", add_tag="by nobody") == 303
    with Database.open_for_reading(Settings(home=home).database_path) as database:
        newest, before, *_ = list_edits(database)
    assert newest.summary == "tagged by nobody"
    assert before.summary == "tagged by name, by Eve"


def test_a_removed_key_ends_its_sessions_and_no_others(site, keys: dict[str, str], home: Path):
    store = ApiKeys(home / "api-keys.json")
    leaving = browser_of(site, store.add("leaving", frozenset({Scope.PAGES})))
    staying, manager = browser_of(site, keys["Lou"]), other_browser(site[0])
    log_in(manager)
    assert leaving.get("/app/").status_code == 200
    store.remove("leaving")
    assert leaving.get("/app/").status_code == 401
    assert not connects(leaving, "/app/events")
    store.add("leaving", frozenset({Scope.PAGES}))
    assert leaving.get("/app/").status_code == 401
    assert staying.get("/app/").status_code == manager.get("/app/").status_code == 200


def test_the_list_of_sessions_names_people(site, keys: dict[str, str]):
    browser_of(site, keys["Ada"])
    manager = other_browser(site[0])
    log_in(manager)
    assert re.search(r"<b>Ada, ", manager.get("/app/sessions", headers=PAGE).text)


def test_open_pages_of_people_get_the_topics_of_what_they_may_see(site, keys: dict[str, str]):
    topics = "/app/events?topics=work,library,folders,models,runs"
    assert targets(browser_of(site, keys["Lou"]), topics, 2) <= {"#fresh", "#work"}


def targets(browser: TestClient, path: str, number: int) -> set[str]:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    found: set[str] = set()
    try:
        with browser.websocket_connect(path, headers={"host": "127.0.0.1", "cookie": cookies}) as socket:
            for _ in range(number):
                found.add(socket.receive_json()["target"])
    except WebSocketDisconnect as error:
        raise AssertionError("the socket was refused") from error
    return found


def test_keys_for_the_pages_suffice_without_a_password(tmp_path: Path):
    key = ApiKeys(tmp_path / "api-keys.json").add("Lou", frozenset({Scope.PAGES}))
    with served(tmp_path) as (client, _):
        client.follow_redirects = False
        assert client.get("/app/", headers=PAGE).headers["location"].startswith("/app/login")
        assert log_in(client, key) == 303
        assert client.get("/app/", headers=PAGE).status_code == 200
        assert client.get("/app/settings", headers=PAGE).status_code == 403
        assert client.get("/v1/models", headers={"authorization": f"Bearer {key}"}).status_code == 403
