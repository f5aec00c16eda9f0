"""A vision-language model behind any engine: pictures, videos and questions in, answers out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from smallsight.engine.decoding.place_detector import PlaceKind
from smallsight.engine.engine import Engine, EngineOptions
from smallsight.engine.loading import OPENVINO, load_engine, schemes_of
from smallsight.errors import ArgumentError, ModelClosedError, SmallsightError
from smallsight.families.frame_sampling import FrameSampling
from smallsight.families.messages import Message, TiledPicture
from smallsight.families.tool_text import offered_names, without_tools
from smallsight.model.answer import Answer, MemoryReport, TileCounts
from smallsight.model.conversation import messages_of
from smallsight.model.description_prompt import DescriptionPrompts, default_prompts, description_prompt
from smallsight.model.detecting import start_detecting
from smallsight.model.engine_reply import EngineReply
from smallsight.model.first_answer import require_sense
from smallsight.model.model import DEFAULT_MAX_TOKENS, MAX_PLACES, BatchSize, Pictures, Question
from smallsight.model.picture_argument import (
    NamedVideo,
    PictureArgument,
    PictureOpener,
    RecalledPicture,
    list_pictures,
    refuse_one_picture,
)
from smallsight.model.reply import Reply, without_leading_space
from smallsight.model.request_options import parse_batch_size, parse_detail, parse_options
from smallsight.model.scoring import GivenAnswer, Scores, parse_answer
from smallsight.model.shown_parts import PartOpener
from smallsight.policy.progress import OnProgress
from smallsight.quant.scheme import parse_scheme
from smallsight.settings import Limits
from smallsight.version import __version__

__all__ = ["VisionLanguageModel"]

AUTO_BATCH = 15  # plus one that is prepared meanwhile: as many as the engine runs at once


class VisionLanguageModel:
    """Implements ``model.Model``. Thread-safe: requests from several threads run together."""

    def __init__(self, engine: Engine, *, name: str, precision: str, limits: Limits) -> None:
        self._engine: Engine | None = engine
        self._limits = limits
        self.name = name
        self.precision = precision
        self.key = f"{name} {precision} {engine.key} {__version__}"
        self.supports_chat = engine.capabilities.supports_chat
        self.knows_tools = engine.capabilities.knows_tools
        self.tasks = engine.capabilities.tasks
        self.is_batch_independent = engine.is_batch_independent

    def __repr__(self) -> str:
        state = ", closed" if self._engine is None else ""
        return f"<smallsight model {self.name!r}, {self.precision}{state}>"

    @classmethod
    def load(
        cls,
        model_dir: Path,
        *,
        family: str,
        name: str,
        precision: str,
        threads: int = 0,
        prepared_dir: Path | None = None,
        limits: Limits | None = None,
        options: EngineOptions | None = None,
        engine: str = OPENVINO,
        device: str = "auto",
        on_progress: OnProgress | None = None,
        compile: bool = False,  # noqa: A002 - the word of torch
    ) -> VisionLanguageModel:
        """Load a folder in Hugging Face layout; precision is "fp32", "bf16", "int8", "int4" or a scheme.

        0 threads means one per physical core. In ``prepared_dir`` the quantised weights are stored, and the
        next load takes about a second. Raises SmallsightError.
        """
        loaded = load_engine(
            family,
            model_dir,
            parse_scheme(precision, schemes_of(engine)),
            engine=engine,
            device=device,
            threads=threads,
            prepared_dir=prepared_dir,
            options=options,
            on_progress=on_progress,
            compile=compile,
        )
        model = cls(loaded, name=name, precision=precision, limits=limits or Limits())
        require_sense(model, loaded.devices)
        return model

    @property
    def memory(self) -> MemoryReport:
        """Bytes of the stored weights, and resident memory of the whole process."""
        engine = self._running()
        return MemoryReport(engine.weights_bytes, psutil.Process().memory_info().rss, engine.parts)

    @property
    def tile_counts(self) -> TileCounts:
        """The numbers of tiles encoded and found in the cache since loading."""
        return self._running().features.tile_counts

    def describe(
        self,
        picture: PictureArgument,
        *,
        prompt: str | None = None,
        length: str | None = None,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        detail: str = "auto",
        **sampling: Any,  # noqa: ANN401 - the options differ in type
    ) -> Answer:
        """Describe a picture, by default with the family's prompt, which may exist in several lengths."""
        description = self._description(prompt, length)
        with self._opener(detail) as opener:
            started = self._start(opener, [picture], description, max_tokens, detail, sampling)
        return started.answer()

    def ask(
        self,
        pictures: Pictures,
        question: Question,
        *,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        detail: str = "auto",
        **sampling: Any,  # noqa: ANN401
    ) -> Answer:
        """Answer a question about one or more pictures."""
        with self._opener(detail) as opener:
            started = self._start(opener, list_pictures(pictures), question, max_tokens, detail, sampling)
        return started.answer()

    def stream(
        self,
        pictures: Pictures,
        question: Question | None = None,
        *,
        length: str | None = None,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        detail: str = "auto",
        **sampling: Any,  # noqa: ANN401
    ) -> Iterator[str]:
        """Yield the text of an answer as it arrives; closing the iterator stops the work within a step."""
        description = self._description(question, length)
        with self._opener(detail) as opener:
            started = self._start(opener, list_pictures(pictures), description, max_tokens, detail, sampling)
        yield from without_leading_space(started.generation.pieces())

    def start(
        self,
        pictures: Pictures,
        question: Question | None = None,
        *,
        length: str | None = None,
        max_tokens: int | None = DEFAULT_MAX_TOKENS,
        detail: str = "auto",
        **sampling: Any,  # noqa: ANN401
    ) -> Reply:
        """Start a request and return at once; pictures are opened in the calling thread."""
        description = self._description(question, length)
        with self._opener(detail) as opener:
            return self._start(opener, list_pictures(pictures), description, max_tokens, detail, sampling)

    def describe_many(
        self,
        pictures: Iterable[PictureArgument],
        *,
        batch_size: BatchSize = "auto",
        prompt: str | None = None,
        length: str | None = None,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        detail: str = "auto",
        **sampling: Any,  # noqa: ANN401
    ) -> Iterator[Answer | SmallsightError]:
        """Yield a description or an error for each picture in order; closing the iterator stops the work.

        Raises ArgumentError at once for a single picture.
        """
        refuse_one_picture(pictures)
        return self._describe_each(pictures, batch_size, prompt, length, max_tokens, detail, sampling)

    def _describe_each(
        self,
        pictures: Iterable[PictureArgument],
        batch_size: BatchSize,
        prompt: str | None,
        length: str | None,
        max_tokens: int,
        detail: str,
        sampling: Mapping[str, Any],
    ) -> Generator[Answer | SmallsightError, None, None]:
        engine = self._running()
        most = min(AUTO_BATCH, engine.max_at_once or AUTO_BATCH) * engine.num_workers
        at_once = parse_batch_size(batch_size, most)
        description = self._description(prompt, length)
        waiting: deque[EngineReply | SmallsightError] = deque()
        with self._opener() as opener:
            try:
                for picture in pictures:
                    waiting.append(
                        self._try_start(opener, picture, description, max_tokens, detail, sampling)
                    )
                    # One more than can run, so that the next picture is ready when another is finished.
                    if len(waiting) > at_once:
                        yield _answer_or_error(waiting.popleft())
                while waiting:
                    yield _answer_or_error(waiting.popleft())
            finally:
                for started in waiting:
                    if isinstance(started, EngineReply):
                        started.generation.cancel()

    def detect(
        self, picture: PictureArgument, what: str, *, max_places: int = MAX_PLACES, detail: str = "auto"
    ) -> Answer:
        """Detect the things named ``what``; ``answer.data["bboxes"]`` are pixels [left, top, right, bottom].

        Raises ArgumentError if the family does not support detection by name.
        """
        return self._detect("detect", picture, what, max_places, detail)

    def point(
        self, picture: PictureArgument, what: str, *, max_places: int = MAX_PLACES, detail: str = "auto"
    ) -> Answer:
        """Point at the things named ``what``; ``answer.data["points"]`` are [x, y] in pixels."""
        return self._detect("point", picture, what, max_places, detail)

    def score(
        self, pictures: Pictures, question: Question | None, answer: GivenAnswer, *, detail: str = "auto"
    ) -> Scores:
        """Return how likely each token of a given answer is, and every other token in its place."""
        engine = self._running()
        given, description = parse_answer(answer), self._description(question, None)
        with self._opener(detail) as opener:
            messages = _messages(opener, list_pictures(pictures), description)
        generation = engine.score(messages, parse_detail(detail), given)
        try:
            scores = generation.result().scores
        finally:
            generation.cancel()
        if scores is None:
            raise SmallsightError(f"{self.name} ended before the answer was scored.", hint="try again.")
        return scores

    def count_tokens(
        self, pictures: Pictures, question: Question, *, detail: str = "auto", tools: str | None = None
    ) -> int:
        """Return how many tokens the prompt of ``ask`` has, image tokens and tools that it reads included."""
        engine = self._running()
        with self._opener(detail) as opener:
            messages = _messages(opener, list_pictures(pictures), question)
        if not engine.capabilities.knows_tools:
            messages, tools = without_tools(messages), None
        return engine.count_tokens(messages, parse_detail(detail), tools)

    def recall(self, name: str | None, digest: bytes, detail: str = "auto") -> RecalledPicture | None:
        """Return a cached picture that can be passed in place of its file, or None."""
        engine = self._running()
        known = engine.recall(digest, parse_detail(detail))
        return None if known is None else RecalledPicture(name, known)

    @property
    def frame_sampling(self) -> FrameSampling:
        """Which frames of a video the model gets: only the middle one unless its family defines others."""
        return self._running().frame_sampling

    def frames_of(self, video: PictureArgument) -> NamedVideo:
        """Sample a video's frames for this model; the result can be passed in place of the file."""
        with self._opener() as opener:
            return opener.video(video)

    def close(self) -> None:
        """End every request and free the memory; later calls raise ModelClosedError."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _description(self, prompt: Question | None, length: str | None) -> Question | DescriptionPrompts:
        engine = self._running()
        chosen = description_prompt(engine, self.name, prompt, length)
        return default_prompts(engine, prompt, length) or chosen

    def _opener(self, detail: str | None = None) -> PartOpener:
        """Return an opener; with a detail, it uses the engine's cache of tiled pictures."""
        engine = self._running()
        recall: Callable[[bytes], TiledPicture | None] | None = None
        if detail is not None and engine.capabilities.recalls_pictures:
            chosen = parse_detail(detail)

            def recall(digest: bytes) -> TiledPicture | None:
                return engine.recall(digest, chosen)

        return PartOpener(self._limits, self.frame_sampling, recall)

    def _running(self) -> Engine:
        if self._engine is None:
            raise ModelClosedError(f"{self.name} has been closed.", hint="load it again.")
        return self._engine

    def _detect(
        self, kind: PlaceKind, picture: PictureArgument, what: str, max_places: int, detail: str
    ) -> Answer:
        engine = self._running()
        began_s = time.perf_counter()
        with PictureOpener(self._limits) as opener:
            image = opener.open(picture)
        generation = start_detecting(engine, self.name, kind, image, what, max_places, parse_detail(detail))
        prepared_s = time.perf_counter() - began_s
        return EngineReply(generation, prepared_s, self.name, engine, wants_logprobs=False).answer()

    def _try_start(
        self,
        opener: PartOpener,
        picture: PictureArgument,
        prompt: Question | DescriptionPrompts,
        max_tokens: int,
        detail: str,
        sampling: Mapping[str, Any],
    ) -> EngineReply | SmallsightError:
        try:
            return self._start(opener, [picture], prompt, max_tokens, detail, sampling)
        except SmallsightError as error:
            return error

    def _start(
        self,
        opener: PartOpener,
        pictures: Sequence[PictureArgument],
        question: Question | DescriptionPrompts,
        max_tokens: int | None,
        detail: str,
        sampling: Mapping[str, Any],
    ) -> EngineReply:
        """Open the pictures, make the prompt and submit it to the engine."""
        engine = self._running()
        began_s = time.perf_counter()
        given = dict(sampling)
        client = str(given.pop("client", ""))
        options, ignores_end = parse_options(max_tokens, given)
        if options.num_beams not in (None, 1) and not engine.capabilities.searches_with_beams:
            raise ArgumentError(f"{self.name} does not support beam search.", hint="omit num_beams.")
        messages = _messages(opener, pictures, question)
        if not engine.capabilities.knows_tools:
            messages = without_tools(messages)
            options = replace(options, tools=None) if options.tools else options
        chosen_detail = parse_detail(detail)
        generation = engine.start(messages, chosen_detail, options, ignores_end=ignores_end, client=client)
        prepared_s = time.perf_counter() - began_s
        call_names = offered_names(options.tools) if options.json_schema is None else ()
        return EngineReply(
            generation,
            prepared_s,
            self.name,
            engine,
            wants_logprobs=options.num_logprobs is not None,
            call_names=call_names,
        )


def _messages(
    opener: PartOpener, pictures: Sequence[PictureArgument], question: Question | DescriptionPrompts
) -> list[Message]:
    """Open the pictures and make the conversation."""
    if isinstance(question, DescriptionPrompts):
        return question.applied_to(messages_of(pictures, question.picture, opener.open))
    return messages_of(pictures, question, opener.open)


def _answer_or_error(started: EngineReply | SmallsightError) -> Answer | SmallsightError:
    if isinstance(started, SmallsightError):
        return started
    try:
        return started.answer()
    except SmallsightError as error:
        return error
