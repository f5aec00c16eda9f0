"""Reads the words that a text model knows whole: a list of words that are spelt right."""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from hashlib import sha256
from pathlib import Path

from smallsight.machine.private_files import make_private_folder
from smallsight.policy.log import get_logger

log = get_logger(__name__)


def read_whole_words(model_dir: Path, prepared_dir: Path | None = None) -> frozenset[str]:
    """Return the whole words in the vocabulary of a text model in Hugging Face layout.

    They are kept in ``prepared_dir``, because parsing the vocabulary takes longer than a search; a list there
    is used while the vocabulary's size, times and inode are those it was made from. Files that cannot be read
    have no words: loading the model reports what is wrong with them.
    """
    path = model_dir / "tokenizer.json"
    try:
        if prepared_dir is None:
            return _parsed(path)
        state, whole_path = path.stat(), str(path.resolve())
        name = sha256(os.fsencode(whole_path)).hexdigest()[:32]
        times = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
        kept_path, source = prepared_dir / f"{name}.words", json.dumps([whole_path, *times]).encode()
        kept = _read_kept(kept_path, source)
        if kept is None:
            kept = _parsed(path)
            _keep(kept_path, source, kept)
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()
    return kept


def _parsed(path: Path) -> frozenset[str]:
    vocabulary = json.loads(path.read_bytes())["model"]["vocab"]
    return frozenset(piece for piece in vocabulary if len(piece) > 1 and piece.isalpha())


def _read_kept(path: Path, source: bytes) -> frozenset[str] | None:
    """Return the words kept from this source, None if there are none or the file is damaged."""
    try:
        kept_source, checksum, text = path.read_bytes().split(b"\n", 2)
    except (OSError, ValueError):
        return None
    if kept_source != source or checksum != _checksum(text):
        return None
    return frozenset(text.decode().split("\n")) if text else frozenset()


def _keep(path: Path, source: bytes, words: frozenset[str]) -> None:
    text = "\n".join(sorted(words)).encode()
    try:
        make_private_folder(path.parent)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            file.write(b"\n".join((source, _checksum(text), text)))
        Path(file.name).replace(path)
    except OSError as error:
        log.info("words_not_kept", path=str(path), reason=str(error))


def _checksum(text: bytes) -> bytes:
    return f"{zlib.crc32(text):08x}".encode()
