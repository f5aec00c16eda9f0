"""Searches are quick while several people type at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from smallsight.web.typed_searches import TypedSearches


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run it in a thread: in this one, the browser of other tests keeps an event loop."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, coroutine).result()


def _answers(is_quick: bool) -> bool:
    return is_quick


def test_a_search_alone_is_complete_and_one_beside_another_is_quick():
    async def ask() -> list[bool]:
        typed, ends = TypedSearches(), threading.Event()
        alone = [await typed.run(_answers) for _ in range(3)]
        other = asyncio.create_task(typed.run(lambda _: ends.wait()))
        await asyncio.sleep(0)
        beside = await typed.run(_answers)
        ends.set()
        await other
        soon_after = await typed.run(_answers)
        typed.close()
        return [*alone, beside, soon_after]

    assert _run(ask()) == [False, False, False, True, True]


def test_one_person_who_types_on_gets_complete_searches():
    async def ask() -> bool:
        typed, ends = TypedSearches(), threading.Event()
        given_up = asyncio.create_task(typed.run(lambda _: ends.wait()))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
        is_quick = await typed.run(_answers)
        ends.set()
        typed.close()
        return is_quick

    assert _run(ask()) is False


def test_a_search_that_is_given_up_before_its_turn_is_not_run():
    async def ask() -> list[str]:
        typed, ends, done = TypedSearches(), threading.Event(), []
        running = [asyncio.create_task(typed.run(lambda _: ends.wait())) for _ in range(2)]
        waiting = asyncio.create_task(typed.run(lambda _: done.append("given up")))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])  # a thread that became free before that would run it
        ends.set()
        await asyncio.wait(running)
        await typed.run(lambda _: done.append("last"))
        typed.close()
        return done

    assert _run(ask()) == ["last"]
