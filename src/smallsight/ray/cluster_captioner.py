"""Answers the pictures of ``smallsight caption --ray`` on the machines of a cluster.

One actor a model, batches to whoever is free. A machine that is lost costs what it was working on: its
batches are done again elsewhere, and a picture that ends a worker again and again gets a row that says so.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias

from smallsight.captioning.caption_columns import CaptionColumns
from smallsight.captioning.captioner import CaptionResult, HashedPicture
from smallsight.errors import ClusterError, SmallsightError, UnexpectedPictureError
from smallsight.policy.log import get_logger
from smallsight.policy.shown_text import on_one_line
from smallsight.ray.batch_sizes import batches_ahead, pictures_in_batch
from smallsight.ray.captioning_actor import CaptioningActor
from smallsight.ray.node_settings import load_ray, needed_memory_bytes, shared_settings
from smallsight.services.captioning import AskedColumns
from smallsight.settings import Settings

__all__ = ["ClusterCaptioner"]

log = get_logger(__name__)

_BATCH_BYTES = 32 * 1024**2
_MOST_TRIES = 3  # of a batch, before its pictures are tried alone; and of each of those
_ANSWERS_WITHIN_S = 10.0
_RECOUNT_S = 5.0  # how often the machines are counted again

Reference: TypeAlias = Any  # Ray's, to a result that is still to come


@dataclass(slots=True)
class _Batch:
    """Some pictures, and how many workers have ended while they had them."""

    pictures: list[HashedPicture]
    num_tries: int = 0

    def again(self) -> list[_Batch]:
        """Return what to try after a worker has ended with it; nothing if that is hopeless."""
        self.num_tries += 1
        if self.num_tries < _MOST_TRIES:
            return [self]
        return [_Batch([one]) for one in self.pictures] if len(self.pictures) > 1 else []


@dataclass(slots=True, eq=False)
class _ClusterWorker:
    """An actor, what it has been given, oldest first, and when it began with the oldest."""

    actor: Any
    batches: dict[Reference, _Batch] = field(default_factory=dict)
    began_s: float = 0.0

    def give(self, batch: _Batch) -> None:
        """Send it a batch."""
        if not self.batches:
            self.began_s = time.monotonic()
        self.batches[self.actor.results.remote(batch.pictures)] = batch

    def complete(self, reference: Reference) -> float:
        """Drop the oldest batch; return the seconds that each of its pictures took."""
        began_s, self.began_s = self.began_s, time.monotonic()
        return (self.began_s - began_s) / len(self.batches.pop(reference).pictures)


class ClusterCaptioner:
    """A captioner whose models are on the machines of a cluster; enter it to connect."""

    def __init__(self, address: str, settings: Settings, asked: AskedColumns, *, num_cpus: int) -> None:
        """``num_cpus`` are those of one worker. Raises MissingExtraError, and subclasses of ModelError."""
        self._ray = load_ray()
        self._address = address
        self._needs = {"CPU": num_cpus, "memory": needed_memory_bytes(settings)}
        self._given = shared_settings(settings), asked
        self._workers: list[_ClusterWorker] = []
        self._starting: dict[Reference, _ClusterWorker] = {}
        self._num_unfit = 0  # workers that could not load the model
        self._counted_at_s = 0.0
        self._columns: CaptionColumns | None = None
        self._picture_s: float | None = None  # of one worker, by its newest batch

    def __enter__(self) -> Self:
        try:
            _knock(self._address)
            self._ray.init(address=self._address, log_to_driver=False, ignore_reinit_error=True)
        except (OSError, RuntimeError, ValueError) as error:
            raise ClusterError(
                f"There is no Ray cluster at {self._address}.",
                hint="start one with `ray start --head`, or use --ray local for this machine alone.",
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray.shutdown()  # which ends the workers

    @property
    def columns(self) -> CaptionColumns:
        """The columns of its rows; which answers are data, only a loaded model knows."""
        while self._columns is None:
            self._hire()
            self._welcome(self._wait(list(self._starting)))
        return self._columns

    def results(self, pictures: Iterable[HashedPicture]) -> Generator[CaptionResult, None, None]:
        """Yield one result for each picture, as they come."""
        batches = self._batches(pictures)
        again: deque[_Batch] = deque()
        is_at_end = False
        while True:
            self._hire()
            while not is_at_end or again:
                if (worker := self._free_worker()) is None:
                    break
                batch = again.popleft() if again else next(batches, None)
                if batch is None:
                    is_at_end = True
                    break
                worker.give(batch)
            working = {reference: one for one in self._workers for reference in one.batches}
            if is_at_end and not working and not again:
                return
            ready = self._wait([*working, *self._starting])
            self._welcome(ready & self._starting.keys())
            for reference in ready & working.keys():
                yield from self._take(working[reference], reference, again)

    def _take(
        self, worker: _ClusterWorker, reference: Reference, again: deque[_Batch]
    ) -> Iterator[CaptionResult]:
        """Yield the results of a batch; if its worker has ended, keep its batches to try them again."""
        if reference not in worker.batches:  # the worker ended with another one
            return
        try:
            results: list[CaptionResult] = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise _cause_of(error) from None
        except self._ray.exceptions.RayError as error:
            log.warning("worker_ended", why=on_one_line(str(error)), pictures=len(worker.batches))
            self._workers.remove(worker)
            self._ray.kill(worker.actor)
            in_work, *waiting = worker.batches.values()
            worker.batches.clear()
            again.extend(waiting)
            again.extend(left := in_work.again())
            if not left:
                yield _ended_with(in_work.pictures[0])
        else:
            self._picture_s = worker.complete(reference)
            yield from results

    def _hire(self) -> None:
        """Start as many workers as the machines have room for; raises ClusterError if none has."""
        if time.monotonic() - self._counted_at_s < _RECOUNT_S and (self._workers or self._starting):
            return
        self._counted_at_s = time.monotonic()
        nodes = [one["Resources"] for one in self._ray.nodes() if one["Alive"]]
        room = sum(min(int(one.get(name, 0) // size) for name, size in self._needs.items()) for one in nodes)
        if not room:
            raise ClusterError(
                f"No machine of the cluster has {self._needs['CPU']} processors and "
                f"{self._needs['memory'] / 1024**3:.1f} GiB of memory for a worker.",
                hint="see `ray status`; --ray-cpus and --precision make a worker smaller.",
            )
        made = self._ray.remote(
            num_cpus=self._needs["CPU"], memory=self._needs["memory"], max_restarts=0, max_task_retries=0
        )(CaptioningActor)
        for _ in range(room - self._num_unfit - len(self._workers) - len(self._starting)):
            actor = made.remote(*self._given)
            self._starting[actor.open.remote()] = _ClusterWorker(actor)

    def _welcome(self, opened: Iterable[Reference]) -> None:
        """Add workers that have loaded the model; raises the reason if no worker can."""
        for reference in opened:
            worker = self._starting.pop(reference)
            try:
                self._columns = self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                self._num_unfit += 1
                cause = _cause_of(error)
                if not self._workers and not self._starting:
                    raise cause from None
                log.warning("worker_not_started", why=on_one_line(str(cause)))
            else:
                self._workers.append(worker)

    def _free_worker(self) -> _ClusterWorker | None:
        """Return the worker with the least to do, unless all have enough."""
        least = min(self._workers, key=lambda one: len(one.batches), default=None)
        return None if least is None or len(least.batches) >= batches_ahead(self._picture_s) else least

    def _batches(self, pictures: Iterable[HashedPicture]) -> Iterator[_Batch]:
        """Yield the pictures in batches that are small enough to send, to lose and to wait for."""
        held: list[HashedPicture] = []
        num_bytes = 0
        for picture, sha256 in pictures:
            held.append((picture, sha256))
            num_bytes += 0 if isinstance(picture.data, SmallsightError) else len(picture.data)
            if len(held) >= pictures_in_batch(self._picture_s) or num_bytes >= _BATCH_BYTES:
                yield _Batch(held)
                held, num_bytes = [], 0
        if held:
            yield _Batch(held)

    def _wait(self, references: list[Reference]) -> set[Reference]:
        """Return those that are there, after at most a few seconds."""
        if not references:
            return set()
        ready, _ = self._ray.wait(references, num_returns=1, timeout=_RECOUNT_S, fetch_local=False)
        return set(ready)


def _knock(address: str) -> None:
    """Raise OSError if nothing listens at HOST:PORT: Ray would try for minutes and print every time."""
    host, separator, port = address.rpartition(":")
    if separator and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWERS_WITHIN_S).close()


def _cause_of(error: Exception) -> Exception:
    """Return what was raised on the other machine, if it is one of ours."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, SmallsightError):
        return cause
    return ClusterError(f"A worker of the cluster failed: {on_one_line(str(error))}")


def _ended_with(hashed: HashedPicture) -> CaptionResult:
    """Return the result for a picture that ended its worker each time, also alone."""
    picture, sha256 = hashed
    error = UnexpectedPictureError(
        f"Workers ended {_MOST_TRIES} times while they had this picture.", hint="--retry-failed tries again."
    )
    row = {"error_code": error.code, "error": error.message, "cut": []}
    return CaptionResult(picture.key, sha256, row if sha256 is not None else {}, error)
