"""An answer as it arrives: new text, and calls of tools whose arguments arrive piece by piece.

A call that the answer must make is passed on as it is decoded, once its tool is known. A call that the model
decides on is passed on when it is whole, because until then it may still be text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from smallsight.answering.call_reader import CallReader
from smallsight.answering.question import ToolCall, Tools
from smallsight.answering.tool_calls import answer_parts, new_call_id
from smallsight.families.tool_text import MaybeCall
from smallsight.model.answer import Answer


@dataclass(frozen=True, slots=True)
class NewText:
    """More text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class CallStart:
    """A call begins: its position among the calls, its id and the tool's name are known."""

    index: int
    call: ToolCall


@dataclass(frozen=True, slots=True)
class NewArguments:
    """More of the arguments of the call that began last."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class CallEnd:
    """The call that began last is complete, or cut off with the answer."""

    index: int
    call: ToolCall


AnswerEvent: TypeAlias = NewText | CallStart | NewArguments | CallEnd


class AnswerStream:
    """Turns the pieces of one answer into events. After ``end``, ``calls`` are those of the whole answer."""

    def __init__(self, tools: Tools | None) -> None:
        self._tools = tools
        self._is_forced = tools is not None and bool(tools.forced)
        self._reader = CallReader(tools)
        names = [] if tools is None or tools.choice == "none" else [tool.name for tool in tools.offered]
        self._maybe_call = MaybeCall(names)
        self._forced: ToolCall | None = None
        self._arguments: list[str] = []
        self._num_shown = 0
        self.calls: tuple[ToolCall, ...] = ()

    @property
    def is_holding(self) -> bool:
        """Whether all text that arrives now is held back, or is part of a call."""
        return self._is_forced or self._maybe_call.is_holding

    def push(self, text: str) -> Iterator[AnswerEvent]:
        """Add new text; yield what it brings, without white space at the beginning of the answer."""
        if not self._is_forced:
            yield from self._text(self._maybe_call.push(text))
            return
        arguments = self._reader.push(text)
        if self._reader.name is not None and self._forced is None:
            self._forced = ToolCall(new_call_id(), self._reader.name, "")
            yield CallStart(0, self._forced)
        if arguments:
            self._arguments.append(arguments)
            yield NewArguments(0, arguments)

    def end(self, answer: Answer) -> Iterator[AnswerEvent]:
        """Yield what is left of the whole answer: text that was held back, and calls."""
        if self._forced is not None:
            self.calls = (replace(self._forced, arguments="".join(self._arguments)),)
            yield CallEnd(0, self.calls[0])
            return
        text, self.calls = answer_parts(answer, self._tools)
        yield from self._text(text.lstrip()[self._num_shown :])
        for index, call in enumerate(self.calls):
            yield CallStart(index, replace(call, arguments=""))
            yield NewArguments(index, call.arguments)
            yield CallEnd(index, call)

    def _text(self, text: str) -> Iterator[NewText]:
        new = text if self._num_shown else text.lstrip()
        if new:
            self._num_shown += len(new)
            yield NewText(new)
