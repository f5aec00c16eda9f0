import pytest

from smallsight.errors import ServerStoppingError, TooManyRequestsError
from smallsight.server.admission import Admission


def test_places_are_counted_and_come_back():
    admission = Admission(2)
    with admission.place(), pytest.raises(ZeroDivisionError), admission.place():
        with pytest.raises(TooManyRequestsError, match="2 requests are under way") as caught:
            admission.require_room()
        assert caught.value.retry_after_s == 1
        raise ZeroDivisionError
    assert admission.num_requests == 0


def test_a_stopping_server_takes_nothing_new_and_keeps_what_it_has():
    admission = Admission(2)
    with admission.place():
        admission.is_stopping = True
        with pytest.raises(ServerStoppingError), admission.place():
            pass
        assert admission.num_requests == 1
