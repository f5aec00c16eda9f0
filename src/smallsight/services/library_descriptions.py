"""The runner of descriptions in a server, which begins when there is a library."""

from __future__ import annotations

import threading

from smallsight.services.description_runner import DescriptionRunner, OnChange
from smallsight.services.opened_library import OpenedLibrary
from smallsight.services.serving import Serving


class LibraryDescriptions:
    """Starts the runner on first use, or with the server where there is a library. Thread-safe."""

    def __init__(self, serving: Serving, library: OpenedLibrary, on_change: OnChange) -> None:
        self._serving = serving
        self._library = library
        self._on_change = on_change
        self._turn = threading.Lock()
        self._runner: DescriptionRunner | None = None

    def runner(self) -> DescriptionRunner:
        """Return the runner, at work; raises LibraryMissingError until something was indexed."""
        with self._turn:
            if self._runner is None:
                application = self._library.editing()
                serving = self._serving
                self._runner = DescriptionRunner(
                    application, serving.settings, serving.pool, serving.models, self._on_change
                )
                self._runner.start()
            return self._runner

    def resume(self) -> None:
        """Continue the runs that an earlier process has left, if there is a library."""
        if self._library.exists:
            self.runner()

    def stop(self) -> None:
        """Stop after the picture in progress."""
        with self._turn:
            runner = self._runner
        if runner is not None:
            runner.stop()
