"""Wires the parts of a server: models in memory, decoders, keys, and settings that may change."""

from __future__ import annotations

import asyncio

from smallsight.errors import SmallsightError
from smallsight.http.api_keys import ApiKeys
from smallsight.http.page_password import PagePassword, password_path
from smallsight.inventory.served_models import ServedModel, ServedModels
from smallsight.lending.measured_memory import MeasuredMemory
from smallsight.lending.model_lender import ModelLender
from smallsight.lending.remotes import RemoteModels
from smallsight.lending.residency import MemoryState, Residency
from smallsight.lending.resident_models import ModelLoader
from smallsight.machine.memory import free_memory_bytes, resident_memory_bytes, usable_memory_bytes
from smallsight.model.loading import load_served
from smallsight.model.model import Model
from smallsight.policy.log import get_logger
from smallsight.policy.progress import OnProgress
from smallsight.services.decoding_threads import DecodingThreads
from smallsight.services.live_settings import LiveSettings
from smallsight.services.picture_vectors import PictureVectors
from smallsight.services.result_cache import ResultCache
from smallsight.services.stored_responses import StoredResponses
from smallsight.services.text_model import TextModel
from smallsight.settings import Settings

log = get_logger(__name__)

_GIB = 1024**3
_BUDGET_SHARE = 0.8  # of the machine's memory; the rest is for the system and the decoding processes
_SMALL_MACHINE_BYTES = 8 * _GIB
_MODELS_ON_LARGE_MACHINES = 3


class Serving:
    """Everything behind the server's routes. Create it inside the event loop; close it at the end."""

    def __init__(
        self,
        live: LiveSettings,
        *,
        loader: ModelLoader | None = None,
        missing_restrictions: tuple[str, ...] = (),
    ) -> None:
        self.missing_restrictions = missing_restrictions  # of the decoders, as found at the start
        self.live = live
        self.settings = live.current()
        self.keys = ApiKeys(self.settings.api_keys_path)
        self.password = PagePassword(password_path(self.settings.home))
        self.models = ServedModels(live.current)
        self.pictures = DecodingThreads(self.settings.limits)
        self.measured = MeasuredMemory(self.settings.measured_memory_path)
        self.pool = ModelLender(
            pool_policy(self.settings, usable_memory_bytes()),
            loader or self._load,
            keep_alive_s=self.settings.memory.keep_alive_s,
            measure=self._measure,
            measured=self.measured,
            weigh=self.models.needed_bytes,
        )
        self.remotes = RemoteModels(live.current)
        self.text_model = TextModel(live.current)
        self.picture_vectors = PictureVectors(live.current, self.pictures)
        self.results = ResultCache(self.settings.server.result_cache_bytes)
        self.responses = StoredResponses(self.settings)

    async def close(self) -> None:
        """Unload the models and stop the decoders."""
        self.remotes.close()
        await self.pool.close()
        await asyncio.to_thread(self.text_model.close)
        await asyncio.to_thread(self.picture_vectors.close)
        self.pictures.close()
        await asyncio.to_thread(self.responses.close)

    def _load(self, served: ServedModel, on_progress: OnProgress) -> Model:
        try:
            return load_served(served, self.live.current(), on_progress)
        except SmallsightError as error:
            log.error("model_not_loaded", model=served.name, why=str(error))
            raise

    def _measure(self) -> MemoryState:
        """Measure the memory of this process with its decoding processes, and of the machine."""
        resident_bytes = resident_memory_bytes() + self.pictures.memory_bytes()
        return MemoryState(resident_bytes, free_memory_bytes())


def pool_policy(settings: Settings, usable_bytes: int) -> Residency:
    """Return the limits of loaded models for a machine with ``usable_bytes`` of memory."""
    wanted = settings.memory
    max_bytes = usable_bytes * _BUDGET_SHARE if wanted.max_gb is None else wanted.max_gb * _GIB
    by_machine = 1 if usable_bytes < _SMALL_MACHINE_BYTES else _MODELS_ON_LARGE_MACHINES
    return Residency(max_models=wanted.max_loaded_models or by_machine, max_bytes=int(max_bytes))
