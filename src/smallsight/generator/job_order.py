"""Decides which jobs start next: many of one model at once, one at a time of each picture, oldest first."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from smallsight.generator.job import QueuedJob

__all__ = ["MAX_TURN", "next_jobs"]

MAX_TURN = 64  # jobs that one model may start while an older job of another one waits


def next_jobs(
    jobs: Sequence[QueuedJob],
    running: Sequence[QueuedJob],
    paused: Collection[int],
    num_free: int,
    num_started: int,
) -> list[QueuedJob]:
    """Return up to ``num_free`` jobs to start now, of the model that is running, else of the oldest job.

    ``jobs`` are the oldest first; ``paused`` are the ids of those that wait to be tried again, and with them
    their pictures wait. ``num_started`` is how many the running model has started since it got its turn.
    """
    busy = {job.image_core_id for job in running}
    started = {job.id for job in running}
    model = running[0].model if running else None
    must_end = False
    chosen: list[QueuedJob] = []
    for job in jobs:
        if job.id in started:
            continue
        if job.image_core_id in busy or job.id in paused:
            busy.add(job.image_core_id)
            continue
        if model is None:
            model = job.model
        if job.model != model:
            busy.add(job.image_core_id)
            must_end = True
            continue
        if len(chosen) >= num_free or (must_end and num_started + len(chosen) >= MAX_TURN):
            break
        busy.add(job.image_core_id)
        chosen.append(job)
    return chosen
