import pytest

from smallsight.errors import ServerStoppingError, TooManyRequestsError
from smallsight.http.admission import Admission


def test_places_are_counted_and_come_back():
    admission = Admission(2)
    with admission.place("a"), pytest.raises(ZeroDivisionError), admission.place("b"):
        with pytest.raises(TooManyRequestsError, match="2 requests are under way, 1 of them yours") as caught:
            admission.require_room("a")
        assert caught.value.retry_after_s == 1
        raise ZeroDivisionError
    assert admission.num_requests == 0


def test_a_stopping_server_takes_nothing_new_and_keeps_what_it_has():
    admission = Admission(2)
    with admission.place("a"):
        admission.is_stopping = True
        with pytest.raises(ServerStoppingError), admission.place("a"):
            pass
        assert admission.num_requests == 1


def test_one_client_cannot_take_every_place():
    admission = Admission(16)
    taken = [admission.place("busy") for _ in range(14)]
    for place in taken:
        place.__enter__()
    with pytest.raises(TooManyRequestsError, match="14 of them yours"):
        admission.require_room("busy")
    with admission.place("single"), admission.place("other"):
        for client in ("busy", "single", "third"):
            with pytest.raises(TooManyRequestsError):
                admission.require_room(client)
    for place in taken:
        place.__exit__(None, None, None)
    assert admission.num_requests == 0
