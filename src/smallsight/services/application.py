"""Wires a library for one process: database, embedder and searcher, from the settings.

Heavy parts are created on first use; parts that only indexing needs are wired in ``indexing``.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from smallsight.catalog.text_model import find_text_model
from smallsight.errors import ModelError
from smallsight.library.database import Database, require_library
from smallsight.library.remembered_lists import RememberedLists
from smallsight.library.search.searcher import Searcher
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.library.search.word_list import NO_WORDS, WordList
from smallsight.library.thumbnails import thumbnail_path
from smallsight.library_settings import LibrarySettings
from smallsight.policy.log import get_logger
from smallsight.reading.word_list import read_whole_words
from smallsight.services.logs import configure_logging

if TYPE_CHECKING:
    from smallsight.engine.openvino.picture_embedder import PictureEmbedder
    from smallsight.library.library import Library
    from smallsight.library.search.sqlite.vectors import CompileProduct
    from smallsight.reading.query_embedder import QueryEmbedder
    from smallsight.reading.text_embedder import TextEmbedder
    from smallsight.services.picture_words import ChosenPictureWords

log = get_logger(__name__)


class Application:
    """An open library, with every part that is installed. Close it, or use it in ``with``.

    With ``for_writing`` it can be edited, also while another process indexes it; ``for_run`` is for indexing
    and for changes of folders, which only one process can do at a time.
    """

    _or_shipped = True  # whether pictures may be searched with the embedding model of this package

    def __init__(
        self,
        settings: LibrarySettings,
        *,
        for_writing: bool,
        for_run: bool = False,
        configures_logging: bool = True,
    ) -> None:
        if configures_logging:
            configure_logging(settings.log_level, settings.log_format)
        self.settings = settings
        self.resources = ExitStack()
        path = settings.database_path
        opened = (
            Database.open_for_writing(path, for_run=for_run)
            if for_writing or for_run
            else Database.open_for_reading(path)
        )
        self.database = self.resources.enter_context(opened)
        self._words_only = False

    @classmethod
    def for_editing(cls, settings: LibrarySettings, *, configures_logging: bool = True) -> Application:
        """Open an existing library for edits; raises LibraryMissingError."""
        require_library(settings.database_path)
        return Application(settings, for_writing=True, configures_logging=configures_logging)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop child processes, close the database, and let other processes write."""
        self.resources.close()

    @cached_property
    def library(self) -> Library:
        """The folders and pictures of the library, and edits of them."""
        from smallsight.library.library import Library  # noqa: PLC0415 - imports SQLAlchemy, unlike a search

        return Library(self.database)

    @cached_property
    def lists(self) -> RememberedLists:
        """Lists of the whole library, kept while it does not change."""
        return RememberedLists(self.database)

    @property
    def text_model_dir(self) -> Path | None:
        """The folder of the text model; None if it is not on this machine."""
        return find_text_model(self.settings)

    @cached_property
    def embedder(self) -> TextEmbedder | None:
        """The model that turns texts into vectors; None if it is not on this machine."""
        model_dir = self.text_model_dir
        if model_dir is None:
            return None
        # Importing OpenVINO takes half a second, and a search by words does not need it.
        from smallsight.reading.text_embedder import TextEmbedder  # noqa: PLC0415

        return self.resources.enter_context(
            TextEmbedder.load(
                model_dir,
                precision=self.settings.embedding.precision,
                threads=self.settings.threads,
                prepared_dir=self.settings.prepared_dir,
            )
        )

    @cached_property
    def picture_embedder(self) -> PictureEmbedder | None:
        """The model that embeds pictures; None if none is on this machine. Raises ModelError.

        A search also uses the one of this package, which knows drawings only, if nothing else is here.
        """
        from smallsight.inventory.embedding_models import find_picture_model  # noqa: PLC0415 - a search by words

        wanted = self.settings.picture_embedding
        found = find_picture_model(self.settings, wanted.model, or_shipped=self._or_shipped)
        if found is None:
            return None
        from smallsight.engine.embedding import load_picture_embedder  # noqa: PLC0415 - imports OpenVINO

        embedder = load_picture_embedder(
            found.directory,
            wanted.precision,
            threads=self.settings.threads,
            prepared_dir=self.settings.prepared_dir,
            uses_kernels=self.settings.kernels,
        )
        self.resources.callback(embedder.close)
        return embedder

    def picture_words(self) -> ChosenPictureWords | None:
        """Return the model that finds pictures by what they show; a search goes on without it."""
        try:
            return self._picture_words
        except ModelError as error:
            log.warning("pictures_not_searched_by_looks", why=str(error))
            return None

    @cached_property
    def _picture_words(self) -> ChosenPictureWords | None:
        embedder = self.picture_embedder
        if embedder is None:
            return None
        from smallsight.services.picture_words import ChosenPictureWords  # noqa: PLC0415 - imports numpy

        settings = self.settings
        least = settings.picture_embedding.min_similarity
        scales_path = settings.database_path.with_name("look-scales.json")
        return ChosenPictureWords(embedder, least, settings.prepared_dir, scales_path)

    @cached_property
    def searcher(self) -> Searcher:
        """The search over the library; semantic only with an embedder."""
        embedder = None if self._words_only else self.query_embedder
        if self._words_only:
            return self.word_searcher
        if embedder is None:
            index = SqliteTextIndex(self.database, None, self._words)
            return Searcher(index, self.settings, None, self.picture_words)
        from smallsight.reading.remembered_vectors import RememberedVectors  # noqa: PLC0415 - imports numpy

        product: CompileProduct | None = None
        if "embedder" in self.__dict__:  # the runtime is loaded, for many searches
            from smallsight.reading.compiled_product import compile_product as product  # noqa: PLC0415
        index = SqliteTextIndex(self.database, embedder.key, self._words, product)
        remembered = RememberedVectors(embedder.embed)
        return Searcher(index, self.settings, remembered.embed, self.picture_words)

    @cached_property
    def word_searcher(self) -> Searcher:
        """The search by words alone, which needs no model."""
        return Searcher(SqliteTextIndex(self.database, None, self._words), self.settings)

    @cached_property
    def _words(self) -> WordList:
        model_dir = find_text_model(self.settings)
        return (
            NO_WORDS
            if model_dir is None
            else WordList(partial(read_whole_words, model_dir, self.settings.prepared_dir))
        )

    @cached_property
    def query_embedder(self) -> TextEmbedder | QueryEmbedder | None:
        """The embedder if it is loaded, else one that is ready sooner; None without a model."""
        if "embedder" in self.__dict__ or (model_dir := find_text_model(self.settings)) is None:
            return self.embedder
        from smallsight.reading.query_embedder import QueryEmbedder  # noqa: PLC0415 - imports numpy

        return QueryEmbedder.load(
            model_dir, precision=self.settings.embedding.precision, prepared_dir=self.settings.prepared_dir
        )

    def use_words_only(self) -> None:
        """Search without loading the embedder; call it before the first search."""
        self._words_only = True

    def thumbnail(self, sha256: str) -> Path | None:
        """Return the path of the thumbnail of the content with this hash; None if there is none."""
        path = thumbnail_path(self.settings.thumbnails_dir, sha256)
        return path if path.is_file() else None
