import pytest

from smallsight.services.serving import pool_policy
from smallsight.settings import Settings

GIB = 1024**3


@pytest.mark.parametrize(
    ("memory", "machine_gib", "max_models", "max_gib"),
    [
        ({}, 4, 1, 3.2),
        ({}, 8, 3, 6.4),
        ({"max_loaded_models": 5}, 4, 5, 3.2),
        ({"max_gb": 1.5}, 16, 3, 1.5),
    ],
)
def test_bounds_follow_from_the_machine(memory: dict, machine_gib: int, max_models: int, max_gib: float):
    pool = pool_policy(Settings(memory=memory), machine_gib * GIB)
    assert (pool.max_models, pool.max_bytes) == (max_models, pytest.approx(max_gib * GIB, abs=1))
