import pytest

from smallsight.errors import ServerStoppingError, TooManyRequestsError
from smallsight.http.admission import Admission


def test_slots_are_counted_and_come_back():
    admission = Admission(2)
    with admission.slot("a"), pytest.raises(ZeroDivisionError), admission.slot("b"):
        with pytest.raises(TooManyRequestsError, match="in progress: 2, of which 1 yours") as caught:
            admission.require_room("a")
        assert caught.value.retry_after_s == 1
        raise ZeroDivisionError
    assert admission.num_requests == 0


def test_a_stopping_server_takes_nothing_new_and_keeps_what_it_has():
    admission = Admission(2)
    with admission.slot("a"):
        admission.is_stopping = True
        with pytest.raises(ServerStoppingError), admission.slot("a"):
            pass
        assert admission.num_requests == 1


def test_one_client_cannot_take_every_place():
    admission = Admission(16)
    taken = [admission.slot("busy") for _ in range(14)]
    for slot in taken:
        slot.__enter__()
    with pytest.raises(TooManyRequestsError, match="of which 14 yours"):
        admission.require_room("busy")
    with admission.slot("single"), admission.slot("other"):
        for client in ("busy", "single", "third"):
            with pytest.raises(TooManyRequestsError):
                admission.require_room(client)
    for slot in taken:
        slot.__exit__(None, None, None)
    assert admission.num_requests == 0
