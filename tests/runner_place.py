"""A data folder with pictures and a runner of descriptions on it, whose model a test steers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from PIL import Image

import clocks
from smallsight.errors import SmallsightError
from smallsight.inventory.served_models import ServedModel, ServedModels
from smallsight.lending.model_lender import ModelLender
from smallsight.lending.residency import Residency
from smallsight.library.description_runs import (
    DescriptionRun,
    RunRequest,
    RunState,
    get_run,
)
from smallsight.library.indexer import Indexer
from smallsight.library.library import Library
from smallsight.library.progress import Unreported
from smallsight.library.scan import FolderScan
from smallsight.library.schema import chunk, content, lease
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.model import test_model
from smallsight.model.loading import load_served
from smallsight.services.application import Application
from smallsight.services.description_runner import DescriptionRunner
from smallsight.services.indexing import IndexingApplication
from smallsight.settings import DescribeSettings, EmbeddingSettings, IndexSettings, Settings


class SteeredModel(test_model.TestModel):
    """The model ``test``, which waits before each answer while its gate is closed, and fails on demand."""

    def __init__(self, steering: Steering) -> None:
        super().__init__()
        self._steering = steering

    def describe(self, picture, **options):  # type: ignore[no-untyped-def]
        assert self._steering.gate.wait(30)
        answer = super().describe(picture, **options)
        self._steering.described.append(answer.text)
        if answer.text in self._steering.faults:
            raise self._steering.faults[answer.text]
        return answer

    def describe_many(self, pictures, *, prompt=None, **_):  # type: ignore[no-untyped-def]
        for picture in pictures:
            try:
                yield self.describe(picture, prompt=prompt)
            except SmallsightError as error:
                yield error


@dataclass
class Steering:
    """How loading and answering go, and what was described."""

    gate: threading.Event = field(default_factory=threading.Event)
    described: list[str] = field(default_factory=list)
    faults: dict[str, Exception] = field(default_factory=dict)
    load_error: Exception | None = None

    def __post_init__(self) -> None:
        self.gate.set()


class Place:
    """A data folder with pictures, a runner on it, and what it reported."""

    def __init__(self, home: Path, pictures: Path, embedder_dir: Path, stack: ExitStack) -> None:
        self.settings = Settings(
            home=home, embedding=EmbeddingSettings(model_dir=embedder_dir), index=IndexSettings(ocr=False)
        )
        self.pictures = pictures
        pictures.mkdir(exist_ok=True)
        self.stack = stack
        self.application = stack.enter_context(Application(self.settings, for_writing=True))
        self.database = self.application.database
        self.library = Library(self.database)
        self.steering = Steering()
        self.changes: list[int] = []
        self.lenders: list[ModelLender] = []

    def add(self, names: Sequence[str], *, are_looked_at: bool = False) -> list[int]:
        """Draw pictures of different colours, scan them, and return their ids."""
        for number, name in enumerate(names):
            Image.new("RGB", (32, 32), (number % 256, number // 256, 90)).save(self.pictures / name)
        self.scan()
        if are_looked_at:
            means = Means(self.database, self.settings)
            Indexer(self.database, self.settings, list_stages(means)).run(Unreported(), lambda: False)
        return [self.library.find_content(self.pictures / name) for name in names]

    def scan(self) -> None:
        known = self.library.add_folder(self.pictures)
        FolderScan(self.database, self.settings, known.id, known.path).run(Unreported(), lambda: False)

    def load(self, served: ServedModel, on_progress: Callable[[float], None]) -> object:
        if self.steering.load_error is not None:
            raise self.steering.load_error
        if served.name == "test":
            return SteeredModel(self.steering)
        return load_served(served, self.settings, on_progress)

    def start(self, application: Application | None = None) -> DescriptionRunner:
        lender = ModelLender(Residency(max_models=2, max_bytes=2**60), self.load, keep_alive_s=-1)
        self.lenders.append(lender)
        runner = DescriptionRunner(
            application or self.application,
            self.settings,
            lender,
            ServedModels(lambda: self.settings),
            self.changes.append,
        )

        def end() -> None:
            self.steering.gate.set()
            assert runner.stop(30)
            lender.close_in_thread()

        self.stack.callback(end)
        runner.start()
        return runner

    def descriptions(self) -> dict[int, str]:
        with self.database.reading() as connection:
            rows = connection.execute(
                sa.select(content.c.id, content.c.description).where(content.c.description.is_not(None))
            )
            return {row.id: row.description for row in rows}

    def run(self, run_id: int) -> DescriptionRun:
        return get_run(self.database, run_id)

    def wait_for(self, run_id: int, state: RunState) -> DescriptionRun:
        wait_until(lambda: self.run(run_id).state is state, lambda: str(self.run(run_id)))
        return self.run(run_id)


def wait_until(is_so: Callable[[], object], what: Callable[[], object] | str = "it never came true") -> None:
    """Wait as ``clocks.wait_until`` does, with time for the runner's thread between two questions."""

    def asked_calmly() -> object:
        threading.Event().wait(0.05)
        return is_so()

    clocks.wait_until(asked_calmly, what)


def request(**values: object) -> RunRequest:
    return RunRequest(**{"title": "cats", "model": "test", **values})


def texts_with_vectors(place: Place) -> set[str]:
    with place.database.reading() as connection:
        return set(connection.execute(sa.select(chunk.c.text)).scalars())


def num_described_by_index(place: Place) -> int:
    settings = place.settings.model_copy(update={"describe": DescribeSettings(model="test")})
    with IndexingApplication(settings) as index:
        return index.index([], Unreported(), lambda: False).work.stages["describe"].done


def num_leases(place: Place) -> int:
    with place.database.reading() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(lease)).scalar_one())
