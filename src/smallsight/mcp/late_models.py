"""Models that answer questions, wired at the first one: importing what runs them takes seconds."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from smallsight.services.live_settings import LiveSettings

if TYPE_CHECKING:
    from smallsight.services.picture_questions import PictureQuestions
    from smallsight.services.serving import Serving


class LateModels:
    """The models of a server, or without one its own. Use it in one event loop; close it at the end."""

    def __init__(self, live: LiveSettings, serving: Serving | None = None) -> None:
        self.live = live
        self._serving = serving
        self._is_own = serving is None
        self._questions: PictureQuestions | None = None
        self._turn = asyncio.Lock()

    async def questions(self) -> PictureQuestions:
        """Return what asks a model about a picture."""
        async with self._turn:
            if self._questions is None:
                module = await asyncio.to_thread(import_module, "smallsight.services.picture_questions")
                if self._serving is None:
                    self._serving = await self._wire()
                self._questions = module.PictureQuestions(self._serving)
            return self._questions

    def names(self) -> list[str]:
        """Return the names of the installed models; blocks."""
        module = import_module("smallsight.inventory.served_models")
        return [one.name for one in module.ServedModels(self.live.current).list()]

    async def close(self) -> None:
        """Stop the questions, and unload the models if they are not a server's."""
        if self._questions is not None:
            self._questions.close()
        if self._is_own and self._serving is not None:
            await self._serving.close()

    async def _wire(self) -> Serving:
        module = import_module("smallsight.services.serving")
        report = import_module("smallsight.media.sandbox_report")
        missing: tuple[str, ...] = await asyncio.to_thread(
            report.missing_restrictions, self.live.current().limits
        )
        serving: Serving = module.Serving(self.live, missing_restrictions=missing)
        return serving
