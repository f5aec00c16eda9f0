"""The breaker: what it lets through, after what, and for how long."""

from hypothesis import given
from hypothesis import strategies as st

from smallsight.engine.remote.circuit import Circuit, CircuitState


def opened() -> Circuit:
    circuit = Circuit(max_failures=2, rest_s=10)
    for _ in range(2):
        assert circuit.enter(0)
        circuit.fail(0)
    return circuit


def test_it_opens_after_failures_in_a_row():
    circuit = Circuit(max_failures=2, rest_s=10)
    circuit.fail(0)
    circuit.succeed()
    circuit.fail(0)
    assert circuit.state(0) is CircuitState.CLOSED
    circuit.fail(0)
    assert circuit.state(9.9) is CircuitState.OPEN
    assert not circuit.enter(9.9)


def test_after_a_rest_one_may_try_and_how_that_goes_decides():
    circuit = opened()
    assert circuit.state(10) is CircuitState.HALF_OPEN
    assert circuit.enter(10)
    assert not circuit.enter(10), "only one tries"
    circuit.fail(10)
    assert not circuit.enter(19)
    assert circuit.enter(20)
    circuit.succeed()
    assert circuit.state(20) is CircuitState.CLOSED
    assert circuit.enter(20)
    circuit.fail(20)
    assert circuit.state(20) is CircuitState.CLOSED, "it counts from the beginning again"


def test_a_trial_that_nobody_waited_for_leaves_it_to_the_next():
    circuit = opened()
    assert circuit.enter(10)
    circuit.leave()
    assert circuit.enter(10)


@given(st.lists(st.tuples(st.sampled_from(["succeed", "fail", "leave"]), st.floats(0, 20)), max_size=60))
def test_it_never_stays_shut(events):
    circuit, now_s = Circuit(max_failures=3, rest_s=5), 0.0
    for kind, pause_s in events:
        now_s += pause_s
        if circuit.enter(now_s):
            if kind == "fail":
                circuit.fail(now_s)
            else:
                getattr(circuit, kind)()
    assert circuit.enter(now_s + 5)
