"""Works on description runs in a thread of a server process, with models borrowed from the server's lender.

Of all processes with one data folder, one works on runs at a time. The others wait for it, take over when it
ends, and report meanwhile what it changes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import sqlalchemy as sa

from smallsight.errors import (
    InvalidTextError,
    LibraryBusyError,
    LibraryError,
    ModelClosedError,
    PictureError,
    SmallsightError,
    StorageError,
    UnexpectedPictureError,
)
from smallsight.inventory.served_models import ServedModels
from smallsight.lending.model_lender import ModelLender
from smallsight.library.described_texts import DescribedTexts
from smallsight.library.description_runs import (
    DescriptionRun,
    RunRequest,
    cancel_run,
    create_run,
    get_run,
    pause_run,
    resume_run,
    retry_failed,
)
from smallsight.library.description_work import OpenRun, RunWork, next_run
from smallsight.library.ledger import Ledger, drop_runner_leases, runner_token
from smallsight.library.lock import RunLock
from smallsight.library.schema import description_run, description_run_content
from smallsight.policy.log import get_logger
from smallsight.policy.valid_text import is_valid_text
from smallsight.services.application import Application
from smallsight.services.describing import describe_options
from smallsight.services.lent_models import LentDescriber
from smallsight.settings import Settings

log = get_logger(__name__)

_LOCK = "describing.lock"
_IDLE_S, _BUSY_S, _RETRY_S = 2.0, 1.0, 10.0
_MAX_STRIKES = 5  # failures in a row that are not a picture's fault; then the run is paused
_NUM_CAREFUL = 32  # contents described one by one after an unexpected error

OnChange = Callable[[int], None]
"""Called with a run's id after each commit that changes it; in any thread, must return quickly."""


def _tell_nobody(_: int) -> None:
    pass


