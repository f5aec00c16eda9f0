"""Finds pictures by what they show: the words of a query against pictures' vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from smallsight.library.search.filtered import nearest_passing
from smallsight.library.search.query import Query
from smallsight.library.search.text_index import Among, IndexView, Neighbour

if TYPE_CHECKING:
    import numpy as np

    from smallsight.library.search.look_scale import LookScale

MAX_LOOKS = 100  # beyond these, similarity says little


class PictureWords(Protocol):
    """A picture embedding model as a search needs it.

    ``min_similarity`` is the least cosine of a picture and words that belong together; it counts where the
    library has no scale.
    """

    @property
    def key(self) -> str:
        """Identify the vectors that words can be compared with."""
        ...

    @property
    def min_similarity(self) -> float:
        """Return the least cosine at which a picture may show what words say."""
        ...

    def embed_texts(self, texts: Sequence[str], /) -> np.ndarray:
        """Return float32 [N, D], rows of unit length."""
        ...

    def scale(self, view: IndexView, /) -> LookScale | None:
        """Return what tells the pictures of the library that show some words; None for ``min_similarity``."""
        ...


OpenPictureWords: TypeAlias = Callable[[], PictureWords | None]


def looks_like_words(
    view: IndexView, query: Query, text: str, open_words: OpenPictureWords | None
) -> list[Neighbour]:
    """Return at most 100 contents that pass the filters and whose pictures may show what the text says.

    Filters are applied before pictures are compared, so that they cannot empty the list. The model is opened
    only for a library that has vectors of it.
    """
    if open_words is None or view.look_key() is None or (words := open_words()) is None:
        return []
    query_D = words.embed_texts([text])[0]
    scale = words.scale(view)
    direction_D = query_D if scale is None else scale.direction(query_D)
    least = words.min_similarity if scale is None else -1.0

    def find(num_asked: int, among: Among | None) -> list[Neighbour]:
        return view.looks_near(words.key, direction_D, num_asked, min_similarity=least, among=among)

    near = nearest_passing(view, query, MAX_LOOKS, find)
    if scale is None or not near:
        return near
    num_compared = view.count_looks(words.key, query) if query.is_narrowed else scale.num_pictures
    vectors = view.looks_at([one.chunk_id for one in near])
    return scale.shown(query_D, near, vectors, num_compared)
