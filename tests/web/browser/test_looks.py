"""Finding by looks in the browser, with a small model: links, words with signs, a dropped picture."""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from e2e.serving import Server, running
from forked_commands import run_command
from tiny_dual_encoder import write_tiny_siglip
from web.accessible import assert_accessible

NUM_PICTURES = 24


def blot(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((120, 100), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("looks")
    model = write_tiny_siglip(folder / "tiny-siglip")
    (folder / "album").mkdir()
    for number in range(NUM_PICTURES):
        blot(number).save(folder / "album" / f"blot{number}.png")
    environment = {
        **os.environ,
        "SMALLSIGHT_HOME": str(folder / "home"),
        "SMALLSIGHT_PICTURE_EMBEDDING__MODEL": str(model),
        "SMALLSIGHT_PICTURE_EMBEDDING__PRECISION": "fp32",
    }
    code, out, err = run_command(["index", "--fast", str(folder / "album"), "--quiet"], environment)
    assert code == 0, f"{out}\n{err}"
    chosen = {"picture_embedding__model": str(model), "picture_embedding__precision": "fp32"}
    with running(folder / "home", server__watch="false", **chosen) as started:
        yield started


def as_png(image: Image.Image) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    return encoded.getvalue()


def test_a_picture_leads_to_what_looks_like_it_and_words_change_that(open_page):
    page = open_page("/app/pictures/3")
    expect(page.get_by_role("region", name="Looks like this").locator("a").first).to_be_visible()
    page.get_by_role("link", name="Similar pictures").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"similar=3"))
    expect(page.get_by_role("group", name="Looks like this")).to_contain_text("+sunset")
    expect(page.locator("#tiles .tile").first).to_be_visible()
    before = page.locator("#tiles .tile").evaluate_all("all => all.map((one) => one.dataset.id)")
    assert_accessible(page)
    page.locator("#q").fill("+owl -dog")
    expect(page).to_have_url(re.compile(r"q=%2Bowl\+-dog"))
    after = page.locator("#tiles .tile").evaluate_all("all => all.map((one) => one.dataset.id)")
    assert after != before
    page.reload()
    expect(page.locator("#q")).to_have_value("+owl -dog")
    assert page.locator("#tiles .tile").evaluate_all("all => all.map((one) => one.dataset.id)") == after


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_a_picture_that_is_dropped_or_pasted_is_searched_by_and_not_kept_in_the_library(open_page, how: str):
    page = open_page("/app/?view=list")
    page.evaluate(
        """([how, encoded]) => {
            const bytes = Uint8Array.from(atob(encoded), (one) => one.charCodeAt(0));
            const given = new DataTransfer();
            given.items.add(new File([bytes], "mine.png", { type: "image/png" }));
            const options = { bubbles: true, cancelable: true };
            const event = how === "drop"
                ? new DragEvent("drop", { ...options, dataTransfer: given })
                : new ClipboardEvent("paste", { ...options, clipboardData: given });
            document.body.dispatchEvent(event);
        }""",
        [how, base64.b64encode(as_png(blot(5).rotate(2))).decode()],
    )
    page.get_by_role("button", name="Find similar pictures").press("Enter")
    expect(page.locator(".chips")).to_contain_text("Like your picture")
    first = page.locator("#tiles .tile").first
    expect(first.locator(".name")).to_have_text("blot5.png")
    expect(first.locator(".why")).to_contain_text("what the picture shows")
    assert_accessible(page)
    page.goto("/app/")
    expect(page.locator("h1")).to_have_text(f"{NUM_PICTURES} pictures")


def test_a_picture_is_searched_by_with_the_keyboard_and_without_scripts(open_page):
    page = open_page(java_script_enabled=False)
    page.locator(".look input[type=file]").set_input_files(
        {"name": "mine.png", "mimeType": "image/png", "buffer": as_png(blot(7).rotate(2))}
    )
    page.locator(".look button").press("Enter")
    expect(page.locator(".chips")).to_contain_text("Like your picture")
    expect(page.locator("#tiles .tile").first).to_be_visible()


def test_a_picture_is_taken_only_from_our_own_form_and_only_one(open_page, server: Server):
    page = open_page()
    picture = {"name": "mine.png", "mimeType": "image/png", "buffer": as_png(blot(1))}
    without = page.request.post("/app/look", multipart={"picture": picture})
    assert without.status == 403
    token = page.locator(".look input[name=form_token]").get_attribute("value")
    nothing = page.request.post(
        "/app/look", multipart={"form_token": token, "picture": {**picture, "buffer": b""}}
    )
    assert (nothing.status, "No picture was sent" in nothing.text()) == (400, True)
    text = {**picture, "buffer": b"not a picture"}
    assert page.request.post("/app/look", multipart={"form_token": token, "picture": text}).status == 415
    kept = Path(server.home) / "query-pictures"
    assert not any(path.read_bytes() == b"not a picture" for path in kept.glob("*"))
