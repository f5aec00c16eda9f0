import json

import pytest

from smallsight.errors import SettingsError
from smallsight.generator.app_client import app_address
from smallsight.generator.callback import AnswerMeaning, JobStatus, judge, pause_s, status_message
from smallsight.generator.job import QueuedJob


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, AnswerMeaning.ACCEPTED),
        (204, AnswerMeaning.ACCEPTED),
        (401, AnswerMeaning.REFUSED),
        (422, AnswerMeaning.REFUSED),
        (301, AnswerMeaning.LATER),
        (404, AnswerMeaning.LATER),
        (500, AnswerMeaning.LATER),
        (429, AnswerMeaning.APP_AWAY),
        (502, AnswerMeaning.APP_AWAY),
        (503, AnswerMeaning.APP_AWAY),
    ],
)
def test_what_a_status_of_the_application_means(status, verdict):
    assert judge(status) is verdict


def test_pauses_double_up_to_the_longest():
    assert [pause_s(tries, 1, 60) for tries in (0, 1, 2, 3, 6, 7, 8, 10_000)] == [1, 1, 2, 4, 32, 60, 60, 60]


def test_attempt_and_token_are_both_present_or_both_absent():
    def data(attempt_id, token):
        job = QueuedJob(1, 2, "p", "test", 0, attempt_id, token)
        return set(json.loads(status_message(job, JobStatus.DONE).body)["data"])

    assert data(5, "t") == {"image_core_id", "status", "attempt_id", "callback_token"}
    assert data(None, "t") == data(5, None) == data(None, None) == {"image_core_id", "status"}


def test_the_application_is_where_the_originals_variables_say(monkeypatch):
    for name in ("GEN_URL", "APP_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert app_address(None) == "http://127.0.0.1:3000/image_cores/"
    monkeypatch.setenv("APP_PORT", "3210")
    assert app_address(None) == "http://127.0.0.1:3210/image_cores/"
    monkeypatch.setenv("GEN_URL", "http://meme_search:3000")
    assert app_address(None) == "http://meme_search:3000/image_cores/"
    assert app_address("https://memes.example/sub/") == "https://memes.example/sub/image_cores/"


@pytest.mark.parametrize(
    "url",
    ["meme_search:3000", "ftp://a", "http://", "http://a?x=1", "http://a:99999", "http://a#b", "http://a:0"],
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(SettingsError, match="cannot be used"):
        app_address(url)
