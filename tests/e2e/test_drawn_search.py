"""Drawings found by what they show, with the model of the package: no description and no download."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from training.assets import FOLDER
from training.evaluate import THINGS_ONLY
from training.look_pictures import HELD_OUT_SEED, draw_foreign
from training.look_texts import Facts, shown_in
from training.scenes import make_scene
from training.vocabulary import THINGS

import smallsight as package
from smallsight.errors import BrokenCheckpointError, ModelNotRunnableError
from smallsight.settings import Settings

from .conftest import Command

MODEL = "Smallsight-tiny-looks"
SHIPPED = Path(package.__file__).parent / "shipped" / MODEL
NUM_DRAWINGS = 120
UNKNOWN = ("zyxwv", "quantum chromodynamics", "my passport", "zebra", "red zebra", "Eule", "猫", "", "the")
needs_fonts = pytest.mark.skipif(
    not (FOLDER / "usr").is_dir(),
    reason="python -m training.assets has not fetched the fonts (needs apt-get)",
)


@pytest.fixture(scope="module")
def scenes():
    return [make_scene(HELD_OUT_SEED + number, THINGS_ONLY, "test") for number in range(NUM_DRAWINGS)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory):
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    with package.load_embedding_model(MODEL, threads=1, settings=settings) as loaded:
        yield loaded


@needs_fonts
def test_names_find_held_out_drawings_that_nobody_described(model, scenes):
    has_NT = Facts([shown_in(scene) for scene in scenes]).counts_NT > 0
    pictures_ND = model.embed_pictures([scene.image for scene in scenes])
    shares = []
    for thing in np.flatnonzero(has_NT.any(0)):
        similarities_N = pictures_ND @ model.embed_texts([THINGS[thing]])[0]
        best = np.argsort(-similarities_N)[:5]
        shares.append(has_NT[best, thing].sum() / min(5, has_NT[:, thing].sum()))
    assert len(shares) > 60
    assert np.mean(shares) >= 0.9


@needs_fonts
def test_words_that_it_does_not_know_find_nothing(model, scenes):
    pictures_ND = model.embed_pictures([scene.image for scene in scenes])
    similarities = model.embed_texts(UNKNOWN) @ pictures_ND.T
    assert (similarities < model.embedder.min_similarity).all()


@needs_fonts
def test_names_hardly_find_what_is_no_drawing(model):
    foreign = [draw_foreign(random.Random(f"test {number}")) for number in range(60)]
    similarities = model.embed_texts(THINGS) @ model.embed_pictures(foreign).T
    assert (similarities >= model.embedder.min_similarity).any(0).mean() < 0.1


@needs_fonts
def test_an_owl_is_found_by_its_name_after_a_fast_index(
    smallsight: Command, scenes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    album = tmp_path / "album"
    album.mkdir()
    owls = set()
    for number, scene in enumerate(scenes):
        path = album / f"{number}.png"
        scene.image.save(path)
        if any(thing.name == "owl" for thing in scene.things):
            owls.add(path)
    out, err = smallsight.run("index", "--fast", album)
    assert f"{MODEL} embeds the pictures" in " ".join((out + err).split())
    hits = smallsight.json("search", "owl")
    found = {Path(hit["path"]) for hit in hits}
    assert found
    assert found <= owls, "a drawing without an owl is above the least similarity"
    assert all(hit["found_by"] == ["looks_like"] for hit in hits)
    assert smallsight.json("search", "zyxwv") == []
    assert smallsight.json("search", "zebra") == []
    report = json.loads(smallsight.run("index", "--json")[0])
    assert report["stages"]["embed_picture"]["done"] == 0, "it is not used where nobody asked for it"


def test_a_head_is_refused_with_another_tower_or_without_its_tensors(tmp_path: Path):
    for name, changed, error in (
        (
            "config.json",
            lambda text: text.replace('"tower_sha256": "', '"tower_sha256": "0'),
            ModelNotRunnableError,
        ),
        (
            "config.json",
            lambda text: text.replace('"pool_heads": 12', '"pool_heads": 7'),
            BrokenCheckpointError,
        ),
        ("tokenizer.json", lambda text: text.replace("<end>", "<eee>"), BrokenCheckpointError),
    ):
        folder = tmp_path / f"{name}-{error.__name__}-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(SHIPPED, folder)
        (folder / name).write_text(changed((folder / name).read_text("utf-8")), "utf-8")
        with pytest.raises(error):
            package.load_embedding_model(folder, settings=Settings(home=tmp_path / "home"))


def test_it_fits_the_package_and_its_card_has_what_was_measured():
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 2_500_000
    measured = json.loads((SHIPPED / "evaluation.json").read_text(encoding="utf-8"))
    assert measured["drawings"] == 400
    assert measured["precisions"]["int8"]["recall_at_5"] >= 0.9
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert f"{measured['precisions']['int8']['recall_at_5']:.1%}" in card
    assert "license: apache-2.0" in card
