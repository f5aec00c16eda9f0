"""Handing a search for places to an engine."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from PIL import Image

from smallsight.errors import ArgumentError
from smallsight.families.family import Capabilities
from smallsight.families.messages import Detail
from smallsight.model.detecting import start_detecting

IMAGE = Image.new("RGB", (30, 20))


class Finder:
    """An engine that says what it was asked."""

    capabilities = Capabilities(detects_places=True)

    def detect(self, image, detail, wanted):
        assert image is IMAGE
        return detail, wanted.kind, wanted.what, wanted.picture, wanted.max_places


def test_what_is_named_reaches_the_engine():
    asked = start_detecting(Finder(), "m", "detect", IMAGE, " car ", 3, Detail.LOW)
    assert asked == (Detail.LOW, "detect", "car", (30, 20), 3)


@pytest.mark.parametrize(
    ("engine", "what", "most", "words"),
    [
        (
            SimpleNamespace(capabilities=Capabilities()),
            "car",
            3,
            "m does not support detection.*moondream2 to point",
        ),
        (Finder(), " ", 3, "No object given to point"),
        (Finder(), "car", 0, "max_places cannot be 0"),
        (Finder(), "car", True, "max_places cannot be True"),
    ],
)
def test_what_cannot_be_is_a_sentence(engine, what, most, words):
    with pytest.raises(ArgumentError, match=words):
        start_detecting(engine, "m", "point", IMAGE, what, most, Detail.AUTO)
