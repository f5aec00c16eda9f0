"""A container's limit counts when it is the smaller one."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref
from collections.abc import Iterator

import psutil
import pytest

from old_objects import old_objects_back
from smallsight.machine.memory import (
    free_memory_bytes,
    give_memory_back,
    set_lasting_objects_aside,
    take_lasting_objects_back,
    usable_memory_bytes,
)

TOTAL = psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("text", "usable_bytes"),
    [("1048576\n", 1048576), ("max\n", TOTAL), ("9223372036854771712", TOTAL), ("nonsense", TOTAL)],
)
def test_the_smaller_limit_counts(tmp_path, text, usable_bytes):
    limit = tmp_path / "memory.max"
    limit.write_text(text)
    assert usable_memory_bytes((tmp_path / "absent", limit)) == usable_bytes


def test_the_real_machine_has_some():
    assert 0 < usable_memory_bytes() <= TOTAL
    assert 0 < free_memory_bytes() < TOTAL


GIVING_BACK = """
import json
from smallsight.machine.memory import give_memory_back, peak_memory_bytes, resident_memory_bytes
seen = [resident_memory_bytes()]
kept = [bytearray(1000) for _ in range(100_000)]
seen.append(resident_memory_bytes())
del kept
give_memory_back()
print(json.dumps([*seen, resident_memory_bytes(), peak_memory_bytes()]))
"""


def test_memory_that_was_freed_goes_back_and_the_peak_stays():
    """In a process of its own: one that has run for long has free memory, and grows by less."""
    done = subprocess.run([sys.executable, "-c", GIVING_BACK], capture_output=True, text=True, check=True)
    before_bytes, full_bytes, after_bytes, peak_bytes = json.loads(done.stdout)
    assert full_bytes > before_bytes + 80_000_000
    assert after_bytes < before_bytes + 40_000_000
    assert peak_bytes > before_bytes + 80_000_000


class Knot:
    """Something that only a collection can free."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def all_objects() -> Iterator[None]:
    with old_objects_back():
        yield


@pytest.fixture
def lasting_objects_aside(all_objects: None) -> Iterator[weakref.ref[Knot]]:
    knot = Knot()
    known = weakref.ref(knot)
    set_lasting_objects_aside()
    del knot
    yield known
    take_lasting_objects_back()


def test_collections_pass_over_what_was_set_aside_until_memory_is_given_back(lasting_objects_aside):
    gc.collect()
    assert lasting_objects_aside() is not None
    give_memory_back()
    assert lasting_objects_aside() is None
    assert gc.get_freeze_count() > 0, "what is left is not set aside any more"


def test_a_process_that_sets_nothing_aside_keeps_its_collections(all_objects):
    give_memory_back()
    assert gc.get_freeze_count() == 0
