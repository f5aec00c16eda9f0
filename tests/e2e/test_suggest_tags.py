"""Suggested tags from end to end: the command line, Python, and the pages of a server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import smallsight as package
from contract.served import served
from contract.test_json_shapes import assert_shape
from smallsight.library.suggesting.vocabulary import load_vocabulary
from tiny_dual_encoder import draw_odd_pictures, write_tiny_siglip
from web.logged_in import form_token

from .conftest import Command

THINGS = "cat: kitten\ndog\nowl\ntree: a {} in a wood\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_siglip(tmp_path_factory.mktemp("model") / "tiny-siglip")


@pytest.fixture
def album(tmp_path: Path, smallsight: Command, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four embedded pictures; the least similarity is off, because the model has learnt nothing."""
    folder, things = tmp_path / "album", tmp_path / "things.txt"
    folder.mkdir()
    things.write_text(THINGS)
    for number, picture in enumerate(draw_odd_pictures(4, seed=7)):
        picture.convert("RGB").resize((64, 48)).save(folder / f"{number}.png")
    for name, value in {
        "PICTURE_EMBEDDING__MODEL": str(model),
        "PICTURE_EMBEDDING__MIN_SIMILARITY": "-1",
        "TAGS__VOCABULARY": str(things),
        "TAGS__MIN_SCORE": "0",
        "THREADS": "1",
    }.items():
        monkeypatch.setenv(f"SMALLSIGHT_{name}", value)
    smallsight.run("index", "--fast", folder)
    return folder


def suggested(report: dict) -> set[tuple[str, str]]:
    return {(Path(one["path"]).name, tag["tag"]) for one in report["pictures"] for tag in one["suggestions"]}


def suggestions_page(client: TestClient) -> str:
    """Return the page once the vocabulary has been read."""
    while 'hx-trigger="load' in (page := client.get("/app/tags/suggested").text):
        pass
    return page


def test_suggestions_on_the_command_line(smallsight: Command, album: Path):
    first = smallsight.json("tags", "suggest")
    assert_shape("tags suggest", first)
    assert len(suggested(first)) == 16
    assert (first["model"], first["min_score"], first["edit"]) == ("tiny-siglip", 0.0, None)
    scores = [tag["score"] for tag in first["pictures"][0]["suggestions"]]
    assert scores == sorted(scores, reverse=True)
    strict = smallsight.json("tags", "suggest", "--min-score", str(scores[0]))
    assert len(suggested(strict)) < 16

    dry = smallsight.json("tags", "suggest", "--tag", "OWL", "--accept", "--dry-run")
    assert (len(suggested(dry)), dry["edit"], smallsight.json("tags")) == (4, None, [])
    out, _ = smallsight.run("tags", "suggest", album / "0.png", "--tag", "owl", "--accept", "--yes")
    assert "1 picture tagged as suggested." in out
    assert smallsight.json("tags") == [{"name": "owl", "pictures": 1, "by_person": 1, "by_machine": 0}]
    shown = smallsight.json("show", album / "0.png")
    assert shown["tag_origins"] == [{"tag": "owl", "origin": "suggested by tiny-siglip"}]

    rejected = smallsight.json("tags", "suggest", "--tag", "dog", "--reject", "--yes")
    assert (len(suggested(rejected)), rejected["edit"] is not None) == (4, True)
    left = suggested(smallsight.json("tags", "suggest"))
    assert left == {(f"{n}.png", tag) for n in range(4) for tag in ("cat", "owl", "tree")} - {
        ("0.png", "owl")
    }
    smallsight.run("undo")
    assert len(suggested(smallsight.json("tags", "suggest"))) == 15
    found = smallsight.json("tags", "suggest", "--query", "tag:owl")
    assert {path for path, _ in suggested(found)} == {"0.png"}


