import sqlite3
from contextlib import closing

import pytest

from smallsight.errors import SettingsError, TooManyRequestsError
from smallsight.generator.callback import JobStatus, description_message, status_message
from smallsight.generator.job import JobRequest
from smallsight.generator.job_store import JobStore, read_undelivered


def request(image=1, attempt=7):
    return JobRequest(
        image_core_id=image, image_path="a.png", model="test", attempt_id=attempt, callback_token="t"
    )


@pytest.fixture
def store(tmp_path):
    with closing(JobStore(tmp_path / "jobs.sqlite3", max_jobs=5)) as store:
        yield store


def bodies(store):
    return [(one.image_core_id, one.body) for one in store.first_callbacks(10)]


def test_a_job_is_removed_with_the_callbacks_that_report_it_and_only_once(store):
    job, _ = store.add(request())
    done = [description_message(job, "a cat"), status_message(job, JobStatus.DONE)]
    assert store.add_messages(job, done, is_done=True)
    assert not store.add_messages(job, done, is_done=True)
    assert store.num_jobs() == 0
    told, callback = [], store.first_callbacks(10)[0]
    while callback is not None:
        told.append(callback.receiver)
        callback = store.accept(callback)
    assert told == ["status_receiver", "description_receiver", "status_receiver"]


def test_a_removed_job_reports_nothing_more(store):
    job, _ = store.add(request())
    store.remove(1)
    assert not store.add_messages(job, [status_message(job, JobStatus.PROCESSING)], is_done=False)
    assert store.count_retry(job) is None


def test_removing_the_jobs_of_a_picture_reports_the_newest_attempt_once(store):
    store.add(request(attempt=7))
    store.add(request(attempt=8))
    jobs, callback_id = store.remove(1)
    assert [job.attempt_id for job in jobs] == [7, 8]
    callback = store.first_callbacks(10)[0]
    seen = []
    while callback is not None:
        seen.append(
            (callback.id == callback_id, '"status": 0' in callback.body, '"attempt_id": 8' in callback.body)
        )
        callback = store.accept(callback)
    assert seen == [(False, False, False), (False, False, True), (True, True, True)]
    assert store.remove(1) == ([], None)


def test_more_jobs_than_allowed_are_refused(store):
    for image in range(5):
        store.add(request(image))
    with pytest.raises(TooManyRequestsError, match="limit 5"):
        store.add(request(6))
    assert store.num_jobs() == 5


def test_a_file_of_the_original_is_taken_over(tmp_path):
    path = tmp_path / "job_queue.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, image_core_id INTEGER, "
            "image_path TEXT NOT NULL, model TEXT NOT NULL)"
        )
        connection.execute("INSERT INTO jobs (image_core_id, image_path, model) VALUES (3, 'a.png', 'test')")
        connection.commit()
    with closing(JobStore(path, max_jobs=5)) as store:
        (job,) = store.oldest(10)
        assert (job.image_core_id, job.retry_count, job.attempt_id, job.callback_token) == (3, 0, None, None)
        assert store.count_retry(job) == 1


def test_one_process_uses_a_file_at_a_time(store, tmp_path):
    with pytest.raises(SettingsError, match="Another generator uses"):
        JobStore(tmp_path / "jobs.sqlite3", max_jobs=5)


def test_a_file_that_is_no_database_is_refused_with_a_sentence(tmp_path):
    path = tmp_path / "text"
    path.write_text("this is a text" * 100)
    with pytest.raises(SettingsError, match="cannot be used"):
        JobStore(path, max_jobs=5)


def test_failed_callbacks_are_listed_without_their_tokens(store, tmp_path):
    store.add(request())
    store.add(request(2))
    first, second = store.first_callbacks(10)
    store.count_failure(first, "response code 500")
    store.abandon(second, "response code 401")
    listed = read_undelivered(tmp_path / "jobs.sqlite3")
    assert listed == store.undelivered()
    by_picture = {one.image_core_id: one for one in listed}
    assert (by_picture[1].why, by_picture[1].ended_s, by_picture[1].num_tries) == (
        "response code 500",
        None,
        1,
    )
    assert by_picture[2].ended_s is not None
    assert (by_picture[2].status, by_picture[2].attempt_id) == (1, 7)