class DescriptionRunner:
    """Starts runs and works on them. ``start`` and ``stop`` belong to one thread, all else to any."""

    def __init__(
        self,
        application: Application,
        settings: Settings,
        lender: ModelLender,
        models: ServedModels,
        on_change: OnChange = _tell_nobody,
    ) -> None:
        """``application`` is open for writing; it and the lender are closed by the caller, after ``stop``."""
        self._database = application.database
        self._settings = settings
        self._lender = lender
        self._models = models
        self._on_change = on_change
        self._ledger = Ledger(runner_token(), self._settings.index.lease_s)
        self._texts = DescribedTexts(self._database, self._settings, lambda: application.embedder)
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._main, name="descriptions", daemon=True)
        self._num_strikes = self._num_careful = 0
        self._running: int | None = None

    def start(self) -> None:
        """Start the thread, which continues the runs that are not finished; call it once."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Stop after the picture in progress; return False if that takes longer than the timeout.

        Then close the lender, which ends it, and call this again before the library is closed.
        """
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def begin(self, content_ids: Sequence[int], request: RunRequest) -> int:
        """Start a run of these contents and return its id.

        Raises what resolving the model's name and precision raises; a name is never a path, except that of
        the setting ``describe.model``.
        """
        for what, text in (("The title", request.title), ("The prompt", request.prompt)):
            if text is not None and not is_valid_text(text):
                raise InvalidTextError.of(what)
        if request.model != self._settings.describe.model:
            self._models.find(request.model)
        self._models.find_for_work(request.model, request.precision)
        run_id = create_run(self._database, content_ids, request)
        self._changed(run_id)
        return run_id

    def regenerate(
        self, content_id: int, *, model: str, precision: str = "auto", prompt: str | None = None, title: str
    ) -> int:
        """Start a run that describes one picture before everything else; raises what ``begin`` raises.

        If a person has described the picture, the answer is only kept as a version.
        """
        return self.begin([content_id], RunRequest(title, model, precision, prompt, force=True))

    def snapshot(self, run_id: int) -> DescriptionRun:
        """Return a run with its progress; raises NotInLibraryError."""
        return get_run(self._database, run_id)

    def pause(self, run_id: int) -> None:
        """Pause a run; what is in progress is not stored, and due again. Raises NotInLibraryError."""
        pause_run(self._database, run_id)
        self._changed(run_id)

    def resume(self, run_id: int) -> None:
        """Continue a paused run; raises NotInLibraryError, and ArgumentError for a cancelled one."""
        resume_run(self._database, run_id)
        self._changed(run_id)

    def cancel(self, run_id: int) -> None:
        """End a run; what is not described yet is skipped. Raises NotInLibraryError."""
        cancel_run(self._database, run_id)
        self._changed(run_id)

    def retry_failed(self, run_id: int) -> int:
        """Try the failed contents of a run again, return how many; raises as ``resume`` does."""
        number = retry_failed(self._database, run_id)
        self._changed(run_id)
        return number

    def _changed(self, run_id: int) -> None:
        self._wake.set()
        self._on_change(run_id)

    def _main(self) -> None:
        known: dict[int, tuple[object, ...]] = {}
        while not self._stopping.is_set():
            try:
                lock = RunLock(self._settings.database_path.with_name(_LOCK))
            except LibraryBusyError:
                known = self._report_others(known)
                self._wait(_BUSY_S)
                continue
            try:
                self._serve()
            except Exception:
                # The library cannot be used now. What was stored is kept, and the work is tried again.
                log.exception("description_runs_interrupted", retry_s=_RETRY_S)
                self._wait(_RETRY_S)
            finally:
                lock.release()

    def _serve(self) -> None:
        """Work on runs until the runner is stopped; raises what using the library raises."""
        with self._database.writing() as connection:
            drop_runner_leases(connection)
        self._texts.find()
        try:
            while not self._stopping.is_set():
                with self._database.reading() as connection:
                    run = next_run(connection, self._ledger)
                if run is None:
                    self._texts.embed()
                    self._wait(_IDLE_S)
                else:
                    self._work_on(run)
        finally:
            self._running = None

    def _work_on(self, run: OpenRun) -> None:
        if run.id != self._running:
            self._running, self._num_strikes, self._num_careful = run.id, 0, 0
        is_careful = self._num_careful > 0
        try:
            work = RunWork(
                self._database, self._settings, self._ledger, run, self._describer(run), self._settled
            )
            work.work(self._stopping.is_set, one_only=is_careful)
        except (StorageError, LibraryError):
            raise
        except ModelClosedError:  # the server is ending
            self._wait(_BUSY_S)
        except SmallsightError as error:
            self._pause_for(run.id, error)
        except Exception:
            log.exception("description_unexpected", run=run.id, action="pictures are described one by one")
            self._num_careful = _NUM_CAREFUL
        else:
            self._num_careful = max(0, self._num_careful - 1)
            self._after(run.id)

    def _after(self, run_id: int) -> None:
        """Embed what a run has written if it has stopped, and report its state."""
        if self.snapshot(run_id).state != "running":
            self._texts.embed()
        self._on_change(run_id)

    def _describer(self, run: OpenRun) -> LentDescriber:
        served = self._models.find_for_work(run.model, run.precision)
        options = describe_options(self._settings)
        if run.prompt is not None:
            options = replace(options, prompt=run.prompt)
        return LentDescriber(self._lender, served, options)

    def _settled(self, content_id: int | None, error: SmallsightError | None) -> None:
        run_id = self._running
        if content_id is not None and error is None:
            self._texts.add(content_id)
        if content_id is not None:
            is_strike = error is not None and (
                isinstance(error, UnexpectedPictureError) or not isinstance(error, PictureError)
            )
            self._num_strikes = self._num_strikes + 1 if is_strike else 0
        if run_id is None:
            return
        if error is not None and self._num_strikes >= _MAX_STRIKES:
            self._pause_for(run_id, error)
        else:
            self._on_change(run_id)

    def _pause_for(self, run_id: int, error: SmallsightError) -> None:
        self._num_strikes = self._num_careful = 0
        log.warning("description_run_paused", run=run_id, why=str(error))
        pause_run(self._database, run_id, error)
        self._on_change(run_id)

    def _report_others(self, known: dict[int, tuple[object, ...]]) -> dict[int, tuple[object, ...]]:
        """Report the runs that another process has changed since; return what is known now."""
        run, of = description_run.c, description_run_content.c
        last = sa.select(sa.func.max(of.finished_at_s)).where(of.run_id == run.id).scalar_subquery()
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(run.id, run.state, run.error, last)).all()
        now = {row[0]: tuple(row[1:]) for row in rows}
        for run_id, state in now.items():
            if known and known.get(run_id) != state:
                self._on_change(run_id)
        return now

    def _wait(self, seconds: float) -> None:
        """Wait until a run is started or changed, or the runner is stopped."""
        self._wake.wait(seconds)
        self._wake.clear()
