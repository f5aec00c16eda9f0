"""The body of `POST /v1/responses`, and its translation into a question.

Source: the official Python client's types for responses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from smallsight.answering.answer_schema import schema_text
from smallsight.answering.question import Question, Tools, Turn
from smallsight.answering.tool_calls import forced_schema
from smallsight.errors import BadRequestError, ResponseMissingError
from smallsight.openai.responses_items import (
    InputItem,
    InputMessage,
    ItemId,
    ItemReference,
    ReasoningItem,
    TurnItem,
    turn_of,
)
from smallsight.openai.responses_tools import FlatTools, tools_in
from smallsight.openai.wire_fields import (
    MAX_MESSAGES,
    MAX_PARTS,
    FewParts,
    MaxTokens,
    ModelName,
    Temperature,
    TopP,
    Wire,
)

_REASONING = "rs_"  # how ids of reasoning items begin


class TextFormat(Wire):
    """The format that the text must have."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    definition: dict[str, Any] | None = Field(None, alias="schema")


class TextOptions(Wire):
    """Options of the answer's text."""

    format: TextFormat | None = None


class ResponsesRequest(Wire):
    """A question, with the conversation before it."""

    model: ModelName | None = None
    input: Annotated[
        str | Annotated[list[InputItem], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)],
        FewParts,
    ]
    instructions: str | None = None
    max_output_tokens: MaxTokens = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    text: TextOptions | None = None
    stream: bool | None = None
    background: bool | None = None
    store: bool | None = None
    previous_response_id: ItemId | None = None
    conversation: Any = None
    tools: FlatTools | None = None
    tool_choice: Any = None
    metadata: dict[str, Any] | None = None

    def question(
        self, earlier: Sequence[TurnItem] = (), items: Sequence[tuple[int, TurnItem]] | None = None
    ) -> Question:
        """Return the request as a question; raises BadRequestError for anything unsupported.

        ``earlier`` are the items of the response that this one continues, ``items`` what ``items`` returned;
        without them, the request must refer to nothing.
        """
        self._require_supported()
        tools = tools_in(self.tools, self.tool_choice)
        turns = [Turn("system", (self.instructions,))] if self.instructions else []
        turns += [turn_of(item, "previous_response_id") for item in earlier]
        given = self.items({}) if items is None else items
        turns += [turn_of(item, f"input.{index}") for index, item in given]
        _require_few(turns)
        return Question(
            model=self.model,
            turns=tuple(turns),
            max_tokens=self.max_output_tokens,
            temperature=self.temperature,
            sampling=self._sampling(tools),
            tools=tools,
        )

    def references(self) -> list[str]:
        """Return the ids of the items that the request refers to."""
        items = () if isinstance(self.input, str) else self.input
        return [item.id for item in items if isinstance(item, ItemReference)]

    def items(self, referred: Mapping[str, TurnItem]) -> list[tuple[int, TurnItem]]:
        """Return the items of ``input`` with their positions, with those in the place of references to them.

        Raises ResponseMissingError. What other models thought is passed over, also where it is referred to.
        """
        if isinstance(self.input, str):
            return [(0, InputMessage(role="user", content=self.input))]
        items: list[tuple[int, TurnItem]] = []
        for index, item in enumerate(self.input):
            if isinstance(item, ItemReference):
                found = referred.get(item.id)
                if found is None and not item.id.startswith(_REASONING):
                    raise _item_missing(item.id, f"input.{index}.id")
                items += [] if found is None else [(index, found)]
            elif not isinstance(item, ReasoningItem):
                items.append((index, item))
        return items

    @property
    def form(self) -> TextFormat:
        """The format that the answer must have."""
        given = None if self.text is None else self.text.format
        return given or TextFormat(type="text")

    def _sampling(self, tools: Tools | None) -> dict[str, Any]:
        schema = forced_schema(tools)
        if schema is None:
            schema = schema_text(self.form.type, self.form.definition, "text.format.schema")
        given = {"top_p": self.top_p, "json_schema": schema}
        return {name: value for name, value in given.items() if value is not None}

    def _require_supported(self) -> None:
        unsupported = {
            "conversation": (
                self.conversation is not None,
                "use previous_response_id, or send all in input.",
            ),
            "background": (bool(self.background), "leave it out."),
        }
        for name, (is_requested, hint) in unsupported.items():
            if is_requested:
                raise BadRequestError(f"This release does not support {name}.", hint=hint, param=name)


def _item_missing(item_id: str, param: str) -> ResponseMissingError:
    return ResponseMissingError(
        f"Item with id {item_id!r} not found: it was not stored, or has been deleted or evicted.",
        hint="send the item itself.",
        param=param,
    )


def _require_few(turns: Sequence[Turn]) -> None:
    """Raise BadRequestError for a conversation that is too long with the responses before this one."""
    num_parts = sum(len(turn.parts) for turn in turns)
    if not turns or len(turns) > MAX_MESSAGES + 1 or num_parts > MAX_PARTS:
        raise BadRequestError(
            f"The conversation has {len(turns)} messages with {num_parts} parts "
            f"(limits: 1 to {MAX_MESSAGES}, {MAX_PARTS}).",
            hint="send a message, or begin a new conversation.",
            param="input",
        )
