from smallsight.policy.still_files import StillFiles


def test_a_file_is_still_after_a_second_without_changes():
    still = StillFiles()
    assert not still.is_still("a", 10, 1, now_s=0.0)
    assert not still.is_still("a", 20, 1, now_s=0.9)
    assert not still.is_still("a", 20, 2, now_s=1.8)
    assert not still.is_still("a", 20, 2, now_s=2.7)
    assert still.is_still("a", 20, 2, now_s=2.9)
    assert still.is_still("a", 20, 2, now_s=3.0)
    assert not still.is_still("a", 30, 3, now_s=3.1)


def test_files_that_are_asked_no_more_are_forgotten():
    still = StillFiles()
    still.is_still("gone", 1, 1, now_s=0.0)
    still.is_still("new", 1, 1, now_s=700.0)
    still.forget_old(now_s=701.0)
    assert len(still) == 1
    assert still.is_still("new", 1, 1, now_s=702.0)
