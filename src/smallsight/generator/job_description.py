"""Describes the picture of one job: reads and checks the file, borrows the model, waits for the answer."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import PurePath
from typing import Any

from smallsight.errors import ModelClosedError, OutOfResourcesError, PictureError, SmallsightError
from smallsight.generator.job import ORIGINAL_MODELS, TEST_MODEL, QueuedJob
from smallsight.generator.picture_file import ConfinedFolder, PermanentJobError, unusable_picture
from smallsight.inventory.served_models import ServedModel
from smallsight.model.model import Model
from smallsight.model.picture_argument import NamedBytes, NamedImage
from smallsight.model.reply import Reply
from smallsight.services.exchange import Exchange
from smallsight.services.serving import Serving

__all__ = ["JobDescriber", "TransientJobError"]

_NUM_THREADS = 2
_CLIENT = "generator"  # takes turns with the clients of the API
_SMOLVLM_PROMPT = "Can you describe this image?"


class TransientJobError(Exception):
    """A job that may succeed when it is tried again; its text is the original's sentence for it."""


class JobDescriber:
    """Describes pictures with the models of a server. Close it at the end."""

    def __init__(self, serving: Serving, folder: ConfinedFolder) -> None:
        self._serving = serving
        self._folder = folder
        self._settings = serving.settings.generator
        self._threads = ThreadPoolExecutor(_NUM_THREADS, "smallsight-generator")

    def models(self) -> tuple[str, ...]:
        """Return the names that a job may have: the original's, then those of this machine."""
        own = (model.name for model in self._serving.models.list())
        return tuple(dict.fromkeys((*ORIGINAL_MODELS, *own)))

    async def describe(self, job: QueuedJob) -> str:
        """Return the description of a job's picture; cancelling it stops the model.

        Raises PermanentJobError, TransientJobError, and ModelClosedError when the server ends.
        """
        try:
            image = await self._open(job)
            if job.model == TEST_MODEL:
                await asyncio.sleep(self._settings.test_delay_s)
                return f"Test description for {PurePath(job.image_path).stem}"
            return await self._ask(job, image)
        except (PermanentJobError, TransientJobError, ModelClosedError):
            raise
        except (MemoryError, OutOfResourcesError) as error:
            raise TransientJobError(f"Out of memory processing image: {error}") from error
        except Exception as error:
            raise TransientJobError(f"Image processing failed: {error}") from error

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _open(self, job: QueuedJob) -> NamedImage:
        loop = asyncio.get_running_loop()
        data = await loop.run_in_executor(self._threads, self._folder.read, job.image_path)
        try:
            return await self._serving.pictures.open(NamedBytes(PurePath(job.image_path).name, data))
        except PictureError as error:
            raise unusable_picture(self._folder.path_of(job.image_path), error) from error

    async def _ask(self, job: QueuedJob, image: NamedImage) -> str:
        serving = self._serving
        loop = asyncio.get_running_loop()
        try:
            served = await loop.run_in_executor(self._threads, serving.models.find, job.model)
            if served.remote is not None:
                return await self._answer(serving.remotes.model(served.name, served.remote), served, image)
            lent = serving.pool.lend(served)
            model = await lent.__aenter__()
        except ModelClosedError:
            raise
        except SmallsightError as error:
            raise TransientJobError(f"Model download failed: {error}") from error
        try:
            return await self._answer(model, served, image)
        finally:
            await lent.__aexit__(None, None, None)

    async def _answer(self, model: Model, served: ServedModel, image: NamedImage) -> str:
        began_s = time.perf_counter()
        question, options = _request(served.name)
        options |= {"max_tokens": self._settings.max_tokens, "client": _CLIENT}
        started = self._threads.submit(lambda: model.start([image], question, **options))
        try:
            reply = await asyncio.shield(asyncio.wrap_future(started))
        except asyncio.CancelledError:
            started.add_done_callback(_cancel)
            raise
        exchange = Exchange([reply], served.name, began_s)
        try:
            async for _ in exchange.pieces():
                pass
            return exchange.answers()[0].text.strip()
        finally:
            exchange.cancel()


def _cancel(started: Future[Reply]) -> None:
    if not started.cancelled() and started.exception() is None:
        started.result().cancel()


def _request(name: str) -> tuple[str | None, dict[str, Any]]:
    """Return what the original asks a model, and the options; without a question it is a description."""
    if name.startswith("moondream2"):
        return None, {"length": "short"}
    if name in ORIGINAL_MODELS and name.startswith("SmolVLM"):
        return _SMOLVLM_PROMPT, {}
    return None, {}
