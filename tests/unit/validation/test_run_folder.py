"""The journal of an unfinished validation: what it keeps, and what a killed process leaves behind."""

from __future__ import annotations

import pytest

from smallsight.errors import StorageError
from smallsight.validation.measuring_records import AnswerRecord, LoadedRecord, ScoreRecord
from smallsight.validation.run_folder import open_run_folder
from smallsight.validation.visit_plan import BASE

IDENTITY = {"question": "What is it?", "pictures": [["a.png", "00"]]}
ANSWER = AnswerRecord(text="A cat.", token_ids=(5, 6, 7), num_tokens=3, peak_bytes=1000)


def opened(parent, identity=IDENTITY, *, is_fresh=False):
    return open_run_folder(parent, identity, is_fresh=is_fresh)


def write_some(folder):
    folder.add_loaded(BASE, LoadedRecord(key="k", load_s=1.5))
    folder.add_answer(0, BASE, 0, ANSWER)
    folder.add_answer(0, BASE, 1, AnswerRecord(problem="It cannot be read."))
    folder.distributions(0).write_bytes(b"numbers")
    folder.add_kept(0, ScoreRecord(num_bytes=7))


def test_everything_finished_is_there_again(tmp_path):
    with opened(tmp_path) as folder:
        write_some(folder)
    with opened(tmp_path) as folder:
        assert folder.is_continued
        assert folder.records.answers[0, BASE, 0] == ANSWER
        assert folder.records.loaded[BASE] == [LoadedRecord(key="k", load_s=1.5)]
        finished = folder.finished()
        assert finished.answered == {(0, BASE): {0, 1}}
        assert (finished.kept, finished.lost) == ({0}, {1})


def test_half_a_line_is_cut_off_and_the_journal_goes_on(tmp_path):
    with opened(tmp_path) as folder:
        write_some(folder)
        journal = folder.path / "journal.jsonl"
    with journal.open("ab") as file:
        file.write(b'{"piece": "answer", "round": 0, "si')
    with opened(tmp_path) as folder:
        folder.add_answer(0, "int8", 0, ANSWER)
    with opened(tmp_path) as folder:
        assert folder.records.answers.keys() == {(0, BASE, 0), (0, BASE, 1), (0, "int8", 0)}


def test_a_damaged_journal_is_begun_again(tmp_path):
    with opened(tmp_path) as folder:
        write_some(folder)
        (folder.path / "journal.jsonl").write_text('{"piece": "answer"}\nnonsense\n')
    with opened(tmp_path) as folder:
        assert not folder.is_continued


def test_distributions_that_are_gone_are_made_again(tmp_path):
    with opened(tmp_path) as folder:
        write_some(folder)
        folder.distributions(0).unlink()
        assert folder.finished().kept == set()


def test_other_work_has_another_folder_and_fresh_work_an_empty_one(tmp_path):
    with opened(tmp_path) as folder:
        write_some(folder)
    with opened(tmp_path, {**IDENTITY, "question": "Why?"}) as other:
        assert not other.is_continued
    with opened(tmp_path, is_fresh=True) as folder:
        assert not folder.is_continued


def test_two_processes_do_not_work_on_the_same(tmp_path):
    with (
        opened(tmp_path),
        pytest.raises(StorageError, match="is being changed by another program"),
        opened(tmp_path),
    ):
        pass


def test_nothing_stays_of_what_is_complete(tmp_path):
    with opened(tmp_path) as folder:
        write_some(folder)
        folder.remove()
    assert list(tmp_path.iterdir()) == []
