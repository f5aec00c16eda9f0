"""Reads a SentencePiece model of unigrams, for checkpoints without a tokenizer.json.

The file is a protocol buffer: pieces with their scores and kinds, and the rules that characters are
replaced by. Source: sentencepiece_model.proto of SentencePiece.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import Unigram

from smallsight.errors import BrokenCheckpointError

_MAX_FILE_BYTES = 64 * 1024 * 1024
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3  # fields of the model
_PIECE, _SCORE, _KIND = 1, 2, 3  # of a piece
_MODEL_KIND, _UNIGRAM = 3, 1  # of the trainer
_RULES = 2  # of the normaliser
_UNKNOWN = 2
_SPACE = "▁"


def read_sentencepiece(path: Path) -> Tokenizer:
    """Return the tokenizer, which adds no control tokens; raises BrokenCheckpointError."""
    try:
        data = path.read_bytes()
        if len(data) > _MAX_FILE_BYTES:
            raise ValueError("it is too large")
        return _tokenizer(data)
    except OSError as error:
        raise BrokenCheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    except Exception as error:  # the library raises plain exceptions
        raise BrokenCheckpointError(
            f"{path} is not a SentencePiece model of unigrams: {error}.", hint="fetch it again."
        ) from error


def _tokenizer(data: bytes) -> Tokenizer:
    pieces: list[tuple[str, float]] = []
    unknown_id, rules = None, b""
    for field, value in _fields(data):
        if field == _PIECES and isinstance(value, bytes):
            piece = dict(_fields(value))
            text, score = piece[_PIECE], piece.get(_SCORE, b"\0\0\0\0")
            if not isinstance(text, bytes) or not isinstance(score, bytes):
                raise ValueError("a piece without a text")
            if piece.get(_KIND) == _UNKNOWN:
                unknown_id = len(pieces)
            pieces.append((text.decode(), struct.unpack("<f", score)[0]))
        elif field == _TRAINER and isinstance(value, bytes):
            if dict(_fields(value)).get(_MODEL_KIND, _UNIGRAM) != _UNIGRAM:
                raise ValueError("it has another kind of pieces")
        elif field == _NORMALIZER and isinstance(value, bytes):
            found = dict(_fields(value)).get(_RULES, b"")
            rules = found if isinstance(found, bytes) else b""
    if unknown_id is None:
        raise ValueError("no piece stands for unknown characters")
    tokenizer = Tokenizer(Unigram(pieces, unknown_id, byte_fallback=False))
    if rules:
        tokenizer.normalizer = normalizers.Precompiled(rules)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(_SPACE, prepend_scheme="always")
    return tokenizer


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message by number; those of 4 bytes as bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
                yield tag >> 3, value
                continue
            case 1:
                length = 8
            case 2:
                length, at = _varint(data, at)
            case 5:
                length = 4
            case kind:
                raise ValueError(f"a field of kind {kind}")
        if at + length > len(data):
            raise ValueError("it is cut off")
        yield tag >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("it is cut off")
