"""The first page, folders, the folder chooser and uploads, in a real browser."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from e2e.serving import Server, running
from free_ports import free_port
from web.conftest import PATIENCE_MS

SIDECAR = """<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt>
<rdf:li xml:lang="x-default">A yellow submarine</rdf:li>
</rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>"""


def jpeg(seed: int, side: int = 48) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def person(tmp_path_factory):
    """The home folder of a person with three pictures, and secrets that no page may show."""
    home = tmp_path_factory.mktemp("person")
    for number, name in enumerate(("sunset beach", "red bicycle", "birthday cake")):
        (home / "Pictures" / "2024").mkdir(parents=True, exist_ok=True)
        (home / "Pictures" / "2024" / f"{name}.jpg").write_bytes(jpeg(number))
    (home / "Documents" / "scans").mkdir(parents=True)
    (home / "Documents" / "scans" / "old letter.jpg").write_bytes(jpeg(9))
    (home / ".secret").mkdir()
    return home


@pytest.fixture(scope="module")
def environment(person):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(person))
        patch.setenv("SMALLSIGHT_INDEX__OCR", "false")
        patch.setenv("SMALLSIGHT_SERVER__FOLDER_ROOTS", json.dumps([str(person)]))
        yield


@pytest.fixture(scope="module")
def server(environment, tmp_path_factory):
    with running(tmp_path_factory.mktemp("home") / "data") as one:
        yield one


@pytest.fixture
def page(browser, server):
    context = browser.new_context(
        base_url=server.url,
        viewport={"width": 1280, "height": 900},
        service_workers="block",  # it would keep requests from being held back
    )
    context.set_default_timeout(PATIENCE_MS)
    one = context.new_page()
    problems = []
    one.on("pageerror", lambda error: problems.append(str(error)))
    one.on(
        "console",
        lambda message: problems.append(message.text) if "Content Security" in message.text else None,
    )
    yield one
    context.close()
    assert not problems


def give(page, how: str, *files: tuple[str, bytes]) -> None:
    """Drop or paste files, as a browser does when a person does."""
    page.evaluate(
        """([how, files]) => {
            const data = new DataTransfer();
            for (const [name, text] of files) {
                const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
                data.items.add(new File([bytes], name, { type: "image/jpeg" }));
            }
            const event = how === "drop"
                ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
                : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
            document.getElementById("main").dispatchEvent(event);
        }""",
        [how, [(name, base64.b64encode(data).decode()) for name, data in files]],
    )


def tiles(page):
    return page.locator("#tiles > .tile")


def test_the_first_page_indexes_a_folder_in_one_click_and_its_pictures_are_found(page):
    page.goto("/app/")
    page.get_by_role("button", name=re.compile(r"Pictures.*3 pictures")).click()
    expect(tiles(page)).to_have_count(3)
    page.get_by_role("searchbox").fill("bicycle")
    expect(tiles(page)).to_have_count(1)
    expect(tiles(page).first.locator(".name")).to_have_text(re.compile("red bicycle"))


def test_the_example_pictures_are_one_click_away_in_an_empty_home(browser, environment, tmp_path):
    with running(tmp_path / "data") as server:
        page = browser.new_page(base_url=server.url)
        page.set_default_timeout(PATIENCE_MS)
        page.goto("/app/")
        page.get_by_role("button", name="Try it with the example pictures").click()
        expect(tiles(page).nth(20)).to_be_visible(timeout=PATIENCE_MS)  # they appear by themselves
        page.get_by_role("searchbox").fill("dog in meeting")
        expect(tiles(page)).to_have_count(1)
        tiles(page).locator("a.open").click()
        expect(page).to_have_title(re.compile("dog_in_meeting"))
        page.context.close()


def test_a_picture_that_appears_in_a_watched_folder_appears_in_the_open_page(page, person):
    page.goto("/app/")
    expect(tiles(page)).to_have_count(3)
    new = person / "Pictures" / "new arrival.jpg"
    new.write_bytes(jpeg(20))
    expect(tiles(page)).to_have_count(4)
    new.unlink()
    expect(tiles(page)).to_have_count(3)


def test_a_search_without_a_result_looks_again_when_more_is_known_about_a_picture(page, person, server):
    page.goto("/app/?q=submarine")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    sidecar = person / "Pictures" / "2024" / "birthday cake.jpg.xmp"
    sidecar.write_text(SIDECAR)
    expect(tiles(page)).to_have_count(1)
    sidecar.unlink()
    server.wait_until(lambda: "Nothing found" in server.http.get("/app/?q=submarine").text)


def test_a_gallery_in_use_offers_new_pictures_and_does_not_move(page, person):
    page.goto("/app/")
    tiles(page).first.locator(".pick input").check(force=True)
    new = person / "Pictures" / "another arrival.jpg"
    new.write_bytes(jpeg(21))
    page.get_by_role("button", name="Show new pictures").click()
    expect(tiles(page)).to_have_count(4)
    new.unlink()


def test_what_is_typed_is_shown_although_pictures_arrive_before_its_answer(page, person):
    held = []
    page.route(re.compile("/app/results.*q=bicycle"), lambda route: held.append(route))  # noqa: PLW0108 - it needs a function
    with page.expect_websocket() as opened:
        page.goto("/app/")
    expect(tiles(page)).to_have_count(3)
    with page.expect_request(re.compile("q=bicycle")):
        page.get_by_role("searchbox").fill("bicycle")
    new = person / "Pictures" / "while typing.jpg"
    with opened.value.expect_event("framereceived", lambda text: 'data-version=\\"4-' in text):
        new.write_bytes(jpeg(23))
    for route in held:
        route.continue_()
    expect(tiles(page)).to_have_count(1)
    expect(page).to_have_url(re.compile("q=bicycle"))
    new.unlink()


def test_a_folder_is_chosen_added_scanned_and_removed(page, person):
    page.goto("/app/folders")
    page.get_by_role("link", name="Add a folder").click()
    page.get_by_role("link", name=str(person)).click()
    expect(page.get_by_role("link", name=re.compile("Documents"))).to_be_visible()
    page.wait_for_load_state()
    assert ".secret" not in page.content()
    page.get_by_role("link", name=re.compile("Documents")).click()
    page.get_by_role("button", name="Add this folder").click()
    entry = page.locator("#folder-list li", has=page.get_by_role("heading", name="Documents"))
    expect(entry).to_contain_text("1 picture")
    expect(page.locator("#folder-work")).to_have_attribute("data-state", "watching")
    entry.get_by_role("button", name="Scan now").click()
    expect(page.locator("#notices")).to_contain_text("Looking for changes")
    entry.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove from the library").click()
    expect(page.locator("#folder-list li")).to_have_count(1)
    assert (person / "Documents" / "scans" / "old letter.jpg").exists()


def test_a_click_counts_although_the_page_is_updated_while_the_button_is_pressed(page, person):
    with page.expect_websocket() as opened:
        page.goto("/app/folders")
    expect(page.locator("#folder-list")).to_contain_text("3 pictures")
    page.locator("#folder-list").get_by_role("button", name="Scan now").hover()
    page.mouse.down()
    new = person / "Pictures" / "while pressed.jpg"
    with opened.value.expect_event("framereceived", lambda text: "4 pictures" in text):
        new.write_bytes(jpeg(22))
    page.mouse.up()
    expect(page.locator("#notices")).to_contain_text("Looking for changes")
    expect(page.locator("#folder-list")).to_contain_text("4 pictures")
    new.unlink()
    expect(page.locator("#folder-list")).to_contain_text("3 pictures")


def test_dropped_and_pasted_pictures_are_stored_and_shown_and_known_ones_are_linked(page, person):
    page.goto("/app/")
    expect(tiles(page)).to_have_count(3)
    give(page, "drop", ("dropped.jpg", jpeg(30)), ("notes.jpg", b"not a picture at all"))
    rows = page.locator("#uploads ul li")
    expect(rows.filter(has_text="dropped.jpg")).to_have_attribute("data-state", "stored")
    expect(rows.filter(has_text="notes.jpg")).to_contain_text("not a picture that can be read")
    give(page, "paste", ("image.png", jpeg(31)))
    page.get_by_role("button", name="Add it to the library").click()
    expect(rows.filter(has_text="image.png")).to_have_attribute("data-state", "stored")
    expect(tiles(page)).to_have_count(5)
    stored = sorted(one.name for one in (person / "Pictures" / "Uploads").iterdir())
    assert stored == ["dropped.jpg", "image.png.jpg"]
    give(page, "drop", ("the same.jpg", jpeg(30)))
    page.get_by_role("button", name="Add it to the library").click()
    again = rows.filter(has_text="the same.jpg")
    expect(again).to_contain_text("Already in the library")
    again.get_by_role("link", name="Show").click()
    expect(page.get_by_role("heading", name="dropped.jpg")).to_be_visible()


def test_pictures_shared_from_another_app_are_stored_and_pages_of_other_sites_cannot_share(server, person):
    files = [
        ("files", ("shared.jpg", jpeg(40), "image/jpeg")),
        ("files", ("shared.jpg", jpeg(41), "image/jpeg")),
    ]
    refused = server.http.post("/app/uploads/share", files=files, headers={"sec-fetch-site": "cross-site"})
    assert refused.status_code == 403
    assert server.http.post("/app/uploads/share", files=files).status_code == 403
    answer = server.http.post("/app/uploads/share", files=files, headers={"sec-fetch-site": "none"})
    assert answer.status_code == 303
    assert server.http.get(answer.headers["location"]).text.count("Stored") == 2
    folder = person / "Pictures" / "Uploads"
    assert (folder / "shared.jpg").read_bytes() == jpeg(40)
    assert (folder / "shared (2).jpg").read_bytes() == jpeg(41)


@pytest.mark.slow
def test_an_upload_goes_on_by_itself_after_the_server_was_killed(browser, environment, person, tmp_path):
    data = jpeg(50) + bytes(np.random.default_rng(0).integers(0, 256, 10_000_000, np.uint8))
    album = person / "Documents" / "album"
    album.mkdir()
    (album / "first.jpg").write_bytes(jpeg(51))
    (tmp_path / "large.jpg").write_bytes(data)
    first = Server(tmp_path / "data", "--port", str(free_port()))
    page = browser.new_page(base_url=first.url)
    try:
        page.goto("/app/folders/choose?path=" + str(album))
        page.get_by_role("button", name="Add this folder").click()
        expect(page.locator("#folder-list li")).to_have_count(1)
        page.goto("/app/")
        expect(tiles(page)).to_have_count(1)
        slow = page.context.new_cdp_session(page)
        slow.send("Network.enable")
        limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2_000_000}
        slow.send("Network.emulateNetworkConditions", limits)
        page.get_by_role("link", name="Add").click()
        page.locator("#uploads input[type=file]").set_input_files(tmp_path / "large.jpg")
        row = page.locator("#uploads ul li")
        # The server has the first part. An expectation looks once a second, and could look too late.
        page.wait_for_function(
            "() => /^[4-9]\\d %$/.test(document.querySelector('#uploads ul li .state')?.textContent)"
        )
    finally:
        first.process.kill()
        first.process.communicate()
        first.http.close()
    assert not (album / "Uploads" / "large.jpg").exists()
    expect(row).to_contain_text("Waiting for the server")
    slow.send("Network.emulateNetworkConditions", limits | {"uploadThroughput": -1})
    with running(tmp_path / "data", "--port", str(first.port)):
        expect(row).to_have_attribute("data-state", "stored")
        assert (album / "Uploads" / "large.jpg").read_bytes() == data
        assert [one.name for one in (album / "Uploads").iterdir()] == ["large.jpg"]
        assert list((tmp_path / "data" / "uploads").iterdir()) == []
        expect(tiles(page)).to_have_count(2)
        page.close()
