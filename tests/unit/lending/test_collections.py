"""What is loaded is no matter of garbage collections."""

from __future__ import annotations

import asyncio
import gc

from fake_machine import GIB, Machine, served
from smallsight.lending.model_lender import ModelLender
from smallsight.lending.residency import Residency


def test_collections_pass_over_what_is_loaded_until_the_pool_is_closed():
    machine = Machine({"a": GIB, "b": GIB, "c": GIB})

    async def work() -> None:
        policy = Residency(max_models=2, max_bytes=4 * GIB)
        pool = ModelLender(policy, machine.load, keep_alive_s=-1, measure=machine.measure)
        for name in ("a", "b", "c"):
            async with pool.lend(served(name)) as model:
                assert not any(one is model for one in gc.get_objects())
        await pool.close()

    asyncio.run(work())
    assert gc.get_freeze_count() == 0
