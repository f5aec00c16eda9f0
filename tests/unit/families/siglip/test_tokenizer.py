"""SigLIP's tokens: those that transformers 5.23 with sentencepiece 0.2.1 made of the same texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsight.errors import BrokenCheckpointError
from smallsight.families.siglip.config import read_config
from smallsight.families.siglip.sentencepiece import read_sentencepiece
from smallsight.families.siglip.tokenizer import SigLIPTokens
from tiny_dual_encoder import SENTENCEPIECE, write_tiny_siglip

PUBLISHED = {  # without the padding, which is the end token 1 again
    "a photo of two cats": [3, 16, 20, 9, 19],
    "A Photo, of: TWO cats!!": [3, 16, 20, 9, 19],
    "": [],
    "   ": [],
    "cat": [4],
    "dog\n\t owl  ": [8, 7],
    "it's a cat-owl.": [22, 2, 52, 55, 3, 4, 37],
    "ﬁsh Ａ": [22, 46, 2, 55, 50, 22, 2],
    "日本 cat": [22, 2, 4],
    "aaaaa": [3, 21, 21, 21, 21],
    "#tag @me": [22, 52, 21, 40, 22, 2, 53],
    "red car": [6, 11],
    " ".join(["cat"] * 70): [4] * 15,
}


def tokens_of(folder: Path) -> SigLIPTokens:
    return SigLIPTokens.load(folder, read_config(folder))


@pytest.mark.parametrize("text", PUBLISHED)
def test_ids_are_those_of_the_published_tokenizer(tmp_path: Path, text: str):
    ids, position = tokens_of(write_tiny_siglip(tmp_path)).encode(text)
    assert ids == PUBLISHED[text] + [1] * (16 - len(PUBLISHED[text]))
    assert position == 15


def test_a_tokenizer_json_of_the_same_pieces_gives_the_same_ids(tmp_path: Path):
    folder = write_tiny_siglip(tmp_path)
    read_sentencepiece(folder / "spiece.model").save(str(folder / "tokenizer.json"))
    (folder / "spiece.model").unlink()
    for text, words in PUBLISHED.items():
        assert tokens_of(folder).encode(text)[0][: len(words)] == words


def test_padding_goes_to_the_side_that_the_checkpoint_names(tmp_path: Path):
    folder = write_tiny_siglip(tmp_path)
    (folder / "tokenizer_config.json").write_text('{"padding_side": "left"}', "utf-8")
    assert tokens_of(folder).encode("cat")[0] == [1] * 14 + [4, 1]


@pytest.mark.parametrize("cut", [0, 1, 7, len(SENTENCEPIECE) // 2, len(SENTENCEPIECE) - 1])
def test_a_damaged_file_is_a_typed_error(tmp_path: Path, cut: int):
    path = tmp_path / "spiece.model"
    path.write_bytes(SENTENCEPIECE[:cut])
    with pytest.raises(BrokenCheckpointError, match=r"spiece\.model"):
        read_sentencepiece(path)


def test_a_tokenizer_of_another_network_is_refused(tmp_path: Path):
    folder = write_tiny_siglip(tmp_path)
    config = (folder / "config.json").read_text("utf-8")
    (folder / "config.json").write_text(config.replace('"vocab_size": 60', '"vocab_size": 50'), "utf-8")
    with pytest.raises(BrokenCheckpointError, match="50 tokens"):
        tokens_of(folder)
