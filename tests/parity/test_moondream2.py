"""moondream2 against a plain torch implementation on tiny random checkpoints: tokens, scores and places equal
in fp32.
"""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from parity.moondream2_reference import Moondream2
from smallsight.model.vision_language_model import VisionLanguageModel
from tiny_moondream2 import SHAPES, TinyMoondream2, write_tiny_moondream2

MAX_TOKENS = 10
ENDING = TinyMoondream2("often-at-an-end", patches=6, margin=1, end_bias=9.0)


def noise(width, height, mode="RGB"):
    """Patches of colour, so that pictures differ when they are made small, and noise over them."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    random = np.random.default_rng(width)
    patches = random.integers(0, 200, (4, 4, channels), np.uint8)
    large = patches[np.arange(height)[:, None] * 4 // height, np.arange(width)[None] * 4 // width]
    values = large + random.integers(0, 56, large.shape, np.uint8)
    return Image.fromarray(values[..., 0] if channels == 1 else values, mode)


PICTURES = {
    "point": noise(1, 1),
    "line": noise(20_000, 1),
    "column": noise(1, 20_000),
    "smaller than a crop": noise(23, 31),
    "as large as a crop": noise(36, 36),
    "square": noise(150, 150),
    "wide": noise(301, 97),
    "tall": noise(64, 211),
    "long strip": noise(900, 61),
    "high strip": noise(57, 1200),
    "large": noise(640, 480),
    "grey": noise(75, 50, "L"),
    "transparent": noise(90, 120, "RGBA"),
    "grey and alpha": noise(133, 44, "LA"),
    "cmyk": noise(50, 160, "CMYK"),
    "palette": noise(120, 80).quantize(32),
    "one bit": noise(140, 140).convert("1"),
}
PROMPTS = (
    ("caption", "short"),
    ("caption", "normal"),
    ("query", "What is this?"),
    ("query", "¿Qué dice?\n\n  Two  spaces,     five, 猫 and 🦙."),
    ("query", " ".join(f"word {number}" for number in range(40))),
)
THINGS = ("a red car", "猫")


LOADED = {}


def both(shape, root):
    """One checkpoint in both implementations, loaded once."""
    if shape not in LOADED:
        folder = write_tiny_moondream2(root / shape.name, shape)
        model = VisionLanguageModel.load(
            folder, family="moondream2", name="tiny", precision="fp32", threads=1
        )
        LOADED[shape] = model, Moondream2(folder)
    return LOADED[shape]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    yield tmp_path_factory.mktemp("moondream2")
    while LOADED:
        LOADED.popitem()[1][0].close()


def ask(model, image, kind, words, **options):
    if kind == "caption":
        return model.describe(image, length=words, detail="high", **options)
    return model.ask(image, words, detail="high", **options)


def may_end_at_once(reference):
    """Return a bias that is too small for any effect but one: an answer may end at its first token."""
    return {reference.tokens["eos_id"]: 1e-9}


def is_greedy(answer, reference, image, kind, words, max_tokens):
    """Whether an answer ends where it must, and has the likeliest token at each place."""
    said = list(answer.token_ids)
    ends = [index for index, token in enumerate(said) if token == reference.tokens["eos_id"]]
    is_whole = ends == [len(said) - 1] if ends else len(said) == max_tokens
    return is_whole and reference.likeliest_along(image, kind, words, said) == said


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_greedy_tokens_are_the_references(shape, root):
    model, reference = both(shape, root)
    different, answers = [], {}
    for name, image in PICTURES.items():
        for kind, words in PROMPTS:
            may_end = may_end_at_once(reference)
            answer = ask(model, image, kind, words, max_tokens=MAX_TOKENS, logit_bias=may_end)
            if not is_greedy(answer, reference, image, kind, words, MAX_TOKENS):
                different.append((name, kind, words))
            answers.setdefault((kind, words), set()).add(answer.token_ids)
    assert different == []
    # Else the tokens would say nothing about the picture.
    assert min(map(len, answers.values())) > len(PICTURES) / 2


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("kind", ["detect", "point"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_places_are_the_references(shape, kind, root):
    model, reference = both(shape, root)
    found = set()
    for image in PICTURES.values():
        for what in THINGS:
            expected = reference.places(image, kind, what, 2)
            places = list(in_pixels(expected, image.size))
            answer = getattr(model, kind)(image, what, max_places=2, detail="high")
            assert answer.data["bboxes" if kind == "detect" else "points"] == places
            assert answer.data["labels"] == [what] * len(places)
            found.add(tuple(expected))
    assert len(found) > len(PICTURES) / 2


def in_pixels(places, size):
    for place in places:
        sides = [size[index % 2] for index in range(len(place))]
        yield [min(max(one * side, 0.0), float(side)) for one, side in zip(place, sides, strict=True)]


def test_fifty_places_are_the_most_and_the_end_token_comes_before(root):
    model, reference = both(ENDING, root)
    for kind in ("detect", "point"):
        numbers = []
        for image in list(PICTURES.values())[4:10]:
            expected = reference.places(image, kind, "a red car", 50)
            answer = getattr(model, kind)(image, "a red car", detail="high")
            assert answer.data["bboxes" if kind == "detect" else "points"] == list(
                in_pixels(expected, image.size)
            )
            assert answer.finish_reason == ("length" if len(expected) == 50 else "stop")
            numbers.append(len(expected))
        assert len(set(numbers)) > 1


def test_answers_end_where_the_references_do(root):
    model, reference = both(ENDING, root)
    lengths = set()
    for image in PICTURES.values():
        may_end = may_end_at_once(reference)
        answer = ask(model, image, "query", "And now?", max_tokens=60, logit_bias=may_end)
        assert is_greedy(answer, reference, image, "query", "And now?", 60)
        lengths.add(len(answer.token_ids))
    assert len(lengths) > 2


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_scores_are_the_references_over_the_whole_vocabulary(shape, root):
    model, reference = both(shape, root)
    for name, (kind, words) in (("wide", PROMPTS[0]), ("tall", PROMPTS[2]), ("grey", PROMPTS[3])):
        image = PICTURES[name]
        own = ask(model, image, kind, words, max_tokens=MAX_TOKENS).token_ids
        for answer in (own, "A cat sits."):
            scores = model.score(image, None if kind == "caption" else words, answer, detail="high")
            expected = reference.distributions_along(image, kind, words, list(scores.token_ids))
            np.testing.assert_allclose(scores.log_distributions, expected, atol=1e-3)


def test_enough_combinations_are_compared():
    assert len(SHAPES) * len(PICTURES) * len(PROMPTS) >= 300
