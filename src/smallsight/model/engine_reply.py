"""An engine's reply: a request in progress, and its answer."""

from __future__ import annotations

from collections.abc import Collection

from smallsight.engine.engine import Engine
from smallsight.engine.generation import Generation, OnPiece, logprob_of
from smallsight.families.tool_text import written_calls
from smallsight.model.answer import Answer, Timings, Usage

__all__ = ["EngineReply"]


class EngineReply:
    """A request that an engine answers; implements ``reply.Reply``.

    ``prepared_s`` is the time before the request reached the engine; the engine's timings do not include it.
    Calls of the tools with the names ``call_names`` are taken out of the text.
    """

    def __init__(
        self,
        generation: Generation,
        prepared_s: float,
        model: str,
        engine: Engine,
        *,
        wants_logprobs: bool,
        call_names: Collection[str] = (),
    ) -> None:
        self._call_names = call_names
        self.generation = generation
        self._prepared_s = prepared_s
        self._model = model
        self._engine = engine
        self._wants_logprobs = wants_logprobs

    @property
    def prompt_tokens(self) -> int | None:
        """The number of tokens in the prompt; None if another server counts them."""
        return self.generation.prompt_tokens

    def listen(self, on_piece: OnPiece) -> None:
        """Call a function with every piece, and with None at the end."""
        self.generation.listen(on_piece)

    def cancel(self) -> None:
        """Cancel the request."""
        self.generation.cancel()

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for."""
        return self._engine.token_bytes(token_id)

    def answer(self) -> Answer:
        """Wait for the end and return the answer; an interruption cancels the request."""
        try:
            outcome = self.generation.result()
        finally:
            self.generation.cancel()
        before_s = self._prepared_s
        text, calls = outcome.text.strip(), outcome.tool_calls
        if self._call_names and not calls:
            text, calls = written_calls(text, self._call_names)
        return Answer(
            text=text,
            token_ids=tuple(choice.token_id for choice in outcome.choices),
            finish_reason=outcome.finish_reason,
            usage=Usage(
                outcome.prompt_tokens,
                outcome.image_tokens,
                len(outcome.choices) if outcome.num_tokens is None else outcome.num_tokens,
                outcome.cached_tokens,
            ),
            timings=Timings(
                decode_picture_s=before_s,
                vision_s=outcome.vision_s,
                prefill_s=outcome.prefill_s,
                first_token_s=before_s + outcome.first_token_s,
                decode_s=outcome.decode_s,
                total_s=before_s + outcome.total_s,
            ),
            model=outcome.answered_by or self._model,
            data=outcome.data,
            logprobs=tuple(logprob_of(choice) for choice in outcome.choices)
            if self._wants_logprobs
            else None,
            stop_string=outcome.stop_string,
            tool_calls=calls,
        )
