"""Turns a question into an exchange in progress, and releases everything at its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from smallsight.answering.picture_links import Opened, PictureLinks
from smallsight.answering.question import (
    Link,
    PictureLink,
    Question,
    ToolCall,
    ToolResult,
    Turn,
    VideoLink,
)
from smallsight.answering.same_question import question_digest
from smallsight.answering.tool_calls import tools_text
from smallsight.engine.decoding.schema_trial import require_usable_schema
from smallsight.errors import ModelError, RemoteModelError
from smallsight.http.admission import Admission
from smallsight.http.waiting_line import WaitingLine
from smallsight.inventory.served_models import ServedModel
from smallsight.model.model import Model
from smallsight.model.picture_argument import NamedBytes
from smallsight.model.reply import FinishedReply, Reply, spaced_words
from smallsight.policy.log import get_logger
from smallsight.services.exchange import Exchange
from smallsight.services.serving import Serving

log = get_logger(__name__)

_NUM_THREADS = 2


class Asking:
    """Starts exchanges. Prompts are made in threads, because cutting pictures into tiles takes long."""

    def __init__(self, serving: Serving, admission: Admission, pictures: PictureLinks) -> None:
        self._serving = serving
        self._admission = admission
        self._pictures = pictures
        self._answering = WaitingLine(serving.settings.server.max_answering)
        self._threads = ThreadPoolExecutor(_NUM_THREADS, "smallsight-prompts")
        # Decoded pictures are large, so only a few requests at once have theirs in memory, to make prompts.
        self._preparing = WaitingLine(_NUM_THREADS)
        # A video takes seconds: only one at a time, and pictures do not wait for it.
        self._watching = WaitingLine(1)
        # A schema may take seconds to be refused, so schemas wait for each other and nothing else for them.
        self._trying_schemas = WaitingLine(1)

    async def begin(self, question: Question, client: str, until: AsyncExitStack) -> Exchange:
        """Start an exchange when it is the client's turn; closing ``until`` stops it and releases its slots.

        Raises subclasses of SmallsightError.
        """
        began_s = time.perf_counter()
        until.enter_context(self._admission.slot(client))
        served = await self._find(question.model)
        files = await self._pictures.gather(question.links)
        results = self._serving.results
        digest = None
        if results.max_bytes:  # in a thread: hashing large files takes too long for the event loop
            digest = await asyncio.to_thread(question_digest, question, served, files)
        if digest is not None and (known := results.find(digest)) is not None:
            finished = [FinishedReply(answer, spaced_words(answer.text)) for answer in known]
            return Exchange(finished, served.name, began_s, is_remembered=True)
        await until.enter_async_context(self._answering.slot(client))
        if served.remote is not None:
            try:
                return await self._ask_remote(question, served, client, files, until, began_s)
            except RemoteModelError as error:
                served = await self._fallback_of(served, error)
        if (schema := question.sampling.get("json_schema")) is not None:
            async with self._trying_schemas.slot(client):
                await asyncio.to_thread(require_usable_schema, schema)
        model = await until.enter_async_context(self._serving.pool.lend(served))
        replies = await self._start_all(model, question, served, client, files, until)
        # If answers depend on their batch, the next one to this question may differ.
        on_answers = None
        if digest is not None and model.is_batch_independent:
            on_answers = partial(results.remember, digest)
        return Exchange(replies, served.name, began_s, on_answers=on_answers)

    async def count_tokens(self, question: Question, client: str) -> int:
        """Return how many tokens the prompt of a question has, pictures included, without answering it.

        Raises subclasses of SmallsightError, ArgumentError among them for models on other servers.
        """
        async with AsyncExitStack() as until:
            until.enter_context(self._admission.slot(client))
            served = await self._find(question.model)
            files = await self._pictures.gather(question.links)
            await until.enter_async_context(self._answering.slot(client))
            if served.remote is not None:
                model: Model = self._serving.remotes.model(served.name, served.remote)
            else:
                model = await until.enter_async_context(self._serving.pool.lend(served))
            async with self._preparing.slot(client):
                opened = await self._pictures.open(files, question.links, model, question.detail)
                turns = _conversation(question.turns, opened, supports_chat=model.supports_chat)
                tools = _tools_for(model, question)
                counting = partial(model.count_tokens, [], turns, detail=question.detail, tools=tools)
                return await asyncio.get_running_loop().run_in_executor(self._threads, counting)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _find(self, name: str | None, *, here: bool = False) -> ServedModel:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, partial(self._serving.models.find_asked, name, here=here)
        )

    async def _fallback_of(self, served: ServedModel, error: RemoteModelError) -> ServedModel:
        """Return the model that answers instead; raises ``error`` if there is none."""
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
        question: Question,
        served: ServedModel,
        client: str,
        files: Mapping[str, NamedBytes],
        until: AsyncExitStack,
        began_s: float,
    ) -> Exchange:
        """Ask another server and wait for its first piece; raises RemoteModelError when there is none."""
        assert served.remote is not None  # noqa: S101 - for the type checker: checked by the caller
        model = self._serving.remotes.model(served.name, served.remote)
        replies = await self._start_all(model, question, served, client, files, until)
        exchange = Exchange(replies, served.name, began_s)
        await exchange.wait_for_first()
        return exchange

    async def _start_all(
        self,
        model: Model,
        question: Question,
        served: ServedModel,
        client: str,
        files: Mapping[str, NamedBytes],
        until: AsyncExitStack,
    ) -> list[Reply]:
        """Make the prompt and start a reply for each choice."""
        replies: list[Reply] = []
        until.callback(_cancel_all, replies)
        has_video = any(isinstance(link, VideoLink) for link in question.links)
        async with (self._watching if has_video else self._preparing).slot(client):
            opened = await self._pictures.open(files, question.links, model, question.detail)
            if question.tools is not None and not question.tools.forced and not model.knows_tools:
                log.info("tools_answered_in_text", model=model.name, num_tools=len(question.tools.offered))
            turns = _conversation(question.turns, opened, supports_chat=model.supports_chat)
            for index in range(question.num_choices):
                options = _options(question, served, index, searches=bool(model.tasks)) | {"client": client}
                if (tools := _tools_for(model, question)) is not None:
                    options["tools"] = tools
                replies.append(await self._start(model, turns, options))
        return replies

    async def _start(self, model: Model, turns: list[dict[str, Any]], options: dict[str, Any]) -> Reply:
        """Start a reply in a thread; if cancelled meanwhile, cancel the reply as soon as it has started."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._threads, lambda: model.start([], turns, **options))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(_cancel_reply)
            raise