def test_what_cannot_be_done_is_a_sentence(
    smallsight: Command, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refused(*arguments: str | Path) -> str:
        return "".join(smallsight.run(*arguments, code=2))

    assert "--yes" in refused("tags", "suggest", "--accept", "--json")
    assert "accepted and rejected" in refused("tags", "suggest", "--accept", "--reject")
    assert "cannot be combined" in refused("tags", "suggest", album / "0.png", "--query", "x")
    assert "'ink' is not in" in refused("tags", "suggest", "--tag", "ink")
    (tmp_path / "things.txt").write_text("owl\nOwl\n")
    assert "Line 2 of" in refused("tags", "suggest")
    monkeypatch.delenv("SMALLSIGHT_TAGS__VOCABULARY")
    assert_shape("tags vocabulary", smallsight.json("tags", "vocabulary"))
    out, _ = smallsight.run("tags", "vocabulary")
    (tmp_path / "own.txt").write_text(out)
    assert load_vocabulary(tmp_path / "own.txt").digest == load_vocabulary(None).digest


def test_suggestions_in_python(smallsight: Command, album: Path):
    with package.open_library(smallsight.home) as library:
        found = library.suggestions.find([album / "1.png"])
        assert {one.tag for one in found} == {"cat", "dog", "owl", "tree"}
        assert isinstance(found[0], package.TagSuggestion)
        result = library.suggestions.accept(one for one in found if one.tag == "cat")
        assert result.changed == (album / "1.png",)
        assert library.details(album / "1.png").tags == ("cat",)
        assert library.suggestions.reject(one for one in found if one.tag in ("cat", "dog")).edit is not None
        assert {one.tag for one in library.suggestions.find([album / "1.png"])} == {"owl", "tree"}
        library.undo()
        library.undo()
        assert len(library.suggestions.find()) == 16


def test_suggestions_on_the_pages(smallsight: Command, album: Path):
    with served(smallsight.home, server={"watch": False}) as (client, _):
        assert 'href="/app/tags/suggested"' in client.get("/app/settings").text
        page = suggestions_page(client)
        assert page.count('class="sheet group"') == 4
        ids = re.findall(r'name="id" value="(\d+)"', page)
        token = form_token(client)
        form = {"form_token": token, "tag": "owl", "min": "0", "action": "accept", "id": ids[:2]}
        client.post("/app/tags/suggested", data=form)
        client.post("/app/tags/suggested", data={**form, "tag": "tree", "action": "reject", "all": "yes"})
        assert smallsight.json("tags")[0] == {
            "name": "owl",
            "pictures": 2,
            "by_person": 2,
            "by_machine": 0,
        }
        page = client.get("/app/tags/suggested").text
        assert page.count('class="sheet group"') == 3

        address = f"/app/pictures/{ids[0]}"
        assert "Suggest tags" in client.get(address).text
        page = client.get(f"{address}?suggest=yes").text
        assert set(re.findall(r'aria-label="Tag as (\w+)"', page)) == {"cat", "dog"}
        one = {"form_token": token, "tag": "cat", "action": "reject", "back": f"{address}?suggest=yes"}
        page = client.post(f"{address}/suggested", data=one).text
        assert set(re.findall(r'aria-label="Tag as (\w+)"', page)) == {"dog"}
        page = client.post(f"{address}/suggested", data={**one, "tag": "dog", "action": "accept"}).text
        assert "Nothing is suggested for this picture." in page
        assert client.post(f"{address}/suggested", data={**one, "tag": "<b>"}).status_code == 400
    kept = sorted((smallsight.home / "vocabularies").iterdir())
    assert len(kept) == 1
    assert json.loads(smallsight.run("tags", "--json")[0])[0]["pictures"] == 2


def test_without_embedded_pictures_the_pages_and_the_command_say_what_to_do(
    smallsight: Command, album: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = write_tiny_siglip(tmp_path / "other", seed=9)
    monkeypatch.setenv("SMALLSIGHT_PICTURE_EMBEDDING__MODEL", str(other))
    _, err = smallsight.run("tags", "suggest", code=5)
    assert "No picture has been embedded with other yet." in err
    with served(smallsight.home, server={"watch": False}) as (client, _):
        assert "No picture has been embedded with other yet." in suggestions_page(client)
