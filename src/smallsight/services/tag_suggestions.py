"""Wires suggestions of tags: the picture embedding model, the vocabulary, and its vectors, which are kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smallsight.errors import ModelUnavailableError
from smallsight.inventory.embedding_models import find_picture_model
from smallsight.library.database import storage_errors
from smallsight.library.suggesting.prompts import embed_vocabulary, vocabulary_key
from smallsight.library.suggesting.suggested_tags import VocabularyVectors, has_vectors
from smallsight.library.suggesting.vocabulary import TagVocabulary, load_vocabulary
from smallsight.machine.private_files import make_private_folder
from smallsight.policy.progress import OnProgress
from smallsight.services.application import Application
from smallsight.settings import Settings

_FOLDER = "vocabularies"
_MAX_KEPT = 8  # files of vectors; the default vocabulary takes 2 MB in 768 dimensions
_PULL_HINT = "`smallsight models pull SigLIP-base-patch16-224` fetches one."
_INDEX_HINT = "`smallsight index --fast FOLDER` embeds pictures, and so does every other index run."


@dataclass(frozen=True, slots=True, eq=False)
class TagSuggester:
    """What tags are suggested with: the model's name, the vocabulary, and its vectors."""

    model: str
    vocabulary: TagVocabulary
    vectors: VocabularyVectors


def open_suggester(
    application: Application,
    settings: Settings,
    on_progress: OnProgress = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TagSuggester | None:
    """Return what tags are suggested with, None if it was stopped.

    The first time with a model and a vocabulary, all its phrases are embedded, which takes a minute with the
    one that is shipped. Raises SettingsError for a wrong vocabulary, and ModelUnavailableError without a
    model or without a picture that it has embedded.
    """
    vocabulary = load_vocabulary(settings.tags.vocabulary)
    wanted = settings.picture_embedding
    found, embedder = find_picture_model(settings, wanted.model), application.picture_embedder
    if found is None or embedder is None:
        raise ModelUnavailableError(
            "There is no picture embedding model on this machine, which suggests tags.", hint=_PULL_HINT
        )
    if not has_vectors(application.database, embedder.key):
        raise ModelUnavailableError(f"No picture has been embedded with {found.name} yet.", hint=_INDEX_HINT)
    path = settings.home / _FOLDER / f"{vocabulary_key(vocabulary, embedder)}.f32"
    shape = len(vocabulary.things), embedder.dimensions
    vectors_TD = _kept(path, shape)
    if vectors_TD is None:
        vectors_TD = embed_vocabulary(vocabulary, embedder, on_progress, should_stop)
        if vectors_TD is None:
            return None
        _keep(path, vectors_TD)
    least = embedder.min_similarity if wanted.min_similarity is None else wanted.min_similarity
    vectors = VocabularyVectors(vocabulary.things, vectors_TD, embedder.key, embedder.contrast, least)
    return TagSuggester(found.name, vocabulary, vectors)


def _kept(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """Return the vectors in a file, None if it is missing or has another size."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if len(data) != 4 * shape[0] * shape[1]:
        return None
    return np.frombuffer(data, "<f4").reshape(shape)


def _keep(path: Path, vectors_TD: np.ndarray) -> None:
    """Write vectors to a file, and remove the oldest files."""
    with storage_errors(path):
        make_private_folder(path.parent)
        new = path.with_name(f"{path.name}.{os.getpid()}.new")
        new.write_bytes(vectors_TD.astype("<f4").tobytes())
        new.replace(path)
        files = sorted(path.parent.glob("*.f32"), key=lambda one: one.stat().st_mtime, reverse=True)
        for one in files[_MAX_KEPT:]:
            one.unlink(missing_ok=True)