def _tools_for(model: Model, question: Question) -> str | None:
    """Return the tools that a model reads, None if there are none or it does not know tools."""
    return tools_text(question.tools) if question.tools is not None and model.knows_tools else None


def _cancel_all(replies: list[Reply]) -> None:
    for reply in replies:
        reply.cancel()


def _cancel_reply(future: asyncio.Future[Reply]) -> None:
    if not future.cancelled() and future.exception() is None:
        future.result().cancel()


def _conversation(
    turns: tuple[Turn, ...], opened: Mapping[Link, Opened], *, supports_chat: bool
) -> list[dict[str, Any]]:
    """Return the conversation for a model; one without chat support gets only the last question."""
    if not supports_chat:
        turns = _last_question(turns)
    names = {part.id: part.name for turn in turns for part in turn.parts if isinstance(part, ToolCall)}
    return [message for turn in turns for message in _messages(turn, opened, names)]


def _messages(
    turn: Turn, opened: Mapping[Link, Opened], names: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield a turn as messages: each result of a tool is one, with the tool's name by the id of its call."""
    rest = [part for part in turn.parts if not isinstance(part, ToolCall | ToolResult)]
    for part in turn.parts:
        if isinstance(part, ToolResult):
            content = [{"type": "text", "text": part.text}]
            name = names.get(part.call_id, part.call_id)
            yield {"role": "tool", "content": content, "call_id": part.call_id, "name": name}
    calls = [part for part in turn.parts if isinstance(part, ToolCall)]
    if rest or calls or not turn.parts:
        role = "user" if turn.role == "tool" else turn.role
        message = {"role": role, "content": [_content(part, opened) for part in rest]}
        yield message | {"tool_calls": calls} if calls else message


def _last_question(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Return one turn: the user's newest pictures with the text of the user's newest message."""
    of_user = [turn for turn in turns if turn.role == "user"]
    shown = [turn for turn in of_user if any(isinstance(part, Link) for part in turn.parts)]
    if not of_user:
        return turns
    links = tuple(part for part in shown[-1].parts if isinstance(part, Link)) if shown else ()
    return (Turn("user", (*links, *(part for part in of_user[-1].parts if isinstance(part, str)))),)


def _content(part: str | Link, opened: Mapping[Link, Opened]) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    kind = "image" if isinstance(part, PictureLink) else "video"
    return {"type": kind, kind: opened[part]}


def _options(question: Question, served: ServedModel, index: int, *, searches: bool) -> dict[str, Any]:
    """Return the options of one choice; choice ``index`` uses the seed plus its index."""
    # An answer under a schema that is cut is no JSON: only the client's limit or the context ends it.
    default = None if "json_schema" in question.sampling else served.max_tokens
    max_tokens = question.max_tokens or default
    options: dict[str, Any] = {"max_tokens": max_tokens, "detail": question.detail}
    sampling = dict(question.sampling)
    if searches:
        # Beam search ignores sampling options, as documented; it gets only those that it rejects.
        rejected = ("stop", "num_logprobs", "json_schema")
        return options | {name: sampling[name] for name in rejected if name in sampling}
    options["temperature"] = served.temperature if question.temperature is None else question.temperature
    if "seed" in sampling:
        sampling["seed"] = (sampling["seed"] + index) % 2**63
    return options | sampling
