from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from smallsight import load
from smallsight.errors import CorruptPictureError, SmallsightError
from smallsight.library.describing import DescribeOptions
from smallsight.library.many_answers import answer_each
from smallsight.model.model import Model
from smallsight.model.picture_argument import NamedImage
from smallsight.settings import load_settings


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    settings = load_settings(home=tmp_path_factory.mktemp("home"))
    with load("Smallsight-tiny", settings=settings) as model:
        yield model


def image(seed: int) -> NamedImage:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8).repeat(32, 0).repeat(32, 1)
    return NamedImage(f"{seed}.png", Image.fromarray(pixels))


def test_every_prompt_is_answered_as_if_it_were_asked_alone(tiny: Model):
    prompts = [
        DescribeOptions(max_tokens=12),
        DescribeOptions("What colour is the background?", max_tokens=8),
        DescribeOptions("What is in the picture?", max_tokens=8),
    ]
    before = tiny.tile_counts
    found = list(answer_each(tiny, ((number, image(number)) for number in range(20)), prompts))
    encoded = tiny.tile_counts.num_encoded - before.num_encoded
    assert [about for about, _ in found] == list(range(20))
    assert encoded == 20  # the picture is seen once for all prompts
    for number in (0, 7, 19):
        for options, answer in zip(prompts, found[number][1], strict=True):
            alone = tiny.describe(image(number), prompt=options.prompt, max_tokens=options.max_tokens)
            assert answer.token_ids == alone.token_ids


def test_errors_stay_in_their_places():
    bad = CorruptPictureError("damaged")
    given = [bad, image(0), bad, bad, image(1), bad]
    with load("test") as model:
        found = list(answer_each(model, enumerate(given), [DescribeOptions(), DescribeOptions("What?")]))
    assert [about for about, _ in found] == list(range(6))
    assert [isinstance(one, SmallsightError) for _, one in found] == [one is bad for one in given]
    assert [answer.text for answer in found[4][1]] == ["1", "1"]


@pytest.mark.parametrize("num_prompts", [1, 3])
def test_only_few_pictures_are_in_memory(num_prompts: int):
    given_out: list[weakref.ref[Image.Image]] = []

    def given() -> Iterator[tuple[int, NamedImage]]:
        for number in range(60):
            one = image(number)
            given_out.append(weakref.ref(one.image))
            yield number, one

    with load("test") as model:
        most = 0
        for _ in answer_each(model, given(), [DescribeOptions() for _ in range(num_prompts)]):
            most = max(most, sum(one() is not None for one in given_out))
    assert most <= 5
