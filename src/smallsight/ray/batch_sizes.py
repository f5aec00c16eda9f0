"""How much work a worker of a cluster gets at once, by the pace of its model.

A batch is long enough to answer several pictures together, and short enough that no worker is left alone with
the last one for long, nor takes all of a small run before the others have loaded the model.
"""

from __future__ import annotations

__all__ = ["batches_ahead", "pictures_in_batch"]

_FEWEST, _MOST = 4, 16
_BATCH_S = 5.0  # of work
_SLOW_PICTURE_S = 0.25  # from which waiting for the next batch is nothing beside the work


def pictures_in_batch(picture_s: float | None) -> int:
    """Return how many pictures make a batch, from the seconds that one takes; None before that is known."""
    if picture_s is None:
        return _FEWEST
    return max(_FEWEST, min(_MOST, int(_BATCH_S / max(picture_s, 1e-3))))


def batches_ahead(picture_s: float | None) -> int:
    """Return how many batches a worker has: a fast one has another waiting."""
    return 2 if picture_s is not None and picture_s < _SLOW_PICTURE_S else 1
