"""Several workers over one small model: each answers its requests on threads of its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from smallsight.engine.decoding.worker import Worker
from smallsight.engine.generation import Generation
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.families.messages import PreparedPrompt

__all__ = ["WorkerGroup"]


class WorkerGroup:
    """Gives each request to the worker with the fewest unfinished ones. Thread-safe."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = tuple(workers)
        self._unfinished: list[list[Generation]] = [[] for _ in self.workers]
        self._turn = threading.Lock()

    def submit(
        self, prompt: PreparedPrompt, options: SamplingOptions, *, ignores_end: bool = False, client: str = ""
    ) -> Generation:
        """Start a request; raises as ``Worker.submit`` does."""
        with self._turn:
            index, unfinished = self._least_busy()
            started = self.workers[index].submit(prompt, options, ignores_end=ignores_end, client=client)
            unfinished.append(started)
        return started

    def score(self, prompt: PreparedPrompt, answer: Sequence[int]) -> Generation:
        """Start a request that scores a given answer; raises as ``Worker.score`` does."""
        with self._turn:
            index, unfinished = self._least_busy()
            started = self.workers[index].score(prompt, answer)
            unfinished.append(started)
        return started

    def close(self) -> None:
        """Fail every request and end the threads."""
        for worker in self.workers:
            worker.close()

    def _least_busy(self) -> tuple[int, list[Generation]]:
        for unfinished in self._unfinished:
            unfinished[:] = [one for one in unfinished if not one.is_done]
        return min(enumerate(self._unfinished), key=lambda one: len(one[1]))
