"""Finds pictures by what they show: the words of a query, or another picture, against pictures' vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from smallsight.library.search.query import Query
from smallsight.library.search.text_index import Condition, IndexView, Neighbour

if TYPE_CHECKING:
    import numpy as np

MAX_LOOKS = 100  # beyond these, similarity says little
_MAX_SELECTED = 20_000  # contents that pass a filter; if there are more, they are not all listed


class PictureWords(Protocol):
    """A picture embedding model as a search needs it.

    ``min_similarity`` is the least cosine of a picture and words that belong together.
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
    condition = Condition(query=query)
    is_narrow = query.is_narrowed and view.count(condition, _MAX_SELECTED) < _MAX_SELECTED
    num_asked = MAX_LOOKS + MAX_LOOKS // 4  # some may have lost their files since
    query_D = words.embed_texts([text])[0]
    while True:
        near = view.looks_near(
            words.key,
            query_D,
            num_asked,
            min_similarity=words.min_similarity,
            among=condition if is_narrow else None,
        )
        passing = view.passing([one.content_id for one in near], query)
        kept = [one for one in near if one.content_id in passing]
        if len(kept) >= MAX_LOOKS or len(near) < num_asked:
            return kept[:MAX_LOOKS]
        num_asked *= 4
