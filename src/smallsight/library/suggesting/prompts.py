"""The prompts with which the models of a family are asked for a thing, and the vectors of a vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from smallsight.library.suggesting.vocabulary import TagVocabulary
from smallsight.policy.progress import OnProgress

PROMPTS_VERSION = 1  # increment when the same vocabulary would give other vectors
# Two of each family: more take proportionally longer the first time, and average out the same words.
_PROMPTS: Mapping[str, tuple[str, ...]] = {
    "siglip": ("this is a photo of a {}.", "{}"),
    "clip": ("a photo of a {}.", "a picture of a {}."),
}
_OTHERS = ("a photo of a {}.",)


class VocabularyEmbedder(Protocol):
    """A picture embedding model as suggestions need it; ``contrast`` is the scale of its cosines."""

    @property
    def key(self) -> str: ...  # noqa: D102 - the class says it
    @property
    def family(self) -> str: ...  # noqa: D102
    @property
    def contrast(self) -> float: ...  # noqa: D102
    @property
    def min_similarity(self) -> float: ...  # noqa: D102
    def embed_texts(self, texts: Sequence[str], /) -> np.ndarray: ...  # noqa: D102


def vocabulary_key(vocabulary: TagVocabulary, embedder: VocabularyEmbedder) -> str:
    """Return what identifies the vectors of a vocabulary."""
    return f"{embedder.key}-{vocabulary.digest}-{PROMPTS_VERSION}"


def embed_vocabulary(
    vocabulary: TagVocabulary,
    embedder: VocabularyEmbedder,
    on_progress: OnProgress = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> np.ndarray | None:
    """Return float32 [things, dimensions], rows of length 1: each the mean of the vectors of its phrases.

    None if it was stopped. This takes about 50 ms for each phrase the first time.
    """
    prompts = _PROMPTS.get(embedder.family, _OTHERS)
    rows = []
    for number, thing in enumerate(vocabulary.things.values()):
        if should_stop():
            return None
        mean_D = embedder.embed_texts(thing.phrases(prompts)).mean(axis=0)
        rows.append(mean_D / max(float(np.linalg.norm(mean_D)), 1e-12))
        on_progress((number + 1) / len(vocabulary.things))
    return np.stack(rows).astype(np.float32)
