"""The routes of the Responses protocol: answers, and those that are stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from smallsight.answering.cost import AnswerMetrics, Cost
from smallsight.answering.route_state import route_state
from smallsight.errors import BadRequestError
from smallsight.http.authorise import UseRoute
from smallsight.http.event_stream import PING, ClientLeftError, EventStream, while_connected, with_errors
from smallsight.http.json_response import json_response
from smallsight.openai.answer_routes import CLIENT_LEFT, count_answer
from smallsight.openai.responses_answer import ResponseObject
from smallsight.openai.responses_memory import ResponsesMemory
from smallsight.openai.responses_request import ResponsesRequest
from smallsight.openai.route_answers import ANSWERS, LISTS
from smallsight.services.exchange import Exchange
from smallsight.services.response_tables import StoredItem

router = APIRouter(prefix="/v1", route_class=UseRoute, tags=["answers"])

_WITH_PICTURES = "message.input_image.image_url"

ItemLimit = Annotated[int, Query(ge=1, le=100)]
ItemName = Annotated[str | None, Query(max_length=200)]


@router.post("/responses", responses=ANSWERS)
async def responses(request: Request, body: ResponsesRequest) -> Response:
    """Answer like OpenAI's Responses API, with stored responses. Streams when `stream` is true."""
    state = route_state(request)
    memory = ResponsesMemory.of_client(request)
    recalled = await memory.recall(body)
    question = body.question(recalled.earlier, recalled.items)
    async with AsyncExitStack() as until:
        try:
            starting = state.asking.begin(question, request.state.client, until)
            exchange = await while_connected(request.receive, starting)
            keep = partial(memory.keep, body, recalled)
            response = ResponseObject(body, exchange, question.tools, keep)
            if body.stream:
                events = _events(response, exchange, state.metrics)
                return EventStream(with_errors(events, response.failed), until.pop_all())
            answer, cost = await while_connected(request.receive, response.whole())
        except ClientLeftError:
            return Response(status_code=CLIENT_LEFT)
    count_answer(exchange, cost, state.metrics)
    return json_response(answer)


@router.get("/responses/{response_id}", responses=LISTS)
async def get_response(request: Request, response_id: str, stream: bool = False) -> Response:
    """Return a stored response of this client."""
    if stream:
        raise BadRequestError("A stored response is not streamed.", hint="leave it out.", param="stream")
    return json_response((await ResponsesMemory.of_client(request).find(response_id)).body)


@router.delete("/responses/{response_id}", responses=LISTS)
async def delete_response(request: Request, response_id: str) -> Response:
    """Delete a stored response of this client; those that continue it cannot be continued any more."""
    await ResponsesMemory.of_client(request).forget(response_id)
    return json_response({"id": response_id, "object": "response", "deleted": True})


@router.get("/responses/{response_id}/input_items", responses=LISTS)
async def list_input_items(
    request: Request,
    response_id: str,
    limit: ItemLimit = 20,
    order: Literal["asc", "desc"] = "desc",
    after: ItemName = None,
) -> Response:
    """List the items that a stored response was asked with, without the responses before it."""
    items = list((await ResponsesMemory.of_client(request).find(response_id)).given)
    if order == "desc":
        items.reverse()
    ids = [item["id"] for item in items]
    if after is not None:
        if after not in ids:
            raise BadRequestError("after names no item of the response.", hint="leave it out.", param="after")
        items = items[ids.index(after) + 1 :]
    shown = items[:limit]
    query = request.query_params
    included = (*query.getlist("include"), *query.getlist("include[]"))  # the official client's spelling
    data = shown if _WITH_PICTURES in included else [_without_pictures(item) for item in shown]
    return json_response(_as_list(data, has_more=len(items) > limit))


def _as_list(items: Sequence[StoredItem], *, has_more: bool) -> dict[str, Any]:
    return {
        "object": "list",
        "data": items,
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": has_more,
    }


def _without_pictures(item: StoredItem) -> StoredItem:
    content = item.get("content")
    if not isinstance(content, list):
        return item
    parts = [one | {"image_url": None} if "image_url" in one else one for one in content]
    return item | {"content": parts}


async def _events(
    response: ResponseObject, exchange: Exchange, metrics: AnswerMetrics
) -> AsyncIterator[bytes]:
    async for one in response.events():
        if isinstance(one, Cost):
            count_answer(exchange, one, metrics)
        else:
            yield PING if one is None else one
