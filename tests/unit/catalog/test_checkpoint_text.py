"""The files of a stranger's checkpoint: whatever they are, reading ends and says what is wrong."""

from __future__ import annotations

import os

import pytest

from smallsight.catalog.checkpoint import read_json_object
from smallsight.catalog.checkpoint_text import MAX_TEXT_BYTES, read_checkpoint_text
from smallsight.catalog.safetensors_file import read_header
from smallsight.errors import BrokenCheckpointError
from smallsight.families.smolvlm.chat_template import ChatTemplate
from smallsight.families.tokenizer_file import read_tokenizer


@pytest.mark.parametrize(
    "read",
    [
        read_checkpoint_text,
        read_json_object,
        read_header,
        read_tokenizer,
        lambda p: ChatTemplate.load(p.parent),
    ],
)
def test_a_pipe_is_refused_before_it_can_block(tmp_path, read):
    path = tmp_path / "chat_template.jinja"
    os.mkfifo(path)
    with pytest.raises(BrokenCheckpointError, match="not a regular file"):
        read(path)


def test_text_that_is_not_utf8_or_too_long_is_one_sentence(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b"\xff{}")
    with pytest.raises(BrokenCheckpointError, match="not UTF-8"):
        read_checkpoint_text(path)
    with path.open("wb") as file:
        file.truncate(MAX_TEXT_BYTES + 1)
    with pytest.raises(BrokenCheckpointError, match="larger than"):
        read_checkpoint_text(path)


def test_what_is_not_there_is_said_by_the_caller(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_checkpoint_text(tmp_path / "config.json")
    with pytest.raises(BrokenCheckpointError, match=r"has no config\.json"):
        read_json_object(tmp_path / "config.json")
    with pytest.raises(BrokenCheckpointError, match="cannot be read: No such file"):
        read_tokenizer(tmp_path / "tokenizer.json")
