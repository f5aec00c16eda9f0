from smallsight.generator.job import QueuedJob
from smallsight.generator.job_order import MAX_TURN, next_jobs


def job(number, image=None, model="a"):
    return QueuedJob(number, number if image is None else image, "p", model, 0, None, None)


def ids(jobs, running=(), paused=(), num_free=4, num_started=0):
    return [one.id for one in next_jobs(jobs, running, set(paused), num_free, num_started)]


def test_the_oldest_jobs_start_first_up_to_the_free_places():
    assert ids([job(number) for number in range(6)]) == [0, 1, 2, 3]


def test_jobs_of_the_running_model_are_chosen_from_further_back():
    jobs = [job(0), job(1, model="b"), job(2), job(3, model="b"), job(4)]
    assert ids(jobs) == [0, 2, 4]
    assert ids(jobs, running=[jobs[0]]) == [2, 4]


def test_a_model_that_has_had_its_turn_lets_older_jobs_of_others_go_first():
    jobs = [job(1, model="b"), job(2)]
    assert ids(jobs, running=[job(0)], num_started=MAX_TURN - 1) == [2]
    assert ids(jobs, running=[job(0)], num_started=MAX_TURN) == []
    assert ids(jobs) == [1]


def test_a_long_turn_goes_on_while_no_other_model_waits():
    assert ids([job(1)], running=[job(0)], num_started=10 * MAX_TURN) == [1]


def test_jobs_of_one_picture_run_one_after_another():
    jobs = [job(1, image=7), job(2, image=7), job(3)]
    assert ids(jobs) == [1, 3]
    assert ids(jobs, running=[jobs[0]]) == [3]


def test_a_later_job_of_a_picture_waits_for_one_that_is_tried_again():
    assert ids([job(1, image=7), job(2, image=7), job(3)], paused=[1]) == [3]


def test_a_later_job_of_a_picture_waits_for_one_of_another_model():
    assert ids([job(1), job(2, image=7, model="b"), job(3, image=7)]) == [1]
