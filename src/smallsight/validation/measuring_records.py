"""What a measuring process reports, a line of JSON each; the journal of a run has the same records."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from smallsight.validation.result import ModuleBytes, TokenScores


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LoadedRecord(_Record):
    """A model that has just been loaded. ``is_first_load`` says that its weights had to be quantised first.

    ``new_weights`` are the files of them below the folder of prepared models. Memory is None for a model on
    another server.
    """

    key: str
    load_s: float
    is_first_load: bool = False
    new_weights: tuple[str, ...] = ()
    before_bytes: int | None = None
    loaded_bytes: int | None = None
    loading_peak_bytes: int | None = None
    private_loaded_bytes: int | None = None
    modules: tuple[ModuleBytes, ...] = ()


class AnswerRecord(_Record):
    """One answer. ``first_token_s`` and ``total_s`` include opening the picture; peaks are those so far."""

    text: str = ""
    token_ids: tuple[int, ...] = ()
    finish_reason: str = ""
    num_tokens: int = 0
    first_token_s: float = 0.0
    decode_s: float = 0.0
    total_s: float = 0.0
    data: dict[str, Any] | None = None
    peak_bytes: int | None = None
    private_peak_bytes: int | None = None
    problem: str = ""  # why there is no answer

    @property
    def tokens_per_s(self) -> float | None:
        """The speed of all tokens but the first; None for an answer of one token."""
        return (self.num_tokens - 1) / self.decode_s if self.num_tokens > 1 and self.decode_s > 0 else None


class ScoreRecord(_Record):
    """The scores of one answer. The base reports how many bytes it keeps, the variant how it agrees."""

    num_bytes: int = 0
    tokens: TokenScores | None = None
    problem: str = ""


class ErrorRecord(_Record):
    """An error that ended the process: its class in ``smallsight.errors``, and its words."""

    kind: str
    message: str
    hint: str | None = None
