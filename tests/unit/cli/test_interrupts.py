from __future__ import annotations

import signal

import pytest

from smallsight.cli.interrupts import remembered_interrupts


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_while_an_object_is_destroyed_is_remembered():
    class Interrupted:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    with remembered_interrupts() as pressed:
        one = Interrupted()
        assert not pressed.is_set()
        del one  # Python prints the KeyboardInterrupt and goes on
        assert pressed.is_set()


def test_ctrl_c_interrupts_as_always_and_the_handler_before_comes_back():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), remembered_interrupts():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
