"""The generator as a whole: takes jobs, works on them, and delivers callbacks while its application runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from smallsight.generator.app_client import SCHEME, AppClient, app_address
from smallsight.generator.delivery import MAX_AT_ONCE, Deliverer, DeliveryRules
from smallsight.generator.job import ORIGINAL_MODELS, JobRequest
from smallsight.generator.job_description import JobDescriber
from smallsight.generator.job_store import JobStore, Undelivered
from smallsight.generator.picture_file import ConfinedFolder
from smallsight.generator.store_thread import StoreThread
from smallsight.generator.worker import JobWorker
from smallsight.policy.log import get_logger
from smallsight.services.serving import Serving
from smallsight.settings import Settings

__all__ = ["Generator", "TestMode", "database_path"]

log = get_logger(__name__)

_FIRST_TRY_S = 28.0  # the application waits 35 s for the answer to a job
_S_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class TestMode:
    """The original's test mode: another database, removed first; another address; paths as they are given."""

    database: Path
    address: str = f"{SCHEME}://localhost:3000/"
    poll_s: float = 1.0

    @classmethod
    def here(cls) -> TestMode:
        """Return the test mode of a process in this folder."""
        return cls(Path.cwd() / "tests" / "db" / "job_queue.db")

    def remove_database(self) -> None:
        """Remove the file of an earlier test."""
        for ending in ("", "-wal", "-shm"):
            self.database.with_name(self.database.name + ending).unlink(missing_ok=True)


def database_path(settings: Settings) -> Path:
    """Return where the jobs are stored."""
    return settings.generator.database or settings.home / "generator.sqlite3"


class Generator:
    """Everything behind the generator's routes; create it in the event loop, use it inside ``running``."""

    def __init__(self, serving: Serving, test_mode: TestMode | None = None) -> None:
        """Open the file of the jobs; raises SettingsError."""
        settings = serving.settings.generator
        if test_mode is None:
            path, address = database_path(serving.settings), app_address(settings.app_url)
        else:
            path, address = test_mode.database, test_mode.address
            test_mode.remove_database()
        self._store = StoreThread(JobStore(path, max_jobs=settings.max_jobs))
        self._app = AppClient(address, settings.callback_timeout_s, MAX_AT_ONCE)
        self._describer = JobDescriber(serving, ConfinedFolder(None if test_mode else settings.pictures))
        rules = DeliveryRules(
            settings.callback_pause_s,
            settings.max_callback_pause_s,
            settings.deliver_for_hours * _S_PER_HOUR,
            min(_FIRST_TRY_S, settings.callback_timeout_s),
        )
        self._deliverer = Deliverer(self._store, self._app, rules)
        self._worker = JobWorker(
            self._store,
            self._describer,
            self._deliverer,
            batch=1 if test_mode else settings.batch,
            retry_delays_s=settings.retry_delays_s,
            poll_s=test_mode.poll_s if test_mode else None,
        )
        log.info("callbacks_go_to", url=address)
        log.info("jobs_are_stored_in", path=path)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work and deliver inside the block; then close everything. What is not done stays stored."""
        tasks = [asyncio.create_task(self._deliverer.run()), asyncio.create_task(self._worker.run())]
        for task in tasks:
            task.add_done_callback(_report_end)
        try:
            yield
        finally:
            for task in reversed(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(self._describer.close)
            await self._app.close()
            await asyncio.to_thread(self._store.close)

    async def models(self, wanted: object) -> tuple[str, ...]:
        """Return the names that a job may have; this machine's models only if ``wanted`` may be one."""
        if isinstance(wanted, str) and wanted not in ORIGINAL_MODELS:
            return await asyncio.to_thread(self._describer.models)
        return ORIGINAL_MODELS

    async def add(self, request: JobRequest) -> None:
        """Store a job, and wait until the application has been told; raises TooManyRequestsError."""
        job, callback_id = await self._store.call(self._store.store.add, request)
        log.info("Job added to queue", job=job.id, image=job.image_core_id, model=job.model)
        self._worker.wake()
        await self._deliverer.wait_for_first_try(job.image_core_id, callback_id)

    async def remove(self, image_core_id: int) -> None:
        """Remove the jobs of a picture and stop the work on them; the application gets one status 0."""
        jobs, callback_id = await self._store.call(self._store.store.remove, image_core_id)
        for job in jobs:
            self._worker.stop_job(job)
        if callback_id is not None:
            log.info("Job removed from queue", image=image_core_id)
            await self._deliverer.wait_for_first_try(image_core_id, callback_id)

    async def num_jobs(self) -> int:
        """Return how many jobs wait or are in progress."""
        return await self._store.call(self._store.store.num_jobs)

    async def undelivered(self) -> list[Undelivered]:
        """Return the callbacks that the application has not accepted."""
        return await self._store.call(self._store.store.undelivered)


def _report_end(task: asyncio.Task[None]) -> None:
    """Log why a task ended that should run as long as the process."""
    with contextlib.suppress(asyncio.CancelledError):
        if (error := task.exception()) is not None:
            log.error("generator_stopped", why=f"{type(error).__name__}: {error}")
