"""Which side is loaded when, and what is left of a plan after an interruption."""

from __future__ import annotations

import random

from smallsight.validation.visit_plan import BASE, Finished, Visit, plan_visits, remaining, spread_evenly


def test_sides_take_turns_and_go_to_and_fro():
    visits = plan_visits(["int8", "int4"], 2, 3, scored={"int8", "int4"})
    assert [(visit.round, visit.side) for visit in visits] == [
        *((0, BASE), (0, "int8"), (0, "int4")),
        *((1, "int4"), (1, "int8"), (1, BASE)),
        *((2, BASE), (2, "int8"), (2, "int4")),
    ]


def test_only_the_first_round_answers_every_picture_and_compares_tokens():
    visits = plan_visits(["int8"], 64, 2, scored={"int8"})
    everything = tuple(range(64))
    assert visits[0] == Visit(0, BASE, everything, everything)
    assert visits[1] == Visit(0, "int8", everything, everything)
    assert {(len(visit.answers), visit.scores) for visit in visits[2:]} == {(16, ())}


def test_a_base_scores_only_for_variants_that_can_be_compared():
    base, server = plan_visits(["server"], 3, 1, scored=())
    assert base.scores == server.scores == ()
    base, server, local = plan_visits(["server", "int8"], 3, 1, scored={"int8"})
    assert (base.scores, server.scores, local.scores) == ((0, 1, 2), (), (0, 1, 2))


def test_numbers_are_spread_evenly_from_the_first():
    assert spread_evenly(3, 16) == (0, 1, 2)
    assert spread_evenly(10, 4) == (0, 2, 5, 7)


def test_distributions_on_disk_are_not_made_again_and_lost_ones_are_not_waited_for():
    visits = plan_visits(["int8"], 4, 1, scored={"int8"})
    finished = Finished(kept={0}, lost={1}, compared={"int8": {2}})
    base, variant = remaining(visits, finished)
    assert base.scores == (3,)
    assert variant.scores == (0, 3)


def test_distributions_are_needed_until_the_last_variant_has_compared():
    visits = plan_visits(["int8", "int4"], 1, 1, scored={"int8", "int4"})
    finished = Finished(compared={"int8": {0}})
    assert not finished.is_compared(0, ["int8", "int4"])
    assert [visit.scores for visit in remaining(visits, finished)] == [(0,), (), (0,)]
    finished.compared["int4"] = {0}
    assert finished.is_compared(0, ["int8", "int4"])
    assert all(visit.scores == () for visit in remaining(visits, finished))


def do_one_piece(visit: Visit, finished: Finished) -> None:
    """Finish the first piece of a visit, as a run does."""
    if visit.answers:
        finished.answered.setdefault((visit.round, visit.side), set()).add(visit.answers[0])
    elif visit.side == BASE:
        finished.kept.add(visit.scores[0])
    else:
        assert visit.scores[0] in finished.kept, "a variant compares with what is on disk"
        finished.compared.setdefault(visit.side, set()).add(visit.scores[0])


def test_work_that_is_interrupted_after_any_piece_is_done_once():
    values = random.Random(0)
    for _ in range(50):
        variants = [f"variant-{number}" for number in range(values.randint(1, 3))]
        visits = plan_visits(variants, values.randint(1, 5), values.randint(1, 3), scored=variants)
        finished, num_done = Finished(), 0
        while left := remaining(visits, finished):
            for _ in range(values.randint(1, left[0].num_pieces)):
                do_one_piece(remaining(visits, finished)[0], finished)
                num_done += 1
        assert num_done == sum(visit.num_pieces for visit in visits)
