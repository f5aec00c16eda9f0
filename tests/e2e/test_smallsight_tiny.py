"""The model of the package about fresh pictures of the test split, in every precision, and by command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from training.assets import FOLDER
from training.captions import DESCRIBE, READ
from training.evaluate import MEME, THINGS_ONLY, edit_distance, named_things, scenes
from training.levels import Level

import smallsight
from smallsight.settings import Settings

from .conftest import Command

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "src" / "smallsight" / "shipped" / "Smallsight-tiny"
STICKERS = ROOT / "examples" / "stickers"
LARGE = Level(8, (26, 34), 1, 1, (48, 64), ("plain",), ("top", "bottom", "middle"), ("plain",))
NUM_PICTURES = 24
needs_fonts = pytest.mark.skipif(
    not (FOLDER / "usr").is_dir(),
    reason="python -m training.assets has not fetched the fonts (needs apt-get)",
)


@pytest.fixture(scope="module", params=["fp32", "bf16", "int8", "int4"])
def model(request, tmp_path_factory):
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    with smallsight.load("Smallsight-tiny", precision=request.param, settings=settings) as loaded:
        yield loaded


def told(model, shown, prompt, max_tokens):
    """Return what the model says about each scene; together takes a quarter of the time."""
    images = [scene.image for scene in shown]
    return [answer.text for answer in model.describe_many(images, prompt=prompt, max_tokens=max_tokens)]


@pytest.mark.mostly_slow(1)
@needs_fonts
def test_it_reads_large_text(model):
    wrong = wanted = 0
    shown = list(scenes(LARGE, NUM_PICTURES, lambda scene: len(scene.lines) == 1))
    for scene, said in zip(shown, told(model, shown, READ[0], 64), strict=True):
        text = scene.lines[0].text
        wrong, wanted = wrong + edit_distance(said.strip(), text), wanted + len(text)
    assert wrong < 0.3 * wanted


@pytest.mark.mostly_slow(1)
@needs_fonts
def test_it_names_things_far_more_often_than_chance(model):
    hits = named = shown = 0
    scenes_shown = list(scenes(THINGS_ONLY, NUM_PICTURES, lambda scene: bool(scene.things)))
    for scene, text in zip(scenes_shown, told(model, scenes_shown, DESCRIBE[0], 96), strict=True):
        said = named_things(text)
        seen = {thing.name for thing in scene.things}
        hits, named, shown = hits + len(said & seen), named + len(said), shown + len(seen)
    assert 2 * hits > 0.6 * (named + shown)  # of 79 names, chance finds about one in forty


@pytest.mark.mostly_slow(1)
@needs_fonts
def test_describing_many_says_what_describing_one_says(model):
    images = [scene.image for scene in scenes(MEME, 6, lambda scene: bool(scene.lines))]
    alone = [model.describe(image).text for image in images]
    assert [answer.text for answer in model.describe_many(images)] == alone
    assert all(text.startswith(("There", "A", "An")) for text in alone)


@pytest.mark.mostly_slow(1)
def test_the_order_of_picture_and_words_does_not_matter(model):
    for number in (1, 3):
        picture = {"type": "image", "image": STICKERS / f"sticker_{number}.png"}
        for question in ("What colour is it?", "Can you describe this image?"):
            words = {"type": "text", "text": question}
            first, second = (
                model.ask([], [{"role": "user", "content": parts}]).token_ids
                for parts in ([words, picture], [picture, words])
            )
            assert first == second


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize(
    "words", ["", "What's in this image?", "What\u2019s in this photo?", "Write a caption.", None]
)
def test_a_picture_without_words_and_near_words_are_described(model, words):
    described = model.describe(STICKERS / "sticker_1.png").text
    parts = [{"type": "image", "image": STICKERS / "sticker_1.png"}]
    if words is not None:
        parts.append({"type": "text", "text": words})
    assert model.ask([], [{"role": "user", "content": parts}]).text == described
    assert "bee" in described


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("words", ["What does the sign say?", "Read the words on it."])
def test_other_words_that_ask_for_the_text_are_answered_with_it(model, words):
    sticker = STICKERS / "sticker_2.png"
    assert model.ask(sticker, words).text == model.ask(sticker, READ[-1]).text != ""


def test_what_it_cannot_do_is_said_where_nobody_chose_it(smallsight: Command):
    sticker = STICKERS / "sticker_5.png"
    out, err = smallsight.run("describe", sticker)
    assert "flat drawings" in err
    assert "models pull SmolVLM-256M-Instruct" in " ".join(err.split())
    assert "flat drawings" not in out
    for arguments in (("--model", "Smallsight-tiny"), ("--quiet",)):
        assert "flat drawings" not in smallsight.run("describe", sticker, *arguments)[1]


def test_words_that_it_does_not_know_are_answered_too(smallsight: Command):
    stickers = [STICKERS / "sticker_1.png", STICKERS / "sticker_3.png"]
    answers = smallsight.json("describe", *stickers, "--prompt", "hello")
    assert all(answer["text"].strip() for answer in answers)


def test_it_is_what_describes_when_nothing_else_is_chosen(smallsight: Command):
    sticker = STICKERS / "sticker_5.png"
    (answer,) = smallsight.json("describe", sticker)
    assert answer["model"] == "Smallsight-tiny"
    assert answer["text"].startswith("There")
    assert smallsight.run("describe", sticker)[0].strip() == answer["text"]
    (other,) = smallsight.json("describe", sticker, "--model", "test")
    assert other["text"] == "sticker 5"


@pytest.mark.slow
def test_the_demo_describes_the_stickers_and_finds_what_is_only_drawn(
    smallsight: Command, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SMALLSIGHT_INDEX__OCR", "false")  # the page of first steps reads the same pictures
    shown = smallsight.json("demo")
    described = {row["picture"] for row in shown["pictures"] if row["description"]}
    assert described == {f"stickers/{path.name}" for path in STICKERS.glob("*.png")}
    drawn = next(search for search in shown["searches"] if search["kind"] == "drawn")
    found = Path(drawn["hits"][0]["path"])
    told = {row["file"]: row for row in json.loads((ROOT / "examples/stickers.json").read_text())["stickers"]}
    assert drawn["query"] in {thing["name"] for thing in told[found.name]["things"]}
    assert not told[found.name]["text"]


def test_it_fits_the_package():
    weights = SHIPPED / "model.safetensors"
    size_bytes = sum(path.stat().st_size for path in SHIPPED.iterdir())
    assert weights.stat().st_size < 20_000_000
    assert size_bytes < 20_000_000
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    measured = json.loads((SHIPPED / "evaluation.json").read_text(encoding="utf-8"))
    assert list(measured["precisions"]) == ["bf16", "int8", "int4"]
    assert f"{measured['precisions']['int8']['things_f1']:.1%}" in card
