"""The interface between search and the database: contents by words, by meaning and by appearance.

It separates ranking, which is independent of the database, from the queries that depend on it. The shipped
implementation is ``library/search/sqlite/``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from smallsight.library.search.query import Query

if TYPE_CHECKING:
    import numpy as np

    from smallsight.library.search.similar import Hashes

NO_FILTERS = Query()


class Sort(StrEnum):
    """The orders of hits: the largest and the last indexed first, names with numbers by their value."""

    RELEVANCE = "relevance"
    NEWEST = "newest"
    OLDEST = "oldest"
    NAME = "name"
    SIZE = "size"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class WordForm:
    """Adjacent terms, separated by spaces; with ``goes_on`` the last one also matches as a prefix."""

    text: str
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """Contents that hold a form of every group and pass the filters and minus words of the query.

    With ``in_names`` the forms must occur in the name of a file or in a tag.
    """

    groups: tuple[tuple[WordForm, ...], ...] = ()
    query: Query = NO_FILTERS
    in_names: bool = False


Among: TypeAlias = Condition | Collection[int]  # contents that meet a condition, or these


class Neighbour(NamedTuple):
    """A content, and the chunk, picture or frame of it that is most similar; the similarity is a cosine.

    ``distinctness`` is the similarity beyond what the query and the chunk have with the library on average.
    """

    content_id: int
    similarity: float
    chunk_id: int
    distinctness: float = 1.0


@dataclass(frozen=True, slots=True)
class ShownFile:
    """One present file of a content; ``folders`` is the path of its folder, from the root."""

    picture_id: int
    path: Path
    folders: str


@dataclass(frozen=True, slots=True)
class ShownContent:
    """What a hit shows of a content; ``files`` has at least one, in the order in which they were seen."""

    sha256: str
    width_px: int | None
    height_px: int | None
    ocr_text: str | None
    description: str | None
    files: tuple[ShownFile, ...]
    tags: tuple[str, ...]
    date_wall_s: float
    date_offset_min: int | None
    date_origin: str | None
    camera: str | None
    kind: str
    num_frames: int | None
    format: str | None
    size_bytes: int
    colours: bytes | None = None
    duration_s: float | None = None


class IndexView(Protocol):
    """One consistent state of the index, for one thread. It contains only contents that have a file."""

    @property
    def version(self) -> int:
        """A number that is another one after every change of the library, while it is open."""
        ...

    def newest(self, condition: Condition, limit: int, offset: int = 0) -> list[int]:
        """Return the ids of contents that meet the condition, the last indexed first."""
        ...

    def listed(self, condition: Condition, sort: Sort, limit: int, offset: int = 0) -> list[int]:
        """Return the ids of contents that meet the condition, in an order other than relevance."""
        ...

    def sorted_among(self, content_ids: Sequence[int], sort: Sort) -> list[int]:
        """Return these contents in an order other than relevance."""
        ...

    def count(self, condition: Condition, limit: int) -> int:
        """Count the contents that meet the condition, up to the limit."""
        ...

    def passing(self, content_ids: Sequence[int], query: Query) -> set[int]:
        """Return those of these contents that pass the filters and minus words of the query."""
        ...

    def texts(self, content_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Return the texts of contents in search form: name, folder, tags, description, OCR."""
        ...

    def newest_id(self) -> int:
        """Return the highest content id, which is near the number of contents, or 0."""
        ...

    def terms_containing(self, part: str) -> list[str]:
        """Return terms that contain this part after their first letter, only some if there are very many."""
        ...

    def known_terms(self, terms: Sequence[str]) -> set[str]:
        """Return those of these terms that some content holds or held."""
        ...

    def corrections(self, word: str, num_contents: int) -> list[str]:
        """Return the few terms that word, held by num_contents contents, most likely misspells."""
        ...

    def slips(self, word: str, num_contents: int) -> list[str]:
        """Return the few rare terms that most likely misspell word, held by num_contents contents."""
        ...

    def is_gibberish(self, words: Sequence[str]) -> bool:
        """Return whether there is a list of words, and none of these is in it or in the library."""
        ...

    def has_descriptions(self) -> bool:
        """Return whether any content has a description."""
        ...

    def expect(self, query_D: np.ndarray) -> None:
        """Begin to compute what ``neighbours`` will be asked for, of all contents, in the background."""
        ...

    def neighbours(
        self, query_D: np.ndarray, limit: int, *, min_similarity: float, among: Among | None = None
    ) -> list[Neighbour]:
        """Return the contents most similar to a vector of unit length, float32 [D], most similar first."""
        ...

    def neighbours_of_each(
        self, queries: Sequence[np.ndarray], limit: int, *, min_similarity: float
    ) -> list[list[Neighbour]]:
        """Return what ``neighbours`` does for each of several vectors, in less time."""
        ...

    def vectors_of(self, content_id: int) -> list[np.ndarray]:
        """Return the vectors of one content, float32 [D] each; may be empty."""
        ...

    def look_key(self, content_id: int | None = None) -> str | None:
        """Return which model made the newest vector of a picture, of one or of any; None without any."""
        ...

    def looks_near(
        self,
        key: str,
        query_D: np.ndarray,
        limit: int,
        *,
        min_similarity: float,
        among: Among | None = None,
    ) -> list[Neighbour]:
        """Return the contents whose pictures, or frames, are nearest to a vector of the model with this key.

        ``Neighbour.chunk_id`` is the id of the nearest vector of each.
        """
        ...

    def looks_of_each(self, key: str, content_ids: Sequence[int]) -> dict[int, np.ndarray]:
        """Return the vectors of those of these pictures that have one under this key, float32 [D] each.

        That of a video is the vector of its still.
        """
        ...

    def looks_at(self, look_ids: Sequence[int]) -> dict[int, np.ndarray]:
        """Return the vectors, float32 [D], with these ids, which ``looks_near`` returned."""
        ...

    def look_times(self, look_ids: Sequence[int]) -> dict[int, float]:
        """Return when an animation or a video shows the frames with these ids, in seconds.

        Ids of pictures, and of the first picture of an animation, are left out.
        """
        ...

    def looks_sample(self, key: str, limit: int) -> np.ndarray:
        """Return the vectors of about that many pictures and frames of all of the library, float32 [N, D]."""
        ...

    def count_looks(self, key: str, query: Query = NO_FILTERS) -> int:
        """Return how many vectors of pictures and frames there are, of contents that pass the filters."""
        ...

    def hashes(self) -> Hashes:
        """Return the perceptual hashes of all contents, including those without a file."""
        ...

    def shown(self, content_ids: Sequence[int]) -> dict[int, ShownContent]:
        """Return what is shown of these contents, for those that have a file."""
        ...

    def chunk_text(self, chunk_id: int) -> str | None:
        """Return the text of a chunk, None once it is gone."""
        ...


class TextIndex(Protocol):
    """The searchable side of one library; may be used from any thread."""

    def reading(self) -> AbstractContextManager[IndexView]:
        """Return a view of the current state, as a context manager."""
        ...
