from smallsight.model.answer import Answer, Timings, Usage
from smallsight.services.result_cache import ResultCache


def answer(text: str, reason: str = "stop") -> Answer:
    return Answer(text, (1, 2), reason, Usage(5, 3, 2, 1), Timings(total_s=9.0), "m", {"boxes": []})


def test_a_hit_says_the_same_and_took_no_time():
    cache = ResultCache(100_000)
    assert cache.find(b"k") is None
    cache.remember(b"k", [answer("yes")])
    (found,) = cache.find(b"k")
    assert (found.text, found.finish_reason, found.usage) == ("yes", "stop", Usage(5, 3, 2, 1))
    assert found.timings == Timings()
    assert (cache.num_hits, cache.num_misses, len(cache)) == (1, 1, 1)


def test_bytes_are_bounded_and_the_least_recently_used_goes():
    cache = ResultCache(5_000)
    for key in (b"a", b"b", b"c"):
        cache.remember(key, [answer("x" * 100)])
    assert cache.find(b"a") is not None
    cache.remember(b"d", [answer("x" * 100)])
    assert cache.find(b"b") is None
    assert cache.find(b"a") is not None
    cache.remember(b"e", [answer("x" * 10_000)])  # larger than everything
    assert cache.find(b"e") is None
    assert cache.num_bytes <= cache.max_bytes


def test_what_was_given_up_is_not_kept():
    cache = ResultCache(100_000)
    for reason in ("cancelled", "error"):
        cache.remember(b"k", [answer("half", reason)])
    assert cache.find(b"k") is None
    nothing = ResultCache(0)
    nothing.remember(b"k", [answer("yes")])
    assert nothing.find(b"k") is None
