"""Works on stored jobs: starts them in order, and stores what is to be told to the application."""

from __future__ import annotations

import asyncio
import time

from smallsight.errors import ModelClosedError, StorageError
from smallsight.generator.callback import JobStatus, description_message, status_message
from smallsight.generator.delivery import Deliverer
from smallsight.generator.job import QueuedJob
from smallsight.generator.job_description import JobDescriber, TransientJobError
from smallsight.generator.job_order import next_jobs
from smallsight.generator.picture_file import PermanentJobError
from smallsight.generator.store_thread import StoreThread
from smallsight.policy.log import get_logger

__all__ = ["JobWorker"]

log = get_logger(__name__)

_LOOKED_AT = 512  # of the oldest jobs
_STORAGE_PAUSE_S = 5.0
_MAX_ERROR_CHARS = 1000


class JobWorker:
    """Works on jobs in the event loop; ``run`` until it is cancelled."""

    def __init__(
        self,
        store: StoreThread,
        describer: JobDescriber,
        deliverer: Deliverer,
        *,
        batch: int,
        retry_delays_s: tuple[float, ...],
        poll_s: float | None = None,
    ) -> None:
        """With ``poll_s`` jobs are looked for only as often while idle, with a line each time, as the
        original does; its test expects that a job still waits after it has been added.
        """
        self._store = store
        self._describer = describer
        self._deliverer = deliverer
        self._batch = batch
        self._retry_delays_s = retry_delays_s
        self._poll_s = poll_s
        self._wake = asyncio.Event()
        self._running: dict[int, QueuedJob] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._retry_at_s: dict[int, float] = {}
        self._num_started = 0

    def wake(self) -> None:
        """Look for new jobs."""
        self._wake.set()

    def stop_job(self, job: QueuedJob) -> None:
        """Stop the work on a job that has been removed."""
        self._retry_at_s.pop(job.id, None)
        if (task := self._tasks.get(job.id)) is not None:
            task.cancel()
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; jobs in progress stay stored."""
        try:
            while True:
                self._wake.clear()
                try:
                    await self._start_some()
                    seconds = self._seconds_to_wait()
                except StorageError as error:
                    log.error("jobs_not_read", why=str(error))
                    seconds = _STORAGE_PAUSE_S
                try:
                    async with asyncio.timeout(seconds):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _seconds_to_wait(self) -> float | None:
        if self._retry_at_s:
            return max(0.0, min(self._retry_at_s.values()) - time.monotonic())
        return None if self._running else self._poll_s

    async def _start_some(self) -> None:
        num_free = self._batch - len(self._running)
        if num_free <= 0:
            return
        if self._poll_s is not None and not self._running:
            log.info("No jobs in queue. Waiting...")
            await asyncio.sleep(self._poll_s)
        jobs = await self._store.call(self._store.store.oldest, _LOOKED_AT)
        now_s = time.monotonic()
        self._retry_at_s = {job: when for job, when in self._retry_at_s.items() if when > now_s}
        if not self._running:
            self._num_started = 0
        chosen = next_jobs(
            jobs, tuple(self._running.values()), self._retry_at_s.keys(), num_free, self._num_started
        )
        for job in chosen:
            self._num_started += 1
            self._running[job.id] = job
            self._tasks[job.id] = asyncio.create_task(self._work(job))

    async def _work(self, job: QueuedJob) -> None:
        try:
            await self._work_once(job)
        except ModelClosedError:  # the server is ending
            self._retry_at_s[job.id] = time.monotonic() + _STORAGE_PAUSE_S
        except StorageError as error:
            log.error("job_not_stored", job=job.id, why=str(error))
            self._retry_at_s[job.id] = time.monotonic() + _STORAGE_PAUSE_S
        finally:
            del self._running[job.id], self._tasks[job.id]
            self._wake.set()

    async def _work_once(self, job: QueuedJob) -> None:
        store = self._store.store
        began = [status_message(job, JobStatus.PROCESSING)]
        if not await self._store.call(store.add_messages, job, began, is_done=False):
            return
        self._deliverer.wake()
        log.info("Processing job", job=job.id, image=job.image_core_id, retry_count=job.retry_count)
        try:
            description = await self._describer.describe(job)
        except PermanentJobError as error:
            await self._fail(job, str(error))
        except TransientJobError as error:
            await self._fail_for_now(job, str(error))
        else:
            done = [description_message(job, description), status_message(job, JobStatus.DONE)]
            if await self._store.call(store.add_messages, job, done, is_done=True):
                log.info("Finished processing job", job=job.id, image=job.image_core_id)
            self._deliverer.wake()

    async def _fail_for_now(self, job: QueuedJob, why: str) -> None:
        """Try the job again later, or fail it after the last try."""
        num_failed = await self._store.call(self._store.store.count_retry, job)
        if num_failed is None:
            return
        num_tries = len(self._retry_delays_s)
        if num_failed >= num_tries:
            await self._fail(job, f"Max retries ({num_tries}) exceeded. Last error: {why}")
            return
        delay_s = self._retry_delays_s[num_failed - 1]
        log.warning(f"Job {job.id} failed (attempt {num_failed}/{num_tries})", retry_s=delay_s, why=why)
        self._retry_at_s[job.id] = time.monotonic() + delay_s

    async def _fail(self, job: QueuedJob, why: str) -> None:
        """Tell the application that a job has failed, and remove it."""
        why = why[:_MAX_ERROR_CHARS]
        log.error(f"Job {job.id} permanently failed: {why}")
        failed = [
            status_message(job, JobStatus.FAILED, why),
            description_message(job, f"Error: {why}"),
        ]
        await self._store.call(self._store.store.add_messages, job, failed, is_done=True)
        self._deliverer.wake()
