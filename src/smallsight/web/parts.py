"""What the pages of one server share, as ``app.state.web``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.requests import HTTPConnection

from smallsight.policy.briefly_kept import BrieflyKept
from smallsight.services.display_pictures import DisplayPictures
from smallsight.services.library_descriptions import LibraryDescriptions
from smallsight.services.library_keeper import LibraryKeeper
from smallsight.services.library_suggestions import LibrarySuggestions
from smallsight.services.model_management import ModelManagement
from smallsight.services.opened_library import OpenedLibrary
from smallsight.services.picture_questions import PictureQuestions
from smallsight.services.query_pictures import QueryPictures
from smallsight.services.serving import Serving
from smallsight.services.uploads import Uploads
from smallsight.web.assets import Assets
from smallsight.web.form_token import FormTokens
from smallsight.web.live_updates import LiveUpdates
from smallsight.web.page_access import PageAccess
from smallsight.web.page_renderer import PageRenderer
from smallsight.web.typed_searches import TypedSearches
from smallsight.web.upload_results import UploadResults

_Result = TypeVar("_Result")

_MODEL_NAMES_KEPT_S = 2.0  # looking for the files of all models takes 10 ms
_NUM_THREADS = 4  # they hold the interpreter in turns; more only make each request slower


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_NUM_THREADS, "smallsight-pages")


@dataclass(frozen=True, slots=True)
class WebParts:
    """Everything behind the pages."""

    prefix: str
    serving: Serving
    library: OpenedLibrary
    display: DisplayPictures
    query_pictures: QueryPictures
    questions: PictureQuestions
    descriptions: LibraryDescriptions
    keeper: LibraryKeeper
    uploads: Uploads
    pages: PageRenderer
    assets: Assets
    form_tokens: FormTokens
    access: PageAccess
    updates: LiveUpdates
    models: ModelManagement
    suggestions: LibrarySuggestions
    upload_results: UploadResults = field(default_factory=UploadResults)
    threads: ThreadPoolExecutor = field(default_factory=_threads)
    typed: TypedSearches = field(default_factory=TypedSearches)
    model_names: BrieflyKept[list[str]] = field(default_factory=lambda: BrieflyKept(_MODEL_NAMES_KEPT_S))

    async def in_thread(self, work: Callable[[], _Result]) -> _Result:
        """Return the result of work that blocks, such as reading the library, done in a thread."""
        context = copy_context()
        return await asyncio.get_running_loop().run_in_executor(self.threads, lambda: context.run(work))

    def close(self) -> None:
        """Stop the threads and close the library."""
        self.models.close()
        self.suggestions.close()
        self.typed.close()
        self.threads.shutdown(wait=True, cancel_futures=True)
        self.access.close()
        self.questions.close()
        self.display.close()
        self.library.close()


def parts_of(connection: HTTPConnection) -> WebParts:
    """Return the parts of the application that serves a request."""
    parts: WebParts = connection.app.state.web
    return parts
