"""The scheduler and the block pool under random workloads."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invariants import blocks_are_conserved, tables_cover_what_is_computed
from smallsight.engine.decoding.block_pool import NO_KEY, BlockPool, chain_key
from smallsight.engine.decoding.scheduler import Scheduler
from smallsight.engine.decoding.token_sequence import SequenceState, TokenSequence
from smallsight.engine.sampling_options import SamplingOptions

BLOCK = 4
CHUNK = 8


def sequence(number, length, max_tokens=3, start=0, *, is_ready=True, client=""):
    ids = list(range(start, start + length))
    options = SamplingOptions(max_tokens=max_tokens)
    return TokenSequence(number, list(ids), ids, options, is_ready=is_ready, client=client)


def scheduler(num_blocks=64, **options):
    options = {"max_sequences": 4, "chunk_tokens": CHUNK, "max_step_tokens": 16, **options}
    return Scheduler(BlockPool(num_blocks, BLOCK), context_tokens=1000, **options)


def run_step(planner, log=None):
    """Compute a step; token ids chosen are 7, and a sequence ends at its max_tokens."""
    chunks = planner.next_step()
    ended = {
        chunk.sequence.id
        for chunk in chunks
        if chunk.samples and len(chunk.sequence.output_token_ids) + 1 >= chunk.sequence.options.max_tokens
    }
    for chunk in chunks:
        assert chunk.begin == chunk.sequence.num_computed_tokens
        assert len(chunk.sequence.block_table) * BLOCK >= chunk.end
        if log is not None:
            log.append((chunk.sequence.id, chunk.begin, chunk.end))
    planner.complete(chunks, {chunk.sequence.id: 7 for chunk in chunks if chunk.samples}, ended)
    return chunks


def run_until_idle(planner, max_steps=2000):
    for _ in range(max_steps):
        if planner.is_idle:
            return
        run_step(planner)
    raise AssertionError("the scheduler never became idle")


@st.composite
def workloads(draw):
    return (
        draw(st.integers(2, 24)),  # blocks
        draw(
            st.lists(
                st.tuples(st.integers(1, 60), st.integers(1, 12), st.integers(0, 2)), min_size=1, max_size=9
            )
        ),
        draw(st.integers(0, 2**32)),
    )


@settings(max_examples=200, deadline=None)
@given(workloads())
def test_every_sequence_ends_and_blocks_are_conserved(workload):
    num_blocks, wanted, seed = workload
    planner, dice = scheduler(num_blocks), random.Random(seed)
    arriving = [
        sequence(n, length, tokens, start * 1000, client=dice.choice("ab"))
        for n, (length, tokens, start) in enumerate(wanted)
    ]
    alive, everything, failed = [], list(arriving), []
    for _ in range(3000):
        if arriving and dice.random() < 0.4:
            alive.append(arriving.pop(0))
            planner.add(alive[-1])
        if alive and dice.random() < 0.03:
            planner.cancel(dice.choice(alive).id)
        run_step(planner)
        failed += planner.take_failed()
        alive = [one for one in alive if one.state is not SequenceState.FINISHED]
        blocks_are_conserved(planner.pool, alive)
        tables_cover_what_is_computed(planner.pool, alive)
        if not arriving and planner.is_idle:
            break
    assert all(one.state is SequenceState.FINISHED for one in everything)
    assert planner.pool.num_free == num_blocks
    for one in failed:
        assert one.num_tokens > (num_blocks - 1) * BLOCK - 1, "a sequence that would have fitted was given up"


@given(st.integers(1, 100), st.integers(1, 30), st.sets(st.integers(1, 24)))
def test_prompts_are_cut_at_the_same_places_in_any_company(length, others, cut_blocks):
    cuts = tuple(BLOCK * block for block in sorted(cut_blocks))

    def pieces(company):
        planner, log = scheduler(), []
        for number in range(company):
            planner.add(sequence(100 + number, 10 + number * 7, 2, start=5000 * (number + 1)))
        planner.add(watched := sequence(1, length))
        watched.cuts = cuts
        while not planner.is_idle:
            run_step(planner, log)
        return [(begin, end) for number, begin, end in log if number == 1]

    alone = pieces(0)
    assert alone == pieces(min(others, 6))
    assert all(begin % CHUNK == 0 or begin in cuts or begin >= length for begin, _ in alone)
    assert {cut for cut in cuts if cut < length} <= {begin for begin, _ in alone}


def test_what_was_generated_is_computed_again_one_by_one():
    planner = scheduler(num_blocks=6)
    old, young = sequence(1, 8, max_tokens=8), sequence(2, 4, max_tokens=8, start=900)
    planner.add(old)
    planner.add(young)
    log = []
    while not planner.is_idle:
        run_step(planner, log)
    again = [(begin, end) for number, begin, end in log if number == 2]
    assert again.count((0, 4)) == 2, "the pool was meant to be too small for both"
    assert all(end - begin == 1 for begin, end in again if begin >= 4)


def test_everyone_who_generates_gets_a_token_each_step():
    planner = scheduler(max_step_tokens=8)
    for number in range(3):
        planner.add(sequence(number, 2, max_tokens=50, start=1000 * number))
    for _ in range(4):
        run_step(planner)
    planner.add(sequence(9, 60, start=9000))
    for _ in range(10):
        assert {chunk.sequence.id for chunk in run_step(planner)} >= {0, 1, 2}
    assert len(planner.running[-1].output_token_ids) > 0, "the long prompt starved"


def test_first_come_first_served():
    planner = scheduler(max_sequences=1)
    for number in range(3):
        planner.add(sequence(number, 5, max_tokens=1, start=number * 100))
    served = [run_step(planner)[0].sequence.id for _ in range(3)]
    assert served == [0, 1, 2]


def test_a_client_with_many_requests_does_not_keep_another_out():
    planner = scheduler(max_sequences=2)
    for number in range(50):
        planner.add(sequence(number, 4, max_tokens=4, start=number * 100, client="busy"))
    run_step(planner)
    planner.add(single := sequence(99, 4, max_tokens=1, start=90_000, client="single"))
    num_steps = 0
    while single.state is not SequenceState.FINISHED:
        run_step(planner)
        num_steps += 1
    assert num_steps <= 5, "it waited for more than one answer of the other client"


def test_a_client_with_long_prompts_does_not_keep_another_waiting():
    planner = scheduler(max_sequences=8, max_step_tokens=CHUNK)
    for number in range(4):
        planner.add(sequence(number, 80, start=number * 1000, client="busy"))
    planner.add(single := sequence(99, 16, max_tokens=1, start=90_000, client="single"))
    num_steps = 0
    while single.state is not SequenceState.FINISHED:
        run_step(planner)
        num_steps += 1
    assert num_steps <= 4, "its two pieces take every other step"


def test_one_that_is_not_ready_lets_others_pass():
    planner = scheduler()
    planner.add(slow := sequence(1, 4, is_ready=False))
    planner.add(sequence(2, 4, start=500))
    assert [chunk.sequence.id for chunk in run_step(planner)] == [2]
    slow.is_ready = True
    assert 1 in [chunk.sequence.id for chunk in run_step(planner)]


def test_a_shared_beginning_is_computed_once():
    planner = scheduler()
    planner.add(sequence(1, 30, max_tokens=1))
    run_until_idle(planner)
    planner.add(second := sequence(2, 30, max_tokens=1))
    first = run_step(planner)[0]
    assert (first.begin, second.num_cached_tokens) == (24, 24)  # whole chunks, and never the last token


def test_a_beginning_is_shared_up_to_a_cut():
    planner = scheduler()
    planner.add(first := sequence(1, 30, max_tokens=1))
    first.cuts = (12,)
    run_until_idle(planner)
    second, third = sequence(2, 30, max_tokens=1), sequence(3, 30, max_tokens=1)
    second.identities[13] = third.identities[13] = -5
    second.cuts = (12,)
    planner.add(second)
    planner.add(third)
    begins = {chunk.sequence.id: chunk.begin for chunk in run_step(planner)}
    assert begins == {2: 12, 3: 8}  # the third is not cut there: alone, it would not have been either
    assert (second.num_cached_tokens, third.num_cached_tokens) == (12, 8)


def test_what_differs_is_not_shared():
    planner = scheduler()
    planner.add(sequence(1, 30, max_tokens=1))
    run_until_idle(planner)
    planner.add(other := sequence(2, 30, max_tokens=1))
    other.identities[3] = -5
    assert run_step(planner)[0].begin == 0


def test_cancelling_gives_the_blocks_back_at_once():
    planner = scheduler()
    planner.add(sequence(1, 30))
    run_step(planner)
    assert planner.pool.num_used
    planner.cancel(1)
    assert planner.pool.num_used == 0
    assert planner.is_idle


def test_one_that_can_never_fit_fails_and_others_go_on():
    planner = scheduler(num_blocks=4)
    planner.add(large := sequence(1, 100))
    planner.add(sequence(2, 4, max_tokens=1, start=700))
    assert [chunk.sequence.id for chunk in run_step(planner)] == [2]
    assert planner.take_failed() == [large]
    assert planner.take_failed() == []


def test_the_pool_forgets_the_longest_unused_first():
    pool = BlockPool(2, BLOCK)
    keys = [chain_key(NO_KEY, [number] * BLOCK) for number in range(2)]
    for key in keys:
        (block,) = pool.allocate(1)
        pool.publish(block, key)
        pool.release([block])
    found = pool.find_prefix([0] * BLOCK, BLOCK)
    assert len(found) == 1
    pool.release(found)
    pool.allocate(1)
    assert pool.find_prefix([1] * BLOCK, BLOCK) == []
    assert len(pool.find_prefix([0] * BLOCK, BLOCK)) == 1


def test_the_pool_says_no_when_it_is_empty():
    pool = BlockPool(2, BLOCK)
    assert pool.allocate(3) is None
    assert sorted(pool.allocate(2)) == [0, 1]
    assert pool.allocate(1) is None


@pytest.mark.parametrize("remembers", [True, False])
def test_a_pool_may_be_told_not_to_remember(remembers):
    pool = BlockPool(2, BLOCK, remembers=remembers)
    (block,) = pool.allocate(1)
    pool.publish(block, chain_key(NO_KEY, [1] * BLOCK))
    assert bool(pool.find_prefix([1] * BLOCK, BLOCK)) is remembers


def prefixed(number, prefix, rest, *, picture=0, max_tokens=3):
    """A prompt whose first tokens see one another; equal pictures have equal prefixes."""
    start = 100_000 * (picture + 1)
    ids = [*range(start, start + prefix), *range(number * 100, number * 100 + rest)]
    return TokenSequence(number, list(ids), ids, SamplingOptions(max_tokens=max_tokens), prefix_tokens=prefix)


@st.composite
def pictures(draw):
    return (
        draw(st.integers(4, 24)),  # blocks
        draw(st.lists(st.sampled_from([5, 8, 11, 16]), min_size=3, max_size=3)),  # prefix of each picture
        draw(
            st.lists(
                st.tuples(st.integers(0, 2), st.integers(1, 20), st.integers(1, 8)), min_size=1, max_size=9
            )
        ),
        draw(st.integers(0, 2**32)),
    )


@settings(max_examples=200, deadline=None)
@given(pictures())
def test_prefixes_are_never_cut_and_copies_are_of_what_was_computed(workload):
    """Plays the cache too: what each block holds is what the sequence that reads it would have written."""
    num_blocks, prefixes, wanted, seed = workload
    planner, dice, held = scheduler(num_blocks), random.Random(seed), {}
    everything = [
        prefixed(number, prefixes[picture], rest, picture=picture, max_tokens=tokens)
        for number, (picture, rest, tokens) in enumerate(wanted)
    ]
    arriving, alive = list(everything), []
    for _ in range(3000):
        if arriving and dice.random() < 0.4:
            alive.append(arriving.pop(0))
            planner.add(alive[-1])
        if alive and dice.random() < 0.03:
            planner.cancel(dice.choice(alive).id)
        chunks = planner.next_step()
        for source, target in planner.take_copies():
            for place in range(BLOCK):
                held[target, place] = held.get((source, place))
        for chunk in chunks:
            one = chunk.sequence
            assert one.prefix_tokens <= chunk.begin or (chunk.begin, chunk.end) == (0, one.prefix_tokens)
            for at in range(chunk.begin):
                block, place = one.block_table[at // BLOCK], at % BLOCK
                assert held[block, place] == one.identities[at], "a block does not hold what is read from it"
            for at in range(chunk.begin, chunk.end):
                held[one.block_table[at // BLOCK], at % BLOCK] = one.identities[at]
        done = {
            c.sequence.id
            for c in chunks
            if c.samples and len(c.sequence.output_token_ids) + 1 >= c.sequence.options.max_tokens
        }
        planner.complete(chunks, {c.sequence.id: 7 for c in chunks if c.samples}, done)
        planner.take_failed()
        alive = [one for one in alive if one.state is not SequenceState.FINISHED]
        blocks_are_conserved(planner.pool, alive)
        tables_cover_what_is_computed(planner.pool, alive)
        if not arriving and planner.is_idle:
            break
    assert all(one.state is SequenceState.FINISHED for one in everything)
    assert planner.pool.num_free == num_blocks


@pytest.mark.parametrize("prefix", [3, 8, 11])
def test_a_second_question_about_a_picture_computes_only_itself(prefix):
    planner, log = scheduler(), []
    for number, picture in ((1, 0), (2, 0), (3, 1)):
        planner.add(prefixed(number, prefix, 5, picture=picture, max_tokens=1))
        while not planner.is_idle:
            run_step(planner, log)
    assert log == [
        (1, 0, prefix),
        (1, prefix, prefix + 5),
        (2, prefix, prefix + 5),
        (3, 0, prefix),
        (3, prefix, prefix + 5),
    ]
    copies = planner.take_copies()
    assert len(copies) == (1 if prefix % BLOCK else 0)
    assert all(source != target for source, target in copies)


def test_a_long_question_after_a_prefix_is_cut_in_its_own_chunks():
    planner, log = scheduler(), []
    planner.add(prefixed(1, 11, 2 * CHUNK + 3, max_tokens=1))
    while not planner.is_idle:
        run_step(planner, log)
    assert [end - begin for _, begin, end in log] == [11, CHUNK, CHUNK, 3]


def test_a_prefix_whose_last_block_is_forgotten_is_computed_again():
    planner, log = scheduler(num_blocks=5), []
    planner.add(prefixed(1, 11, 2, max_tokens=1))
    while not planner.is_idle:
        run_step(planner, log)
    planner.pool.release(planner.pool.allocate(3))  # forgets the block that the prefix fills in part first
    planner.add(prefixed(2, 11, 2, max_tokens=1))
    while not planner.is_idle:
        run_step(planner, log)
    assert log[2:] == [(2, 0, 11), (2, 11, 13)]
    assert planner.take_copies() == []


def test_what_was_is_forgotten_before_more_memory_is_touched():
    pool = BlockPool(8, BLOCK, comfortable_blocks=4)
    first = pool.allocate(3)
    for number, block in enumerate(first):
        pool.publish(block, bytes([number]))
    pool.release(first)
    assert pool.allocate(3) == [3, 2, 1]  # the only untouched comfortable one, then the oldest known
    assert pool.share(bytes([0])) == 0
    assert pool.allocate(4) == [4, 5, 6, 7]  # nothing left to forget
    assert pool.allocate(1) is None
