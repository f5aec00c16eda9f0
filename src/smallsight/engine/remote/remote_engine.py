"""Runs nothing itself: asks a model on another server that speaks OpenAI's chat completions.

Seen from outside it is an engine like any other. A thread of its own hears each answer.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import structlog

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.engine import Engine, EngineDefaults
from smallsight.engine.generation import Generation
from smallsight.engine.remote.circuit import Circuit, CircuitState
from smallsight.engine.remote.events import Told, error_text, text_of_object, texts_of_events
from smallsight.engine.remote.generation import RemoteGeneration
from smallsight.engine.remote.request import remote_body
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import BadRequestError, ModelClosedError, RemoteModelError, SmallsightError
from smallsight.families.family import Capabilities, Prompts
from smallsight.families.frame_sampling import FewFrames, FrameSampling
from smallsight.families.messages import Detail, Message
from smallsight.remote_settings import RemoteSettings
from smallsight.version import __version__

log = structlog.get_logger(__name__)

_MAX_AT_ONCE = 32
_FRAME_SIDE_PX = 768
_FIRST_DELAY_S, _MAX_DELAY_S = 0.2, 5.0
_REFUSED = frozenset((400, 413, 415, 422))  # the question is wrong, the server is well
_FAILED_INSIDE = 500  # llama-server says it to pictures that its model cannot see: it is well
_MAX_ERROR_BYTES = 64 * 1024

OpenFallback = Callable[[], Engine]


class RemoteEngine(EngineDefaults):
    """One model elsewhere. Thread-safe. With ``open_fallback`` another engine answers when it does not."""

    capabilities = Capabilities(supports_chat=True)
    prompts = Prompts("Can you describe this image?", "These are frames of a video. Can you describe it?")
    frame_sampling: FrameSampling = FewFrames(max_side_px=_FRAME_SIDE_PX)
    weights_bytes = 0
    is_batch_independent = True  # of this machine, which computes nothing

    def __init__(
        self,
        name: str,
        settings: RemoteSettings,
        *,
        open_fallback: OpenFallback | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.circuit = Circuit(max_failures=settings.max_failures, rest_s=settings.rest_s, clock=clock)
        self.features = FeatureCache(0)
        self.num_answers = 0
        self.num_failures = 0
        self._name = name
        self._open_fallback = open_fallback
        self._fallback: Engine | None = None
        self._turn = threading.Lock()
        self._tls = httpx2.create_ssl_context()
        self._threads = ThreadPoolExecutor(_MAX_AT_ONCE, "smallsight-remote")
        self._in_progress: set[RemoteGeneration] = set()

    @property
    def key(self) -> str:
        """Names what answers: the server and its name for the model."""
        return f"{self.settings.base_url} {self.settings.model or self._name}"

    @property
    def state(self) -> CircuitState:
        """Whether the other server is asked at the moment."""
        return self.circuit.state

    def start(
        self,
        messages: Sequence[Message],
        detail: Detail,
        options: SamplingOptions,
        *,
        ignores_end: bool,  # noqa: ARG002 - for measuring engines of this machine
        client: str = "",
    ) -> Generation:
        """Ask in another thread; raises ArgumentError for what cannot be asked of another server."""
        body = remote_body(messages, detail, options, self.settings.model or self._name)
        generation = RemoteGeneration()

        def fall_back() -> Generation | None:
            engine = self._fallback_engine()
            if engine is None:
                return None
            return engine.start(messages, detail, options, ignores_end=False, client=client)

        self._in_progress.add(generation)
        try:
            self._threads.submit(self._answer, generation, body, fall_back)
        except RuntimeError as error:
            raise ModelClosedError(f"{self._name} has been closed.", hint="load it again.") from error
        return generation

    def token_bytes(self, token_id: int) -> bytes:  # noqa: ARG002 - tokens stay on the other server
        """Return nothing: tokens of another server are not known here."""
        return b""

    def close(self) -> None:
        """Give up every request, and close the fallback."""
        for generation in list(self._in_progress):
            generation.cancel()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for generation in list(self._in_progress):  # whose turn never came
            generation.finish(generation.outcome(Told(), "cancelled"))
        if self._fallback is not None:
            self._fallback.close()

    def _answer(
        self,
        generation: RemoteGeneration,
        body: Mapping[str, Any],
        fall_back: Callable[[], Generation | None],
    ) -> None:
        """Answer one request; the boundary behind which no error of one may end a thread unheard."""
        try:
            try:
                self._ask_repeatedly(generation, body)
            except RemoteModelError as error:
                if (
                    generation.has_begun
                    or generation.is_cancelled
                    or not generation.follow(fall_back(), self.settings.fallback)
                ):
                    raise
                log.warning("remote_fell_back", model=self._name, why=error.message)
        except SmallsightError as error:
            if generation.is_cancelled:
                generation.finish(generation.outcome(Told(), "cancelled"))
            else:
                generation.fail(error)
        except Exception as error:
            log.exception("remote_request_failed", model=self._name)
            generation.fail(RemoteModelError(f"Asking {self._name} failed: {type(error).__name__}."))
        finally:
            self._in_progress.discard(generation)

    def _ask_repeatedly(self, generation: RemoteGeneration, body: Mapping[str, Any]) -> None:
        """Ask until it answers, it is enough, or somebody has heard the beginning of an answer."""
        for attempt in range(self.settings.retries + 1):
            if not self.circuit.enter():
                raise RemoteModelError(
                    f"{self._name!r} is not responding; paused after repeated failures.",
                    hint=f"it is asked again within {self.settings.rest_s:g} s.",
                )
            try:
                self._ask_once(generation, body)
            except BadRequestError:
                self.circuit.succeed()
                raise
            except _AnswerRetryError as error:
                self._note_failure(generation, error)
                is_last = attempt == self.settings.retries or self.state is not CircuitState.CLOSED
                if is_last or not generation.can_wait(error.delay_s(attempt)):
                    raise
            except RemoteModelError as error:
                self._note_failure(generation, error)
                raise
            except BaseException:
                self.circuit.leave()
                raise
            else:
                return

    def _note_failure(self, generation: RemoteGeneration, error: RemoteModelError) -> None:
        if generation.is_cancelled:
            self.circuit.leave()
            return
        with self._turn:
            self.num_failures += 1
        if not isinstance(error, _AnswerRetryError) or error.is_about_server:
            self.circuit.fail()
        else:
            self.circuit.leave()
        log.warning("remote_failed", model=self._name, why=error.message, circuit=self.state.value)

    def _ask_once(self, generation: RemoteGeneration, body: Mapping[str, Any]) -> None:
        settings = self.settings
        timeout = httpx2.Timeout(settings.timeout_s, connect=settings.connect_timeout_s)
        try:
            # A connection for each request, so that giving one up can close it.
            with (
                httpx2.Client(
                    verify=self._tls, trust_env=False, follow_redirects=False, timeout=timeout
                ) as http,
                http.stream(
                    "POST",
                    f"{settings.base_url}/chat/completions",
                    json=body,
                    headers=self._headers(),
                    extensions={"trace": generation.trace},
                ) as response,
            ):
                self._hear(generation, response)
        except httpx2.HTTPError as error:
            how = f"The server of {self._name} cannot be reached: {type(error).__name__}."
            if generation.has_begun:
                raise RemoteModelError(how, hint="ask again.") from error
            raise _AnswerRetryError(how, hint="is it running, and is its base_url right?") from error

    def _headers(self) -> dict[str, str]:
        headers = {"user-agent": f"smallsight/{__version__}", "accept": "text/event-stream, application/json"}
        variable = self.settings.api_key_env
        if variable is not None:
            key = os.environ.get(variable)
            if not key:
                raise RemoteModelError(
                    f"The key of {self._name} is missing.", hint=f"set the environment variable {variable}."
                )
            headers["authorization"] = f"Bearer {key}"
        return headers

    def _hear(self, generation: RemoteGeneration, response: httpx2.Response) -> None:
        if response.status_code != 200:
            raise self._error_of(response)
        told = Told()
        is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
        chunks = response.iter_bytes()
        texts = texts_of_events(chunks, told) if is_stream else text_of_object(b"".join(chunks), told)
        for text in texts:
            if not generation.has_begun:
                self.circuit.succeed()
            generation.add(text)
            if generation.is_cancelled:
                break
        self.circuit.succeed()
        with self._turn:
            self.num_answers += 1
        generation.finish(generation.outcome(told, "cancelled" if generation.is_cancelled else None))

    def _error_of(self, response: httpx2.Response) -> SmallsightError:
        told = error_text(_read_json(response.iter_bytes()))
        status = response.status_code
        if status in _REFUSED:
            return BadRequestError(f"The server of {self._name} refuses the question: {told}.")
        message = f"The server of {self._name} answers with status {status}: {told}."
        if status >= 500 or status in (408, 409, 425, 429):
            return _AnswerRetryError(
                message,
                hint="ask again.",
                asked_s=response.headers.get("retry-after"),
                is_about_server=status != _FAILED_INSIDE,
            )
        return RemoteModelError(message, hint="check its base_url, model and key.")

    def _fallback_engine(self) -> Engine | None:
        """Return the engine that answers instead, loading it the first time; None where there is none."""
        if self._open_fallback is None:
            return None
        with self._turn:
            if self._fallback is None:
                self._fallback = self._open_fallback()
            return self._fallback


class _AnswerRetryError(RemoteModelError):
    """It may go well in a moment. Never leaves this file but as what it is, a RemoteModelError."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        asked_s: str | None = None,
        is_about_server: bool = True,
    ) -> None:
        super().__init__(message, hint=hint)
        self.is_about_server = is_about_server
        self._asked_s = float(asked_s) if asked_s is not None and asked_s.isdecimal() else 0.0

    def delay_s(self, attempt: int) -> float:
        """Return how long to wait: what the server asks for, or longer each time, and never in step."""
        delay_s = _FIRST_DELAY_S * float(2**attempt) * random.uniform(0.5, 1.5)
        return min(max(delay_s, self._asked_s), _MAX_DELAY_S)


def _read_json(chunks: Iterator[bytes]) -> object:
    data = b""
    for chunk in chunks:
        data += chunk
        if len(data) > _MAX_ERROR_BYTES:
            return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
