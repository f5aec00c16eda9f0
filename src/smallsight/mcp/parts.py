"""What the tools work with: the library, its pictures, and models that answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from smallsight.errors import SmallsightError
from smallsight.mcp.late_models import LateModels
from smallsight.services.display_pictures import DisplayPictures
from smallsight.services.library_pictures import LibraryPictures
from smallsight.services.opened_library import OpenedLibrary
from smallsight.settings import Settings

if TYPE_CHECKING:
    from smallsight.library.library import PictureDetails
    from smallsight.library.search.searcher import Searcher

_NUM_THREADS = 2
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls a tool: its identity for fair turns, and whether it may change tags."""

    client: str
    may_edit: bool


@dataclass(frozen=True, slots=True)
class McpParts:
    """Everything behind the tools. Create it with ``of``; close it at the end."""

    library: OpenedLibrary
    pictures: LibraryPictures
    display: DisplayPictures
    models: LateModels
    message: Callable[[SmallsightError], str]  # of an error, for the client
    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_NUM_THREADS, "smallsight-mcp")
    )
    turn: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(
        cls, settings: Settings, models: LateModels, message: Callable[[SmallsightError], str]
    ) -> McpParts:
        """Wire the parts; the library is opened on first use."""
        library = OpenedLibrary(settings, answers_many=False)
        return cls(
            library, LibraryPictures(library, settings.limits), DisplayPictures(settings), models, message
        )

    async def in_thread(self, work: Callable[[], _Result]) -> _Result:
        """Return the result of work that blocks, such as reading the library."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    def searcher(self) -> Searcher:
        """Return the search over the library; raises LibraryMissingError."""
        application = self.library.reading()
        with self.turn:  # made on first use
            return application.searcher

    async def find(self, name: str) -> PictureDetails:
        """Return what is known about a picture; raises NotInLibraryError."""
        return await self.in_thread(lambda: self.pictures.find(name))

    async def jpeg(self, sha256: str, side_px: int) -> bytes:
        """Return a picture of the library at one of the sizes of ``DisplayPictures``, as JPEG."""
        path = self.display.known(sha256, side_px)
        if path is None:
            database = self.library.reading().database
            path = await self.display.make(database, sha256, side_px)
        return await self.display.as_jpeg(path)

    async def close(self) -> None:
        """Stop the threads and the models, and close the library."""
        await asyncio.to_thread(self.threads.shutdown, wait=True, cancel_futures=True)
        await self.models.close()
        self.display.close()
        self.library.close()
