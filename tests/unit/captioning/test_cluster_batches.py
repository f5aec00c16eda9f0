"""How many pictures a worker of a cluster is given at once."""

from __future__ import annotations

import pytest

from smallsight.ray.batch_sizes import batches_ahead, pictures_in_batch


@pytest.mark.parametrize(
    ("picture_s", "pictures", "batches"),
    [(None, 4, 1), (0.0, 16, 2), (0.02, 16, 2), (0.3, 16, 1), (0.5, 10, 1), (3.0, 4, 1), (60.0, 4, 1)],
)
def test_slow_models_get_few_pictures_and_nothing_ahead(picture_s, pictures, batches):
    """Two batches of 16 to the worker that was there first were all of a run of 24 pictures."""
    assert (pictures_in_batch(picture_s), batches_ahead(picture_s)) == (pictures, batches)
