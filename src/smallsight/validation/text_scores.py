"""How similar two answers are as texts: exact match, BLEU, chrF, and character errors of text that was read.

BLEU and chrF are sacrebleu's, with its defaults except where these are wrong for short answers: see
``score_texts``. The extra ``validate`` installs it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from smallsight.errors import MissingExtraError
from smallsight.validation.character_errors import character_error_rate
from smallsight.validation.result import TextScores
from smallsight.validation.spaceless_scripts import SPACELESS

__all__ = ["require_text_metrics", "score_texts"]

_SPACELESS = re.compile(f"([{SPACELESS}])")


def score_texts(
    base: str,
    variant: str,
    *,
    similarity: float | None = None,
    reads_text: bool = False,
    box_overlap: float | None = None,
) -> TextScores:
    """Return the scores of ``variant`` with ``base`` as its reference; raises MissingExtraError.

    ``similarity`` and ``box_overlap`` are measured elsewhere and passed on. ``reads_text`` asks for the
    character error rate. What differs from calling sacrebleu with its defaults:

    - Answers that differ only in whitespace score 100, two empty ones included. sacrebleu gives corpus BLEU 0
      to equal texts below four words, and chrF 0 to empty ones. An empty answer beside another scores 0.
    - BLEU is that of a sentence with effective order: an answer of two words has no runs of three or four
      words, and they do not count.
    - Each character of a script without spaces is a token of its own, as in sacrebleu's "zh" and "char".
    """
    base, variant = " ".join(base.split()), " ".join(variant.split())
    is_exact = base == variant
    bleu = chrf = 100.0 if is_exact else 0.0
    if base and variant and not is_exact:
        bleu_metric, chrf_metric = _metrics()
        bleu = bleu_metric.sentence_score(_in_tokens(variant), [_in_tokens(base)]).score
        chrf = chrf_metric.sentence_score(variant, [base]).score
    return TextScores(
        is_exact=is_exact,
        bleu=min(bleu, 100.0),  # rounding
        chrf=min(chrf, 100.0),
        similarity=None if similarity is None else min(max(similarity, -1.0), 1.0),
        error_rate=character_error_rate(base, variant) if reads_text else None,
        box_overlap=box_overlap,
    )


def require_text_metrics() -> None:
    """Import what ``score_texts`` needs, before a long measurement; raises MissingExtraError."""
    _metrics()


@cache
def _metrics() -> tuple[Any, Any]:
    """Return sacrebleu's BLEU and chrF; importing them takes most of a second."""
    try:
        from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415 - an extra
        from sacrebleu.metrics.chrf import CHRF  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(
            "Comparing answers needs the package sacrebleu.", hint="pip install 'smallsight[validate]'"
        ) from error
    return BLEU(effective_order=True), CHRF()


def _in_tokens(text: str) -> str:
    return _SPACELESS.sub(r" \1 ", text)
