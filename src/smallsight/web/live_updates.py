"""Tells open pages that something has changed: which topics, not what.

A page says which topics it shows. When one of them changes, its part of the page is rendered and sent again,
a few times a second at most. A connection that was interrupted gets the present state of everything when it
is back, so nothing has to be remembered for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum


class Topic(StrEnum):
    """What can change."""

    RUNS = "runs"  # descriptions of many pictures
    FOLDERS = "folders"
    WORK = "work"  # what is being done, in the bar of every page
    MODELS = "models"
    LIBRARY = "library"  # numbers of pictures


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a page, and the CSS selector of what it replaces."""

    target: str
    html: str


Renderer = Callable[[], list[Fragment]]
"""Renders the parts of a topic, in a thread."""


@dataclass(eq=False, slots=True)
class Subscription:
    """The topics that one page shows, and which of them have changed since it was last told."""

    topics: frozenset[Topic]
    loop: asyncio.AbstractEventLoop
    changed: set[Topic] = field(default_factory=set)
    has_changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, topic: Topic) -> None:
        """Note a change, in the event loop."""
        self.changed.add(topic)
        self.has_changed.set()

    async def next_changes(self) -> set[Topic]:
        """Wait for changes and return their topics."""
        await self.has_changed.wait()
        self.has_changed.clear()
        changed, self.changed = self.changed, set()
        return changed


class LiveUpdates:
    """Passes changes on to the open pages. ``publish`` may be called from any thread."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._subscriptions: set[Subscription] = set()

    def publish(self, topic: Topic) -> None:
        """Say that a topic has changed."""
        with self._turn:
            interested = [one for one in self._subscriptions if topic in one.topics]
        for one in interested:
            try:
                one.loop.call_soon_threadsafe(one.note, topic)
            except RuntimeError:  # the event loop has ended
                continue

    @contextmanager
    def subscribe(self, topics: Collection[Topic]) -> Iterator[Subscription]:
        """Yield a subscription, in the event loop; everything counts as changed at first."""
        subscription = Subscription(frozenset(topics), asyncio.get_running_loop(), set(topics))
        subscription.has_changed.set()
        with self._turn:
            self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            with self._turn:
                self._subscriptions.discard(subscription)


Renderers = Mapping[Topic, Renderer]
