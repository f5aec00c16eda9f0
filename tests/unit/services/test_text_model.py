"""The text model for the server's clients: outside the event loop, in turns, under its names."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from smallsight.errors import ModelUnavailableError, UnknownModelError
from smallsight.services.live_settings import LiveSettings
from smallsight.services.text_model import EmbeddedTexts, TextModel


def text_model(home: Path, **overrides: object) -> TextModel:
    return TextModel(LiveSettings({"home": home, **overrides}).current)


def test_a_short_request_does_not_wait_for_the_end_of_a_long_one(tmp_path: Path):
    async def go() -> None:
        model = text_model(tmp_path)
        assert not model.is_loaded
        assert len((await model.embed(["load it"])).vectors) == 1
        assert model.is_loaded
        ended: list[str] = []
        long = asyncio.create_task(model.embed(["a longer text " * 4] * 200))
        long.add_done_callback(lambda _: ended.append("long"))
        await asyncio.sleep(0)
        assert len((await model.embed(["a short text"])).vectors) == 1
        assert ended == [], "the event loop and the thread were free in between"
        long.cancel()
        await asyncio.gather(long, return_exceptions=True)
        model.close()

    asyncio.run(go())


def test_tokens_are_counted_and_cuts_too(tmp_path: Path):
    async def go() -> EmbeddedTexts:
        model = text_model(tmp_path)
        try:
            return await model.embed(["a cat", "word " * 300])
        finally:
            model.close()

    embedded = asyncio.run(go())
    assert (embedded.num_tokens, embedded.num_cut, embedded.vectors.shape) == (4 + 256, 1, (2, 384))
    assert np.linalg.norm(embedded.vectors, axis=1) == pytest.approx(1, abs=1e-3)
    rows = [json.loads(row) for row in embedded.rows_json()]
    assert np.array_equal(np.array(rows, np.float32), embedded.vectors)


def test_names_that_stand_for_it(tmp_path: Path):
    model = text_model(tmp_path)
    for name in (None, "", "all-minilm", "ALL-MiniLM-l6-v2", "sentence-transformers/all-MiniLM-L6-v2"):
        model.require_named(name)
    for name in ("test", "text-embedding-3-small"):
        with pytest.raises(UnknownModelError, match="use 'all-MiniLM-L6-v2'"):
            model.require_named(name)
    own = text_model(tmp_path, embedding={"model_dir": str(tmp_path / "my-model")})
    own.require_named("My-Model")
    with pytest.raises(UnknownModelError):
        own.require_named("all-minilm")


def test_a_folder_that_is_not_there_is_an_error_of_the_request(tmp_path: Path):
    model = text_model(tmp_path, embedding={"model_dir": str(tmp_path / "nowhere")})
    assert model.find() is None
    with pytest.raises(ModelUnavailableError):
        asyncio.run(model.embed(["a cat"]))
    model.close()
