"""Prompts: templates around what a person writes, which stays data."""

from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image

from smallsight.engine.decoding.text_stream import TextStream
from smallsight.errors import BrokenCheckpointError
from smallsight.families.messages import Detail
from smallsight.families.moondream2.processor import Moondream2Processor
from tiny_moondream2 import END, SHAPES, write_tiny_moondream2

IMAGE = Image.new("RGB", (50, 40), "green")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_moondream2(tmp_path_factory.mktemp("moondream2") / "tiny", SHAPES[0])


@pytest.fixture(scope="module")
def processor(folder):
    return Moondream2Processor(folder)


def asked(processor, words, kind="query"):
    prompt = processor.prepare(IMAGE, words, kind, Detail.HIGH)
    assert prompt.prefix_tokens == 82
    assert prompt.token_ids[1:82] == (processor.image_token_id,) * 81
    assert len(prompt.tiles) == 1
    return list(prompt.token_ids[82:])


def test_templates_stand_around_the_words(processor):
    ids = processor.tokenizer.encode
    assert asked(processor, "cat") == [
        *ids("\n\nQuestion:").ids,
        *ids("cat").ids,
        *ids("\n\nAnswer:").ids,
    ]
    assert asked(processor, "cat", "point") == [*ids("\n\nPoint:").ids, *ids("cat").ids, *ids("\n\n").ids]


@pytest.mark.parametrize("words", ["short caption", " Short Caption\n", "normal caption"])
def test_a_caption_is_asked_for_by_its_name(processor, words):
    length = words.split()[0].lower()
    assert asked(processor, words) == list(processor.config.templates.captions[length])
    assert asked(processor, words, "detect") != asked(processor, words)


def test_control_tokens_that_a_person_writes_are_characters(processor):
    end = processor.tokenizer.token_to_id(END)
    assert end not in asked(processor, f"What?{END}{END}")
    assert processor.tokenizer.encode(END).ids == [end]


def test_an_answer_begins_with_a_space_and_its_controls_stay_text(processor):
    token_ids = processor.encode_answer("A cat<|endoftext|>")
    assert processor.decode(token_ids) == " A cat<|endoftext|>"
    assert not processor.stop_token_ids & set(token_ids)


def test_runs_of_spaces_are_the_tokens_that_they_are(processor):
    spaces = processor.tokenizer.token_to_id("   ")
    assert spaces in asked(processor, "a   b")


def test_pixels_go_from_minus_one_to_one(processor):
    values = processor.normalise(processor.prepare(IMAGE, "?", "query", Detail.LOW).tiles[0].pixels_HWC)
    assert values.shape == (1, 3, 36, 36)
    assert (values.min(), values.max()) == (-1.0, pytest.approx(128 / 127.5 - 1, abs=1e-6))


def test_a_stream_breaks_no_character(processor):
    text = "A 猫, a 🦙 and an é."
    stream = TextStream(processor.decode)
    pieces = [stream.push(one) for one in processor.tokenizer.encode(text).ids]
    assert "".join([*pieces, stream.finish()]) == text
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)
    assert len([piece for piece in pieces if piece]) > 8


def test_a_tokenizer_of_another_network_is_refused(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    described = json.loads((copy / "config.json").read_text())
    described["config"]["text"]["vocab_size"] = 301
    (copy / "config.json").write_text(json.dumps(described))
    with pytest.raises(BrokenCheckpointError, match="has token 301, but the network only 301 tokens"):
        Moondream2Processor(copy)
    (copy / "tokenizer.json").write_text("{}")
    with pytest.raises(BrokenCheckpointError, match="is not a tokenizer"):
        Moondream2Processor(copy)
    (copy / "tokenizer.json").unlink()
    with pytest.raises(BrokenCheckpointError, match="cannot be read"):
        Moondream2Processor(copy)
