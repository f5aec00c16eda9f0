"""What a request to the Responses protocol refers to in the store, and what is stored of its answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from smallsight.errors import PreviousResponseError, ResponseMissingError
from smallsight.http.authorise import KEY_PREFIX, Gate
from smallsight.http.error_shape import printable
from smallsight.openai.responses_items import (
    InputItem,
    ItemReference,
    ReasoningItem,
    TurnItem,
    item_to_store,
)
from smallsight.openai.responses_request import ResponsesRequest
from smallsight.services.response_tables import StoredItem, StoredResponse
from smallsight.services.stored_responses import StoredResponses

_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
_SHOWN_CHARS = 80
_ITEM: TypeAdapter[InputItem] = TypeAdapter(InputItem)


@dataclass(frozen=True, slots=True)
class Recalled:
    """The items of earlier responses, and those of a request with their positions in it."""

    earlier: Sequence[TurnItem]
    items: Sequence[tuple[int, TurnItem]]


class ResponsesMemory:
    """The stored responses of one client."""

    def __init__(self, store: StoredResponses, owner: str) -> None:
        self._store = store
        self._owner = owner

    @classmethod
    def of_client(cls, request: Request) -> ResponsesMemory:
        """Return the memory of the client that sent a request; without keys, all clients share one."""
        return cls(request.app.state.stored_responses, _owner(request))

    async def recall(self, request: ResponsesRequest) -> Recalled:
        """Look up what a request refers to; raises PreviousResponseError, ResponseMissingError."""
        earlier: list[TurnItem] = []
        if request.previous_response_id is not None:
            stored = await self._store.conversation(self._owner, request.previous_response_id)
            found = None if stored is None else _read(stored)
            if found is None:
                raise PreviousResponseError(
                    f"Previous response with id {request.previous_response_id!r} not found: it, or one that "
                    "it continues, was not stored, or has been deleted or evicted.",
                    hint="send the whole conversation in input.",
                    param="previous_response_id",
                )
            earlier = found
        return Recalled(earlier, await self._items(request))

    async def keep(self, request: ResponsesRequest, recalled: Recalled, body: Mapping[str, Any]) -> bool:
        """Store a response, unless the client does not want that; return whether it is stored."""
        if request.store is False:
            return False
        given = [item_to_store(item) for _, item in recalled.items]
        parent = request.previous_response_id
        return await self._store.keep(
            StoredResponse(body["id"], self._owner, parent, body, given, body["output"])
        )

    async def find(self, response_id: str) -> StoredResponse:
        """Return a stored response; raises ResponseMissingError."""
        found = await self._store.find(self._owner, response_id) if _ID.fullmatch(response_id) else None
        if found is None:
            raise _missing(response_id)
        return found

    async def forget(self, response_id: str) -> None:
        """Delete a stored response; raises ResponseMissingError."""
        if not _ID.fullmatch(response_id) or not await self._store.forget(self._owner, response_id):
            raise _missing(response_id)

    async def _items(self, request: ResponsesRequest) -> list[tuple[int, TurnItem]]:
        wanted = request.references()
        stored = await self._store.items(self._owner, wanted) if wanted else {}
        referred = {item_id: found[0] for item_id, item in stored.items() if (found := _read([item]))}
        return request.items(referred)


def _missing(response_id: str) -> ResponseMissingError:
    return ResponseMissingError(
        f"Response with id {printable(response_id)[:_SHOWN_CHARS]!r} not found: it was not stored, or has "
        "been deleted or evicted.",
        param="response_id",
    )


def _read(stored: Sequence[StoredItem]) -> list[TurnItem] | None:
    """Return stored items as parsed, None if one is not valid."""
    items: list[TurnItem] = []
    for one in stored:
        try:
            item = _ITEM.validate_python(one)
        except ValidationError:
            return None
        if isinstance(item, ItemReference | ReasoningItem):
            return None
        items.append(item)
    return items


def _owner(request: Request) -> str:
    """Return whose responses a client may see: those of its key, by digest, as a name may be used again."""
    client: str = request.state.client
    if not client.startswith(KEY_PREFIX):
        return ""
    gate: Gate = request.app.state.gate
    name = client[len(KEY_PREFIX) :]
    return next((key.digest for key in gate.keys.all() if key.name == name), client)
