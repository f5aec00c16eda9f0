"""The settings that opening and searching a library takes, as protocols; ``Settings`` has them all.

Commands that only read the library need no others, so they can take them from ``settings_snapshot``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class HasQueryLimits(Protocol):
    """What a search takes of ``limits``."""

    @property
    def max_query_chars(self) -> int: ...  # noqa: D102 - the settings describe themselves


class HasEmbedding(Protocol):
    """What a search takes of ``embedding``."""

    @property
    def model_dir(self) -> Path | None: ...  # noqa: D102
    @property
    def precision(self) -> str: ...  # noqa: D102


class HasPictureEmbedding(Protocol):
    """What a search takes of ``picture_embedding``."""

    @property
    def model(self) -> str | None: ...  # noqa: D102
    @property
    def precision(self) -> str: ...  # noqa: D102
    @property
    def min_similarity(self) -> float | None: ...  # noqa: D102


class HasResultOrder(Protocol):
    """What a search takes of ``search``."""

    @property
    def limit(self) -> int: ...  # noqa: D102
    @property
    def min_similarity(self) -> float: ...  # noqa: D102


class HasReadingSize(Protocol):
    """What showing a picture takes of ``index``."""

    @property
    def ocr_max_side_px(self) -> int: ...  # noqa: D102


class LibrarySettings(Protocol):
    """The settings of an open library."""

    @property
    def home(self) -> Path: ...  # noqa: D102
    @property
    def log_level(self) -> str: ...  # noqa: D102
    @property
    def log_format(self) -> str: ...  # noqa: D102
    @property
    def threads(self) -> int: ...  # noqa: D102
    @property
    def kernels(self) -> bool: ...  # noqa: D102
    @property
    def database_path(self) -> Path: ...  # noqa: D102
    @property
    def thumbnails_dir(self) -> Path: ...  # noqa: D102
    @property
    def prepared_dir(self) -> Path: ...  # noqa: D102
    @property
    def models_path(self) -> Path: ...  # noqa: D102
    @property
    def limits(self) -> HasQueryLimits: ...  # noqa: D102
    @property
    def embedding(self) -> HasEmbedding: ...  # noqa: D102
    @property
    def picture_embedding(self) -> HasPictureEmbedding: ...  # noqa: D102
    @property
    def index(self) -> HasReadingSize: ...  # noqa: D102
    @property
    def search(self) -> HasResultOrder: ...  # noqa: D102


SECTIONS: dict[str, type] = {
    "limits": HasQueryLimits,
    "embedding": HasEmbedding,
    "picture_embedding": HasPictureEmbedding,
    "index": HasReadingSize,
    "search": HasResultOrder,
}
