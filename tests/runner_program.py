"""A process that works on description runs until none is running; tests kill it at any moment."""

from __future__ import annotations

import time
from pathlib import Path

from smallsight.inventory.served_models import ServedModels
from smallsight.library.description_runs import RunState, list_runs
from smallsight.services.application import Application
from smallsight.services.description_runner import DescriptionRunner
from smallsight.services.indexing import own_lender
from smallsight.settings import EmbeddingSettings, Settings


def main(home: str, embedder_dir: str) -> None:
    """Work on the runs of a data folder, with the text embedder in another folder."""
    settings = Settings(home=Path(home), embedding=EmbeddingSettings(model_dir=Path(embedder_dir)))
    lender = own_lender(settings)
    with Application(settings, for_writing=True) as application:
        runner = DescriptionRunner(application, settings, lender, ServedModels(lambda: settings))
        runner.start()
        while any(run.state is RunState.RUNNING for run in list_runs(application.database)):
            time.sleep(0.1)
        assert runner.stop(30)
        lender.close_in_thread()
