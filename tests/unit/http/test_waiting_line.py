from __future__ import annotations

import asyncio

from clocks import GENEROUS_S
from smallsight.http.waiting_line import WaitingLine


async def use(
    line: WaitingLine, client: str, number: int, log: list[tuple[str, int]], until: asyncio.Event
) -> None:
    async with line.slot(client):
        log.append((client, number))
        await until.wait()


def test_clients_come_in_turn():
    async def go() -> None:
        line, log, all_wait = WaitingLine(2), [], asyncio.Event()
        busy = [asyncio.create_task(use(line, "busy", number, log, all_wait)) for number in range(50)]
        await asyncio.sleep(0)
        others = [asyncio.create_task(use(line, client, 0, log, all_wait)) for client in ("x", "y")]
        await asyncio.sleep(0)
        all_wait.set()
        await asyncio.gather(*busy, *others)
        assert [number for client, number in log if client == "busy"] == list(range(50))
        assert {log.index(("x", 0)), log.index(("y", 0))} <= {2, 3, 4}

    asyncio.run(go())


def test_who_gives_up_leaves_the_line_and_nothing_behind():
    async def go() -> None:
        line, log, at_once = WaitingLine(1), [], asyncio.Event()
        at_once.set()
        async with line.slot("a"):
            waiting = [asyncio.create_task(use(line, "b", number, log, at_once)) for number in range(3)]
            await asyncio.sleep(0)
            waiting[1].cancel()
            await asyncio.sleep(0)
        waiting[0].cancel()  # called a moment ago
        await asyncio.gather(*waiting, return_exceptions=True)
        assert log == [("b", 2)]
        async with asyncio.timeout(GENEROUS_S), line.slot("c"):
            pass

    asyncio.run(go())


def test_who_gives_up_in_the_moment_a_place_is_free_loses_it_for_nobody():
    async def go() -> None:
        line = WaitingLine(1)
        is_over, entered = asyncio.Event(), []

        async def stay(name: str, until: asyncio.Event | None) -> None:
            async with line.slot(name):
                entered.append(name)
                if until is not None:
                    await until.wait()

        first = asyncio.create_task(stay("first", is_over))
        await asyncio.sleep(0)
        leaving = asyncio.create_task(stay("leaving", None))
        patient = asyncio.create_task(stay("patient", None))
        await asyncio.sleep(0)
        is_over.set()  # wakes the first, which runs before the one that is cancelled hears of it
        leaving.cancel()
        await asyncio.wait_for(asyncio.gather(first, patient), GENEROUS_S)
        assert leaving.cancelled()
        assert entered == ["first", "patient"]
        await asyncio.wait_for(stay("next", None), GENEROUS_S)

    asyncio.run(go())
