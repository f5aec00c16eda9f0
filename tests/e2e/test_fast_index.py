"""Pictures found without words: embeddings only, then a search by words and by a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import smallsight as package
from tiny_dual_encoder import draw_odd_pictures, write_tiny_siglip

from .conftest import Command


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_siglip(tmp_path_factory.mktemp("model") / "tiny-siglip")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    for number, picture in enumerate(draw_odd_pictures(12, seed=7)):
        picture.convert("RGB").resize((64, 48)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def use_model(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALLSIGHT_PICTURE_EMBEDDING__MODEL", str(model))
    monkeypatch.setenv("SMALLSIGHT_PICTURE_EMBEDDING__MIN_SIMILARITY", "-1")
    monkeypatch.setenv("SMALLSIGHT_PICTURE_EMBEDDING__PRECISION", "fp32")
    monkeypatch.setenv("SMALLSIGHT_THREADS", "1")


@pytest.mark.usefixtures("use_model")
def test_words_and_pictures_find_pictures_that_nobody_described(
    smallsight: Command, album: Path, model: Path, monkeypatch: pytest.MonkeyPatch
):
    report = json.loads(smallsight.run("index", "--fast", album, "--json")[0])
    stages = {name: stage["done"] for name, stage in report["stages"].items()}
    assert (stages["embed_picture"], stages["look"], stages["read"]) == (12, 12, 0)
    again = json.loads(smallsight.run("index", "--fast", "--json")[0])
    assert again["stages"]["embed_picture"]["done"] == 0

    paths = sorted(album.iterdir())
    with package.load_embedding_model(model, precision="fp32", threads=1) as embedder:
        pictures_ND = embedder.embed_pictures(paths)
        query_D = embedder.embed_texts(["zyxwv owl"])[0]
    similarities = {path: float(one) for path, one in zip(paths, pictures_ND @ query_D, strict=True)}
    hits = smallsight.json("search", "zyxwv owl")
    found = [similarities.pop(Path(hit["path"])) for hit in hits]
    assert not similarities
    assert np.diff(found).max() < 0.005  # best first, as far as vectors in 8 bits tell
    assert [hit["similarity"] for hit in hits] == pytest.approx(found, abs=0.005)
    assert {tuple(hit["found_by"]) for hit in hits} == {("looks_like",)}

    elsewhere = album.parent / "query.png"
    Image.open(paths[3]).rotate(1).save(elsewhere)
    by_picture = smallsight.json("search", "--similar", elsewhere)
    assert Path(by_picture[0]["path"]) == paths[3]
    assert "looks_like" in by_picture[0]["found_by"]

    monkeypatch.setenv("SMALLSIGHT_PICTURE_EMBEDDING__MIN_SIMILARITY", "0.99")
    assert smallsight.json("search", "zyxwv owl") == []


@pytest.mark.usefixtures("use_model")
def test_words_are_added_to_a_picture_and_taken_away_on_the_command_line_and_in_python(
    smallsight: Command, album: Path, model: Path, monkeypatch: pytest.MonkeyPatch
):
    for number, picture in enumerate(draw_odd_pictures(20, seed=9)):
        picture.convert("RGB").resize((64, 48)).save(album / f"more{number}.png")
    query = album / "0.png"
    monkeypatch.setenv("SMALLSIGHT_INDEX__OCR", "false")
    monkeypatch.setenv("SMALLSIGHT_INDEX__LOOKS", "false")
    smallsight.run("index", album, "--quiet")
    _, err = smallsight.run("search", "--similar", query, "+owl", code=3)
    assert "No picture of the library is embedded" in err
    assert "smallsight index --fast" in err
    smallsight.run("search", "--similar", query, "-dog")
    monkeypatch.setenv("SMALLSIGHT_INDEX__LOOKS", "true")
    report = smallsight.json("index", "--fast")
    assert (report["stages"]["embed_picture"]["done"], report["stages"]["compare_looks"]["done"]) == (32, 32)

    paths = sorted(album.iterdir())
    with package.load_embedding_model(model, precision="fp32", threads=1) as embedder:
        pictures_ND = embedder.embed_pictures(paths).astype(np.float16).astype(np.float32)
        words_WD = embedder.embed_texts(["golden owl", "dog"])
    parts_VD = np.stack([pictures_ND[paths.index(query)], *words_WD])
    wanted_D = np.array([1, 1, -1]) / (pictures_ND @ parts_VD.T).std(axis=0) @ parts_VD
    best = [paths[row] for row in np.argsort(-(pictures_ND @ wanted_D)) if paths[row] != query]

    hits = smallsight.json("search", "--similar", query, "+golden owl", "-dog", "-n", "5")
    assert [Path(hit["path"]) for hit in hits[:3]] == best[:3]
    assert {tuple(hit["found_by"]) for hit in hits} == {("looks_like",)}
    assert "(looks like " in smallsight.run("search", "--similar", query, '+"golden owl" -dog')[0]
    with package.open_library(smallsight.home) as library:
        typed = library.similar(query, plus="golden owl", minus=["dog"], limit=5)
    assert [one.path for one in typed] == [Path(hit["path"]) for hit in hits]
