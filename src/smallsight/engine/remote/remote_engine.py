"""The engine for a model on another server that offers OpenAI's chat completions.

Each answer is read in a separate thread.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx2

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.engine import Engine, EngineDefaults
from smallsight.engine.generation import Generation
from smallsight.engine.remote.circuit import Circuit, CircuitState
from smallsight.engine.remote.events import AnswerMetadata, error_text, text_of_object, texts_of_events
from smallsight.engine.remote.generation import RemoteGeneration
from smallsight.engine.remote.request import remote_body
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import (
    ArgumentError,
    BadRequestError,
    ModelClosedError,
    RemoteModelError,
    SmallsightError,
)
from smallsight.families.family import Capabilities, Prompts
from smallsight.families.frame_sampling import FewFrames, FrameSampling
from smallsight.families.messages import Detail, Message
from smallsight.families.tool_text import without_tools
from smallsight.policy.log import get_logger
from smallsight.remote_settings import RemoteSettings
from smallsight.version import __version__

log = get_logger(__name__)

_MAX_AT_ONCE = 32
_FRAME_SIDE_PX = 768
_FIRST_DELAY_S, _MAX_DELAY_S = 0.2, 5.0
_REFUSED = frozenset((400, 413, 415, 422))  # the request is invalid, the server is fine
_FAILED_INSIDE = 500  # llama-server sends this for pictures that its model does not support: it is fine
_MAX_ERROR_BYTES = 64 * 1024

OpenFallback = Callable[[], Engine]


class RemoteEngine(EngineDefaults):
    """A model on another server. Thread-safe. ``open_fallback`` loads an engine that answers if it fails."""

    capabilities = Capabilities(supports_chat=True, knows_tools=True)
    prompts = Prompts("Can you describe this image?", "These are frames of a video. Can you describe it?")
    frame_sampling: FrameSampling = FewFrames(max_side_px=_FRAME_SIDE_PX)
    weights_bytes = 0
    parts = ()
    is_batch_independent = True  # nothing is computed on this machine

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
        """The server's address and its name for the model."""
        return f"{self.settings.base_url} {self.settings.model or self._name}"

    @property
    def state(self) -> CircuitState:
        """The circuit breaker's state."""
        return self.circuit.state

    def start(
        self,
        messages: Sequence[Message],
        detail: Detail,
        options: SamplingOptions,
        *,
        ignores_end: bool,  # noqa: ARG002 - only for benchmarks of local engines
        client: str = "",
    ) -> Generation:
        """Send the request from another thread; raises ArgumentError for unsupported options."""
        body = remote_body(messages, detail, options, self.settings.model or self._name)
        generation = RemoteGeneration()

        def fall_back() -> Generation | None:
            engine = self._fallback_engine()
            if engine is None:
                return None
            here, chosen = messages, options
            if not engine.capabilities.knows_tools:
                here, chosen = without_tools(messages), replace(options, tools=None)
            return engine.start(here, detail, chosen, ignores_end=False, client=client)

        self._in_progress.add(generation)
        try:
            self._threads.submit(self._answer, generation, body, fall_back)
        except RuntimeError as error:
            raise ModelClosedError(f"{self._name} has been closed.", hint="load it again.") from error
        return generation

    def score(
        self, _messages: Sequence[Message], _detail: Detail, _answer: str | Sequence[int]
    ) -> Generation:
        """Raise ArgumentError: the protocol has no distributions over a whole vocabulary."""
        raise ArgumentError(
            f"{self._name} runs on another server and cannot score answers.",
            hint="load a model that runs on this machine.",
        )

    def count_tokens(self, _messages: Sequence[Message], _detail: Detail, _tools: str | None = None) -> int:
        """Raise ArgumentError: the protocol cannot count tokens without an answer."""
        raise ArgumentError(
            f"{self._name} runs on another server, which counts tokens only with an answer.",
            hint="choose a model that runs on this machine.",
        )

    def token_bytes(self, token_id: int) -> bytes:  # noqa: ARG002 - tokens stay on the other server
        """Return no bytes: another server's vocabulary is not known here."""
        return b""

    def close(self) -> None:
        """Cancel every request and close the fallback."""
        for generation in list(self._in_progress):
            generation.cancel()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for generation in list(self._in_progress):  # never started
            generation.finish(generation.outcome(AnswerMetadata(), "cancelled"))
        if self._fallback is not None:
            self._fallback.close()

    def _answer(
        self,
        generation: RemoteGeneration,
        body: Mapping[str, Any],
        fall_back: Callable[[], Generation | None],
    ) -> None:
        """Answer one request; every error becomes the request's error."""
        try:
            try:
                self._ask_with_retries(generation, body)
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
                generation.finish(generation.outcome(AnswerMetadata(), "cancelled"))
            else:
                generation.fail(error)
        except Exception as error:
            log.exception("remote_request_failed", model=self._name)
            generation.fail(RemoteModelError(f"Asking {self._name} failed: {type(error).__name__}."))
        finally:
            self._in_progress.discard(generation)

    def _ask_with_retries(self, generation: RemoteGeneration, body: Mapping[str, Any]) -> None:
        """Retry until the server answers, the retries are used up, or a part of an answer was delivered."""
        for attempt in range(self.settings.retries + 1):
            if not self.circuit.enter():
                raise RemoteModelError(
                    f"{self._name!r} is not responding; paused after repeated failures.",
                    hint=f"it is tried again within {self.settings.rest_s:g} s.",
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
            # One connection per request, so that cancelling can close it.
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
                self._read_answer(generation, response)
        except httpx2.HTTPError as error:
            how = f"The server of {self._name} cannot be reached: {type(error).__name__}."
            if generation.has_begun:
                raise RemoteModelError(how, hint="ask again.") from error
            raise _AnswerRetryError(how, hint="check that it runs and that its base_url is right.") from error

    def _headers(self) -> dict[str, str]:
        headers = {"user-agent": f"smallsight/{__version__}", "accept": "text/event-stream, application/json"}
        source = self.settings.key_source
        if source is not None:
            key = self.settings.api_key()
            if not key:
                raise RemoteModelError(f"The API key of {self._name} is missing.", hint=f"set {source}.")
            headers["authorization"] = f"Bearer {key}"
        return headers

    def _read_answer(self, generation: RemoteGeneration, response: httpx2.Response) -> None:
        if response.status_code != 200:
            raise self._error_of(response)
        metadata = AnswerMetadata()
        is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
        chunks = response.iter_bytes()
        texts = texts_of_events(chunks, metadata) if is_stream else text_of_object(b"".join(chunks), metadata)
        for text in texts:
            if not generation.has_begun:
                self.circuit.succeed()
            generation.add(text)
            if generation.is_cancelled:
                break
        self.circuit.succeed()
        with self._turn:
            self.num_answers += 1
        generation.finish(generation.outcome(metadata, "cancelled" if generation.is_cancelled else None))

    def _error_of(self, response: httpx2.Response) -> SmallsightError:
        reason = error_text(_read_json(response.iter_bytes()))
        status = response.status_code
        if status in _REFUSED:
            return BadRequestError(f"The server of {self._name} rejected the request: {reason}.")
        message = f"The server of {self._name} answered with status {status}: {reason}."
        if status >= 500 or status in (408, 409, 425, 429):
            return _AnswerRetryError(
                message,
                hint="ask again.",
                retry_after_s=response.headers.get("retry-after"),
                is_about_server=status != _FAILED_INSIDE,
            )
        return RemoteModelError(message, hint="check its base_url, model and key.")

    def _fallback_engine(self) -> Engine | None:
        """Return the fallback engine, loading it on first use, or None if there is none."""
        if self._open_fallback is None:
            return None
        with self._turn:
            if self._fallback is None:
                self._fallback = self._open_fallback()
            return self._fallback


class _AnswerRetryError(RemoteModelError):
    """A failure that may succeed on a retry; callers see it as a RemoteModelError."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        retry_after_s: str | None = None,
        is_about_server: bool = True,
    ) -> None:
        super().__init__(message, hint=hint)
        self.is_about_server = is_about_server
        self._retry_after_s = (
            float(retry_after_s) if retry_after_s is not None and retry_after_s.isdecimal() else 0.0
        )

    def delay_s(self, attempt: int) -> float:
        """Return the seconds to wait: exponential with jitter, at least what the server asks for."""
        delay_s = _FIRST_DELAY_S * float(2**attempt) * random.uniform(0.5, 1.5)
        return min(max(delay_s, self._retry_after_s), _MAX_DELAY_S)


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
