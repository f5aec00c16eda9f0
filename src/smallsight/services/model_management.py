"""Wires what pages need to manage the models of one server: overview, downloads, models on other servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from smallsight.inventory.listing import ModelService
from smallsight.services.effective_settings import overridden_settings
from smallsight.services.model_downloads import ModelDownloads
from smallsight.services.model_overview import ModelOverview
from smallsight.services.remote_providers import RemoteProviders
from smallsight.services.serving import Serving


@dataclass(frozen=True, slots=True)
class ModelManagement:
    """``overridden`` maps the names of settings that flags or the environment set to which of the two."""

    overview: ModelOverview
    downloads: ModelDownloads
    providers: RemoteProviders
    overridden: Mapping[str, str]

    @classmethod
    def of_server(cls, serving: Serving, on_change: Callable[[], None]) -> ModelManagement:
        """Wire it; ``on_change`` is called from any thread when a model or a download changes."""
        live = serving.live
        downloads = ModelDownloads(lambda: ModelService(live.current()), on_change)
        serving.pool.listen(on_change)
        return cls(
            ModelOverview(serving, downloads),
            downloads,
            RemoteProviders(live),
            overridden_settings(live.overrides),
        )

    def close(self) -> None:
        """Cancel the downloads."""
        self.downloads.close()
