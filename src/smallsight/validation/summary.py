"""What all pictures of a validation say together: the quality of each, and the means over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from smallsight.validation.bootstrap import bootstrap_interval
from smallsight.validation.result import Interval, PictureResult, Summary, TextScores, TokenScores

__all__ = ["picture_quality", "summarize"]

_NOTHING = Interval(mean=0.0, low=0.0, high=0.0)


def picture_quality(text: TextScores, tokens: TokenScores | None) -> float:
    """Return the quality of the variant's answer about one picture, 0 to 1, 1 where it is the base's.

    The first of these that was measured:

    1. for tasks that read text: 1 - the character error rate; for tasks that find places: the F1 of boxes;
       for tasks that do both: the lower one;
    2. where the distributions of both models are known: the share of tokens of the base's answer that both
       rank first;
    3. for answers of another server, of which only texts are known: 1 if they are equal, otherwise the
       similarity of their embeddings, or chrF / 100 without a text embedder.
    """
    of_task = [] if text.error_rate is None else [1.0 - text.error_rate]
    of_task += [] if text.box_overlap is None else [text.box_overlap]
    if of_task:
        return max(0.0, min(of_task))
    if tokens is not None and tokens.num_tokens:
        return tokens.agreement
    if text.is_exact:
        return 1.0
    return max(0.0, text.chrf / 100 if text.similarity is None else text.similarity)


def summarize(pictures: Sequence[PictureResult]) -> Summary:
    """Return the means, with intervals, over all pictures that both models answered.

    An answer counts as gibberish only where the base's is not. A score that some pictures lack is averaged
    over the others. Without any picture the means are 0.
    """
    compared = [one for one in pictures if not one.problem and one.text is not None]
    texts = [one.text for one in compared if one.text is not None]
    tokens = [one.tokens for one in compared if one.tokens is not None and one.tokens.num_tokens]
    qualities = [
        picture_quality(one.text, one.tokens) if one.quality is None else one.quality
        for one in compared
        if one.text is not None
    ]
    return Summary(
        num_pictures=len(compared),
        num_problems=len(pictures) - len(compared),
        num_gibberish=sum(bool(one.gibberish) and not one.base_gibberish for one in compared),
        exact=_mean(float(one.is_exact) for one in texts) or _NOTHING,
        quality=_mean(qualities) or _NOTHING,
        bleu=_mean(one.bleu for one in texts) or _NOTHING,
        chrf=_mean(one.chrf for one in texts) or _NOTHING,
        similarity=_mean(one.similarity for one in texts),
        agreement=_mean(one.agreement for one in tokens),
        kl_nats=_mean(one.kl_nats for one in tokens),
        error_rate=_mean(one.error_rate for one in texts),
        box_overlap=_mean(one.box_overlap for one in texts),
    )


def _mean(values: Iterable[float | None]) -> Interval | None:
    measured = [value for value in values if value is not None]
    return bootstrap_interval(measured) if measured else None
