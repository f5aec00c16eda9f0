"""The breaker: what it lets through, after what, and for how long."""

from hypothesis import given
from hypothesis import strategies as st

from clocks import HandClock
from smallsight.engine.remote.circuit import Circuit, CircuitState


def opened(clock: HandClock) -> Circuit:
    circuit = Circuit(max_failures=2, rest_s=10, clock=clock)
    for _ in range(2):
        assert circuit.enter()
        circuit.fail()
    return circuit


def test_it_opens_after_failures_in_a_row():
    clock = HandClock()
    circuit = Circuit(max_failures=2, rest_s=10, clock=clock)
    circuit.fail()
    circuit.succeed()
    circuit.fail()
    assert circuit.state is CircuitState.CLOSED
    circuit.fail()
    clock.now_s = 9.9
    assert circuit.state is CircuitState.OPEN
    assert not circuit.enter()


def test_after_a_rest_one_may_try_and_how_that_goes_decides():
    clock = HandClock()
    circuit = opened(clock)
    clock.now_s = 10
    assert circuit.state is CircuitState.HALF_OPEN
    assert circuit.enter()
    assert not circuit.enter(), "only one tries"
    circuit.fail()
    clock.now_s = 19
    assert not circuit.enter()
    clock.now_s = 20
    assert circuit.enter()
    circuit.succeed()
    assert circuit.state is CircuitState.CLOSED
    assert circuit.enter()
    circuit.fail()
    assert circuit.state is CircuitState.CLOSED, "it counts from the beginning again"


def test_a_trial_that_nobody_waited_for_leaves_it_to_the_next():
    clock = HandClock()
    circuit = opened(clock)
    clock.now_s = 10
    assert circuit.enter()
    circuit.leave()
    assert circuit.enter()


@given(st.lists(st.tuples(st.sampled_from(["succeed", "fail", "leave"]), st.floats(0, 20)), max_size=60))
def test_it_never_stays_shut(events):
    clock = HandClock()
    circuit = Circuit(max_failures=3, rest_s=5, clock=clock)
    for kind, pause_s in events:
        clock.now_s += pause_s
        if circuit.enter():
            getattr(circuit, kind)()
    clock.now_s += 5
    assert circuit.enter()


def test_without_a_clock_of_its_own_it_uses_the_machines():
    circuit = Circuit(max_failures=1, rest_s=1000)
    circuit.fail()
    assert circuit.state is CircuitState.OPEN
