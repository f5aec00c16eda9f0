"""Values of wrong types, everywhere in the Python API: each is told with the name of its argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import smallsight
from smallsight.errors import SmallsightError
from smallsight.model.embedding_model import EmbeddingModel
from smallsight.model.model import Model
from smallsight.services.picture_library import PictureLibrary

Call = Callable[[Any, Any, Any], object]  # the object under test, a picture, and the odd value

ODD = (
    None,
    True,
    7,
    -1,
    1.5,
    b"bytes",
    [7],
    [None],
    {"a": 1},
    {7},
    object(),
    np.zeros(3),
    "x" * 70_000,
    "\0",
)
LOADING = ("precision", "engine", "device", "threads", "scheme", "settings", "on_progress")
OPTIONS = ("stop", "json_schema", "logit_bias", "tools", "seed", "top_p", "num_logprobs", "client")
MODEL: dict[str, Call] = {
    "ask: pictures": lambda model, _, odd: model.ask(odd, "What is it?"),
    "ask: question": lambda model, picture, odd: model.ask(picture, odd),
    "ask: message": lambda model, picture, odd: model.ask(picture, [{"role": "user", "content": odd}]),
    "ask: role": lambda model, picture, odd: model.ask(picture, [{"role": odd, "content": "Hello"}]),
    "stream": lambda model, picture, odd: list(model.stream(picture, odd)),
    "describe: picture": lambda model, _, odd: model.describe(odd),
    "describe: prompt": lambda model, picture, odd: model.describe(picture, prompt=odd),
    "describe: length": lambda model, picture, odd: model.describe(picture, length=odd),
    "describe: max_tokens": lambda model, picture, odd: model.describe(picture, max_tokens=odd),
    "describe: detail": lambda model, picture, odd: model.describe(picture, detail=odd),
    "describe_many": lambda model, _, odd: list(model.describe_many(odd)),
    "describe_many: one": lambda model, _, odd: list(model.describe_many([odd])),
    "describe_many: size": lambda model, picture, odd: list(model.describe_many([picture], batch_size=odd)),
    "detect": lambda model, picture, odd: model.detect(picture, odd),
    "score": lambda model, picture, odd: model.score(picture, None, odd),
    "count_tokens": lambda model, picture, odd: model.count_tokens(picture, odd),
    "frames_of": lambda model, _, odd: model.frames_of(odd),
    **{
        f"option: {name}": lambda model, picture, odd, name=name: model.describe(
            picture, max_tokens=2, **{name: odd}
        )
        for name in OPTIONS
    },
}
LIBRARY: dict[str, Call] = {
    "search: query": lambda library, _, odd: library.search(odd),
    "search: mode": lambda library, _, odd: library.search("cat", mode=odd),
    "search: limit": lambda library, _, odd: library.search("cat", limit=odd),
    "search: sort": lambda library, _, odd: library.search("cat", sort=odd),
    "similar: path": lambda library, _, odd: library.similar(odd),
    "similar: words": lambda library, picture, odd: library.similar(picture, words=odd),
    "similar: plus": lambda library, picture, odd: library.similar(picture, plus=odd),
    "similar: limit": lambda library, picture, odd: library.similar(picture, limit=odd),
    "details": lambda library, _, odd: library.details(odd),
    "duplicates": lambda library, _, odd: library.duplicates(odd),
    "index: folders": lambda library, _, odd: library.index(odd),
    "index: on_progress": lambda library, _, odd: library.index(on_progress=odd),
    "edit: pictures": lambda library, _, odd: library.edit(odd, add_tags="a"),
    "edit: description": lambda library, picture, odd: library.edit(picture, description=odd),
    "edit: add_tags": lambda library, picture, odd: library.edit(picture, add_tags=odd),
    "rename_tag": lambda library, _, odd: library.rename_tag(odd, "b"),
    "merge_tags": lambda library, _, odd: library.merge_tags(odd, "b"),
    "remove_tag": lambda library, _, odd: library.remove_tag(odd),
    "undo": lambda library, _, odd: library.undo(odd),
    "suggestions: find": lambda library, _, odd: library.suggestions.find(odd),
    "suggestions: score": lambda library, _, odd: library.suggestions.find(min_score=odd),
    "suggestions: accept": lambda library, _, odd: library.suggestions.accept(odd),
}
EMBEDDING: dict[str, Call] = {
    "embed_pictures": lambda model, _, odd: model.embed_pictures(odd),
    "embed_pictures: one": lambda model, _, odd: model.embed_pictures([odd]),
    "embed_texts": lambda model, _, odd: model.embed_texts(odd),
    "embed_texts: one": lambda model, _, odd: model.embed_texts([odd]),
}


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "cat.png"
    Image.new("RGB", (40, 30), "red").save(path)
    return path


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with smallsight.load("Smallsight-tiny", threads=1) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def embedding() -> Iterator[EmbeddingModel]:
    with smallsight.load_embedding_model("Smallsight-tiny-looks", threads=1) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, picture: Path) -> Iterator[PictureLibrary]:
    with smallsight.open_library(tmp_path_factory.mktemp("data"), index={"ocr": False}) as opened:
        opened.index(picture.parent)
        yield opened


def refuses_or_takes(call: Callable[[object], object]) -> None:
    """Call with each odd value: what comes out is an answer, or an error of ours."""
    for odd in ODD:
        with suppress(SmallsightError):
            call(odd)


@pytest.mark.parametrize("call", MODEL.values(), ids=MODEL)
def test_a_model_is_not_surprised(model: Model, picture: Path, call: Call):
    refuses_or_takes(lambda odd: call(model, picture, odd))
    assert model.describe(picture, max_tokens=2).text  # nothing that came before has broken it


@pytest.mark.parametrize("call", LIBRARY.values(), ids=LIBRARY)
def test_a_library_is_not_surprised(library: PictureLibrary, picture: Path, call: Call):
    refuses_or_takes(lambda odd: call(library, picture, odd))


@pytest.mark.parametrize("call", EMBEDDING.values(), ids=EMBEDDING)
def test_an_embedding_model_is_not_surprised(embedding: EmbeddingModel, picture: Path, call: Call):
    refuses_or_takes(lambda odd: call(embedding, picture, odd))


@pytest.mark.parametrize("name", LOADING)
def test_loading_is_not_surprised(name: str):
    refuses_or_takes(lambda odd: smallsight.load("test", **{name: odd}).close())


def test_names_and_folders_are_not_surprised():
    refuses_or_takes(lambda odd: smallsight.load(odd).close())
    refuses_or_takes(lambda odd: smallsight.load_embedding_model(odd).close())
    refuses_or_takes(lambda odd: smallsight.open_library(settings=odd).close())
    refuses_or_takes(lambda odd: smallsight.open_library(index=odd).close())


def test_the_pixels_of_one_picture_are_not_several(model: Model, embedding: EmbeddingModel):
    pixels = np.zeros((6, 8, 3), np.uint8)  # its rows would be pictures in grey
    with pytest.raises(smallsight.SmallsightError, match="this is one"):
        list(model.describe_many(pixels))
    with pytest.raises(smallsight.SmallsightError, match="this is one"):
        embedding.embed_pictures(pixels)
    assert embedding.embed_pictures(pixels[None]).shape[0] == 1


def test_the_argument_is_named(model: Model, picture: Path):
    with pytest.raises(smallsight.SmallsightError, match=r"A question cannot be of type bytes.*pass a str"):
        model.ask(picture, b"What is it?")
    with pytest.raises(smallsight.SmallsightError, match="stop cannot be of type int"):
        model.ask(picture, "What is it?", stop=7)
