"""The validated sampling options of a request."""

from __future__ import annotations

from dataclasses import dataclass

from smallsight.errors import ArgumentError

MAX_STOP_STRINGS = 16
MAX_LOGPROBS = 20
MAX_TOP_K = 1_000_000
MAX_BEAMS = 16
MAX_BIASES = 1024


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How tokens are chosen and when generation stops. Invalid values raise ArgumentError.

    ``max_tokens`` None is the rest of the context. Temperature 0 is greedy. ``top_k`` 0 means all tokens.
    ``stop`` strings end the text and are not part of it. ``num_logprobs`` is the number of alternatives
    reported per token; None reports no logprobs at all. ``num_beams`` is for encoder-decoders; None is the
    checkpoint's default. ``json_schema`` is a JSON schema as text that the answer must satisfy. The frequency
    penalty is subtracted from a token's logit for each occurrence in the answer, the presence penalty once;
    ``logit_bias`` is added to the tokens' logits. ``tools`` are the tools and the choice among them for a
    model that knows tools, as JSON in OpenAI's form.
    """

    max_tokens: int | None = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    num_logprobs: int | None = None
    num_beams: int | None = None
    json_schema: str | None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    tools: str | None = None

    def __post_init__(self) -> None:
        if self.max_tokens is not None:
            _require_whole("max_tokens", self.max_tokens, 1, 1_000_000)
        _require_number("temperature", self.temperature, 0.0, 100.0)
        _require_number("top_p", self.top_p, 0.0, 1.0)
        _require_whole("top_k", self.top_k, 0, MAX_TOP_K)
        _require_number("repetition_penalty", self.repetition_penalty, 0.01, 100.0)
        _require_number("frequency_penalty", self.frequency_penalty, -10.0, 10.0)
        _require_number("presence_penalty", self.presence_penalty, -10.0, 10.0)
        if len(self.logit_bias) > MAX_BIASES:
            raise ArgumentError(
                f"logit_bias has {len(self.logit_bias)} tokens (limit {MAX_BIASES}).", hint="use fewer."
            )
        for token_id, bias in self.logit_bias:
            _require_whole("a logit_bias token id", token_id, 0, 2**31)
            _require_number("a logit_bias value", bias, -1000.0, 1000.0)
        if self.seed is not None:
            _require_whole("seed", self.seed, 0, 2**63 - 1)
        if self.num_logprobs is not None:
            _require_whole("num_logprobs", self.num_logprobs, 0, MAX_LOGPROBS)
        if self.num_beams is not None:
            _require_whole("num_beams", self.num_beams, 1, MAX_BEAMS)
        if len(self.stop) > MAX_STOP_STRINGS:
            raise ArgumentError(
                f"There are {len(self.stop)} stop strings (limit {MAX_STOP_STRINGS}).", hint="use fewer."
            )
        if self.tools is not None and not isinstance(self.tools, str):
            raise ArgumentError(f"tools cannot be of type {type(self.tools).__name__}.", hint="pass JSON.")
        if not all(self.stop):
            raise ArgumentError("A stop string is empty.", hint="omit it.")

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is always chosen."""
        return self.temperature == 0


def _require_whole(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ArgumentError(f"{name} cannot be {value!r}.", hint=f"use an integer from {low} to {high}.")


def _require_number(name: str, value: object, low: float, high: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise ArgumentError(f"{name} cannot be {value!r}.", hint=f"use a number from {low:g} to {high:g}.")
