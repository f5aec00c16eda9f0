"""The WebSocket on which open pages are kept up to date."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from starlette.websockets import WebSocket, WebSocketDisconnect

from smallsight.errors import SmallsightError
from smallsight.policy.log import get_logger
from smallsight.web.live_updates import Fragment, Renderer, Subscription, Topic
from smallsight.web.parts import parts_of
from smallsight.web.visitor import PageRight, Visitor

log = get_logger(__name__)

_PAUSE_S = 0.25  # between two messages of one page
_FOR_ALL = {Topic.LIBRARY, Topic.WORK}


async def keep_up_to_date(websocket: WebSocket, renderers: Mapping[Topic, Renderer]) -> None:
    """Send the parts of a page that change, until the page is left."""
    names = websocket.query_params.get("topics", "").split(",")
    shown = _shown_to(websocket.state.visitor, renderers)
    topics = [topic for topic in shown if topic in names]
    await websocket.accept()
    with parts_of(websocket).updates.subscribe(topics) as subscription:
        sending = asyncio.create_task(_send(websocket, subscription, renderers))
        try:
            while True:  # what a page sends is not used; reading tells that it has been left
                await websocket.receive_text()
        except (WebSocketDisconnect, KeyError):  # KeyError: it sent bytes
            pass
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


def _shown_to(visitor: Visitor, renderers: Mapping[Topic, Renderer]) -> list[Topic]:
    """Return the topics of pages that this visitor may see."""
    is_manager = PageRight.MANAGE in visitor.rights
    return [topic for topic in renderers if is_manager or topic in _FOR_ALL]


async def _send(
    websocket: WebSocket, subscription: Subscription, renderers: Mapping[Topic, Renderer]
) -> None:
    last_sent: dict[str, str] = {}
    while True:
        for topic in await subscription.next_changes():
            for fragment in await _render(websocket, topic, renderers[topic]):
                if last_sent.get(fragment.target) != fragment.html:
                    last_sent[fragment.target] = fragment.html
                    await websocket.send_text(
                        json.dumps({"target": fragment.target, "swap": "outerHTML", "content": fragment.html})
                    )
        await asyncio.sleep(_PAUSE_S)


async def _render(websocket: WebSocket, topic: Topic, renderer: Renderer) -> list[Fragment]:
    try:
        return await parts_of(websocket).in_thread(renderer)
    except SmallsightError as error:  # the page keeps what it shows; the next change tries again
        log.warning("update_not_rendered", topic=topic, why=str(error))
        return []
