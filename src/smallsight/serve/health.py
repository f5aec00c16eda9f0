"""`/health`: whether the server is alive and ready, and what is in memory."""

from __future__ import annotations

import time
from typing import Any

from smallsight.graph.known_bands import batch_independence
from smallsight.http.admission import Admission
from smallsight.machine.memory import peak_memory_bytes
from smallsight.serve.preload import Preload
from smallsight.services.serving import Serving
from smallsight.version import __version__


class Health:
    """Reads the state of one server at each request."""

    def __init__(self, serving: Serving, admission: Admission, preload: Preload) -> None:
        self._serving = serving
        self._admission = admission
        self._preload = preload
        self._began_s = time.monotonic()

    def readiness(self) -> str:
        """Return "ok" if a question is accepted now, else "stopping", "loading" or "model_failed"."""
        if self._admission.is_stopping:
            return "stopping"
        if self._preload.is_loading:
            return "loading"
        return "model_failed" if self._preload.has_failed else "ok"

    def summary(self) -> dict[str, Any]:
        """Return the body of `/health`: readiness, requests, bytes of memory, models, other servers."""
        pool, settings = self._serving.pool, self._serving.live.current()
        memory, readiness = pool.memory(), self.readiness()
        return {
            "status": readiness,
            "live": True,
            "ready": readiness == "ok",
            "version": __version__,
            "uptime_s": round(time.monotonic() - self._began_s, 3),
            "active_model": settings.active_model,
            "problem": self._preload.problem if self._preload.has_failed else None,
            "batch_independent": batch_independence(settings.prepared_dir),
            "missing_restrictions": list(self._serving.missing_restrictions),
            "requests_under_way": self._admission.num_requests,
            "max_requests": self._admission.max_requests,
            "memory": {
                "resident_bytes": memory.resident_bytes,
                "decoders_bytes": self._serving.pictures.memory_bytes(),
                "peak_bytes": peak_memory_bytes(),
                "free_bytes": memory.free_bytes,
                "budget_bytes": pool.policy.max_bytes,
                "max_loaded_models": pool.policy.max_models,
            },
            "models": [
                {
                    "name": one.name,
                    "stage": one.stage,
                    "progress_percent": int(100 * one.progress),
                    "requests": one.num_users,
                    "memory_bytes": one.charged_bytes,
                    "since_s": round(one.age_s, 3),
                }
                for one in pool.loaded()
            ],
            "remotes": [
                {
                    "name": one.name,
                    "circuit": one.circuit.value,
                    "fallback": one.fallback,
                    "answers": one.num_answers,
                    "failures": one.num_failures,
                    "fallbacks": one.num_fallbacks,
                }
                for one in self._serving.remotes.states()
            ],
        }
