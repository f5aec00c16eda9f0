"""The actor of ``smallsight caption --ray``: one process on a machine of the cluster, with one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from smallsight.captioning.caption_columns import CaptionColumns
from smallsight.captioning.captioner import CaptionResult, HashedPicture
from smallsight.ray.node_settings import worker_settings
from smallsight.services.captioning import AskedColumns, local_captioner
from smallsight.services.describing import load_describing_model

__all__ = ["CaptioningActor"]


class CaptioningActor:
    """A worker; ``open`` it before anything else."""

    def __init__(self, shared: Mapping[str, Any], asked: AskedColumns) -> None:
        self._shared = shared
        self._asked = asked
        self._opened = ExitStack()

    def open(self) -> CaptionColumns:
        """Load the model and return the columns of its rows; raises subclasses of SmallsightError."""
        settings = worker_settings(self._shared)
        self._captioner = self._opened.enter_context(
            local_captioner(settings, self._asked, lambda: load_describing_model(settings, for_many=True))
        )
        return self._captioner.columns

    def results(self, pictures: Sequence[HashedPicture]) -> list[CaptionResult]:
        """Answer a batch."""
        return list(self._captioner.results(pictures))
