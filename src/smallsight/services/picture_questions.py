"""Questions about one picture, with a model that is borrowed from the owner of all loaded models."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from smallsight.inventory.served_models import ServedModel
from smallsight.model.model import Model
from smallsight.model.picture_argument import NamedBytes, NamedImage
from smallsight.model.reply import Reply
from smallsight.services.describing import describing_model
from smallsight.services.exchange import Exchange
from smallsight.services.serving import Serving

_NUM_THREADS = 2
_MAX_TOKENS = 256


class PictureQuestions:
    """Asks models about pictures; prompts are made in threads. Close it at the end."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._threads = ThreadPoolExecutor(_NUM_THREADS, "smallsight-questions")

    async def begin(
        self,
        picture: NamedBytes,
        question: str | None,
        client: str,
        until: AsyncExitStack,
        *,
        model: str | None = None,
    ) -> Exchange:
        """Ask about a picture, or without a question for its description; closing ``until`` stops the answer.

        ``model`` is by default the active one, or that of descriptions. Raises subclasses of SmallsightError.
        """
        began_s = time.perf_counter()
        serving = self._serving
        settings = serving.live.current()
        name = model or settings.active_model or describing_model(settings)
        served = await self._run(partial(serving.models.find, name))
        image = await serving.pictures.open(picture)
        if served.remote is not None:
            lent: Model = serving.remotes.model(served.name, served.remote)
        else:
            lent = await until.enter_async_context(serving.pool.lend(served))
        reply = await self._start(lent, image, question, served, client)
        until.callback(reply.cancel)
        return Exchange([reply], served.name, began_s)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _start(
        self, model: Model, image: NamedImage, question: str | None, served: ServedModel, client: str
    ) -> Reply:
        """Start a reply in a thread; if cancelled meanwhile, cancel the reply as soon as it has started."""
        max_tokens = served.max_tokens or _MAX_TOKENS  # a page shows no endless answer
        options: dict[str, Any] = (
            {} if model.tasks else {"temperature": served.temperature}
        )  # beam search ignores it
        starting = partial(model.start, image, question, max_tokens=max_tokens, client=client, **options)
        future = asyncio.get_running_loop().run_in_executor(self._threads, starting)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(_cancel)
            raise

    async def _run(self, work: partial[ServedModel]) -> ServedModel:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _cancel(future: asyncio.Future[Reply]) -> None:
    if not future.cancelled() and future.exception() is None:
        future.result().cancel()
