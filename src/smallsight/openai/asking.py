"""From what a client asks to replies under way, and everything given back at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from smallsight.errors import ModelError, RemoteModelError
from smallsight.http.admission import Admission
from smallsight.http.waiting_line import WaitingLine
from smallsight.inventory.served_models import ServedModel
from smallsight.model.model import Model
from smallsight.model.picture_argument import NamedBytes
from smallsight.model.reply import FinishedReply, Reply, spaced_words
from smallsight.openai.exchange import Exchange
from smallsight.openai.picture_links import Opened, PictureLinks
from smallsight.openai.question import Asked, Link, PictureLink, Turn, VideoLink
from smallsight.openai.same_question import question_digest
from smallsight.services.serving import Serving

log = structlog.get_logger(__name__)

_NUM_THREADS = 2


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A question that a model is answering; ``began_s`` is when it was asked, by ``time.perf_counter``.

    ``is_remembered``: no model is, the answer was known.
    """

    exchange: Exchange
    model: str
    began_s: float
    is_remembered: bool = False


class Asking:
    """Begins answers. Prompts are made in threads: cutting pictures into tiles takes its time."""

    def __init__(self, serving: Serving, admission: Admission, pictures: PictureLinks) -> None:
        self._serving = serving
        self._admission = admission
        self._pictures = pictures
        self._answering = WaitingLine(serving.settings.server.max_answering)
        self._threads = ThreadPoolExecutor(_NUM_THREADS, "smallsight-prompts")
        # Decoded pictures are large. They are in memory only while a prompt is made, of few requests at once.
        self._preparing = WaitingLine(_NUM_THREADS)
        # A video takes seconds: one at a time, and pictures do not wait for it.
        self._watching = WaitingLine(1)

    async def begin(self, asked: Asked, client: str, until: AsyncExitStack) -> UnderWay:
        """Begin an answer in the client's turn; closing ``until`` gives up what has not ended and more.

        Raises subclasses of SmallsightError.
        """
        began_s = time.perf_counter()
        until.enter_context(self._admission.place(client))
        served = await self._find(asked.model)
        files = await self._pictures.gather(asked.links)
        results = self._serving.results
        digest = question_digest(asked, served, files) if results.max_bytes else None
        if digest is not None and (known := results.find(digest)) is not None:
            finished = [FinishedReply(answer, spaced_words(answer.text)) for answer in known]
            return UnderWay(Exchange(finished), served.name, began_s, is_remembered=True)
        await until.enter_async_context(self._answering.place(client))
        if served.remote is not None:
            try:
                exchange = await self._ask_remote(asked, served, client, files, until)
                return UnderWay(exchange, served.name, began_s)
            except RemoteModelError as error:
                served = await self._fallback_of(served, error)
        model = await until.enter_async_context(self._serving.pool.lend(served))
        replies = await self._start_all(model, asked, served, client, files, until)
        on_answers = None if digest is None else partial(results.remember, digest)
        return UnderWay(Exchange(replies, on_answers), served.name, began_s)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _find(self, name: str | None, *, here: bool = False) -> ServedModel:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(self._serving.models.find, name, here=here))

    async def _fallback_of(self, served: ServedModel, error: RemoteModelError) -> ServedModel:
        """Return the model that answers instead; raises the error where there is none."""
        fallback = None if served.remote is None else served.remote.fallback
        if fallback is None:
            raise error
        try:
            found = await self._find(fallback, here=True)
        except ModelError as missing:
            log.error("fallback_cannot_be_used", model=served.name, fallback=fallback, why=str(missing))
            raise error from missing
        self._serving.remotes.note_fallback(served.name)
        return found

    async def _ask_remote(
        self,
        asked: Asked,
        served: ServedModel,
        client: str,
        files: Mapping[str, NamedBytes],
        until: AsyncExitStack,
    ) -> Exchange:
        """Ask another server and wait for its first word; raises RemoteModelError when there is none."""
        assert served.remote is not None  # noqa: S101 - for the type checker: the caller has looked
        model = self._serving.remotes.model(served.name, served.remote)
        exchange = Exchange(await self._start_all(model, asked, served, client, files, until))
        await exchange.begun()
        return exchange

    async def _start_all(
        self,
        model: Model,
        asked: Asked,
        served: ServedModel,
        client: str,
        files: Mapping[str, NamedBytes],
        until: AsyncExitStack,
    ) -> list[Reply]:
        """Make the prompt and start a reply for each choice."""
        replies: list[Reply] = []
        until.callback(_cancel_all, replies)
        has_video = any(isinstance(link, VideoLink) for link in asked.links)
        async with (self._watching if has_video else self._preparing).place(client):
            opened = await self._pictures.open(files, asked.links, model, asked.detail)
            question = _question(asked.turns, opened, supports_chat=model.supports_chat)
            for index in range(asked.num_choices):
                options = _options(asked, served, index, searches=bool(model.tasks)) | {"client": client}
                replies.append(await self._start(model, question, options))
        return replies

    async def _start(self, model: Model, question: list[dict[str, Any]], options: dict[str, Any]) -> Reply:
        """Start a reply in a thread; one whose client leaves meanwhile is given up as soon as it is there."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._threads, lambda: model.start([], question, **options))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(_cancel_reply)
            raise


def _cancel_all(replies: list[Reply]) -> None:
    for reply in replies:
        reply.cancel()


def _cancel_reply(future: asyncio.Future[Reply]) -> None:
    if not future.cancelled() and future.exception() is None:
        future.result().cancel()


def _question(
    turns: tuple[Turn, ...], opened: Mapping[Link, Opened], *, supports_chat: bool
) -> list[dict[str, Any]]:
    """Return the conversation for a model; one that is no chat model hears the last question only."""
    if not supports_chat:
        turns = _last_question(turns)
    return [{"role": turn.role, "content": [_content(part, opened) for part in turn.parts]} for turn in turns]


def _last_question(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Return the newest message with pictures, with the words of the newest message of the user."""
    asked = [turn for turn in turns if turn.role == "user"]
    shown = [turn for turn in asked if not all(isinstance(part, str) for part in turn.parts)]
    if not asked:
        return turns
    links = tuple(part for part in shown[-1].parts if not isinstance(part, str)) if shown else ()
    return (Turn("user", (*links, *(part for part in asked[-1].parts if isinstance(part, str)))),)


def _content(part: str | Link, opened: Mapping[Link, Opened]) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    kind = "image" if isinstance(part, PictureLink) else "video"
    return {"type": kind, kind: opened[part]}


def _options(asked: Asked, served: ServedModel, index: int, *, searches: bool) -> dict[str, Any]:
    """Return how one choice is sampled; choices of one seed differ in a known way."""
    options: dict[str, Any] = {"max_tokens": asked.max_tokens or served.max_tokens, "detail": asked.detail}
    sampling = dict(asked.sampling)
    if searches:  # it looks for the likeliest text, which is documented; what it refuses it is told
        refused = ("stop", "num_logprobs", "json_schema")
        return options | {name: sampling[name] for name in refused if name in sampling}
    options["temperature"] = served.temperature if asked.temperature is None else asked.temperature
    if "seed" in sampling:
        sampling["seed"] = (sampling["seed"] + index) % 2**63
    return options | sampling
