"""Tags and lines from a model: which labels become tags, how they are stored, and the stage of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

import smallsight
from quiet_progress import QuietProgress
from smallsight.errors import DecoderFailedError, PictureError
from smallsight.library.database import Database
from smallsight.library.embedding import texts_to_embed
from smallsight.library.indexer import Indexer, IndexReport
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan
from smallsight.library.schema import content, lease, outcome, refused_tag, tag
from smallsight.library.search.searcher import Searcher
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.library.stages.compare import COMPARE_KEY
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.library.tagging import (
    NEEDED_TASKS,
    ModelTagger,
    TaggedPicture,
    TagRequest,
    lines_of_quads,
    tags_of_labels,
)
from smallsight.library.texts import store_machine_tags
from smallsight.model.picture_argument import NamedBytes
from smallsight.reading.text_line import TextLine
from smallsight.settings import Settings
from tiny_florence2 import SHAPES, write_tiny_florence2

Draw = Callable[..., Path]
LINE = TextLine("HELLO WORLD", 1.0, ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5)))


class Script(ModelTagger):
    """Finds what it was told to find, or one thing and one line; takes pictures a few ahead."""

    def __init__(self, key: str = "script-1", finds: dict[str, TaggedPicture] | None = None) -> None:
        self.key = key
        self.reading_key = f"{key}-lines"
        self.asked: list[TagRequest] = []
        self._finds = finds or {}

    def tag(self, requests: Iterable[TagRequest]) -> Generator[TaggedPicture, None, None]:
        waiting: list[TagRequest] = []
        for request in requests:
            waiting.append(request)
            if len(waiting) > 3:
                yield self._find(waiting.pop(0))
        while waiting:
            yield self._find(waiting.pop(0))

    def _find(self, request: TagRequest) -> TaggedPicture:
        self.asked.append(request)
        found = self._finds.get(request.picture.name, TaggedPicture(("thing",), (LINE,)))
        return TaggedPicture(
            found.tags if request.wants_tags else None, found.lines if request.wants_lines else None
        )


class NeverReads:
    key = "reader-1"
    num_at_once = 1

    def read(self, image_HWC: np.ndarray) -> list[TextLine]:  # noqa: ARG002
        return []


class Recorder(QuietProgress):
    def __init__(self) -> None:
        self.activities: list[tuple[str, int | None]] = []
        self.advanced = 0
        self.problems: list[str] = []

    def begin(self, activity: str, total: int | None, unit: str) -> None:  # noqa: ARG002
        self.activities.append((activity, total))
        self.advanced = 0

    def advance(self, n: int = 1) -> None:
        self.advanced += n

    def problem(self, path: str, error: smallsight.SmallsightError) -> None:
        self.problems.append(f"{Path(path).name}: {error.code}")


@pytest.fixture
def work(database: Database, library: Library, settings: Settings, pictures: Path):
    def run(
        tagger: Script | ModelTagger | None,
        *,
        reader: NeverReads | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        observer: Recorder | None = None,
    ) -> IndexReport:
        known = library.add_folder(pictures)
        FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)
        indexer = Indexer(database, settings, list_stages(Means(database, settings, reader, tagger=tagger)))
        return indexer.run(observer or Recorder(), should_stop)

    return run


@pytest.fixture
def content_id(draw: Draw, library: Library, work) -> int:
    path = draw("a.png")
    work(None)
    return library.find_content(path)


@pytest.fixture
def give(database: Database, content_id: int):
    def by_machine(*names: str) -> bool:
        with database.writing() as connection:
            return store_machine_tags(connection, content_id, names)

    return by_machine


def all_rows(database: Database, *columns: sa.Column) -> list[tuple]:
    with database.reading() as connection:
        return sorted(tuple(row) for row in connection.execute(sa.select(*columns)))


@pytest.mark.parametrize(
    ("labels", "tags"),
    [
        (["Cat", "  hot   dog\n", "cat"], ("cat", "hot dog")),
        (["café", "Cafe"], ("café",)),
        (["a man in red", "a man in a red coat"], ("a man in red",)),
        (["x" * 40, "y" * 41], ("x" * 40,)),
        (["", " ", "...", "\x1b[31m", "a\x07b"], ("[31m", "a b")),
        ([str(number) for number in range(50)], tuple(str(number) for number in range(32))),
        (["loc_205>", "<loc_1>cat", "location"], ("location",)),
        ([], ()),
    ],
    ids=["case and spaces", "accents", "words", "characters", "marks", "many", "places", "none"],
)
def test_which_labels_become_tags(labels: list[str], tags: tuple[str, ...]):
    assert tags_of_labels(labels) == tags


def test_places_of_lines_are_fractions_of_the_sides():
    quads = [[0, 0, 100, 0, 100, 25, 0, 25], [0, 0, 1, 1, 1, 1, 0, 0], [-1, 50, 201, 50, 200, 51, 0, 50]]
    first, last = lines_of_quads(["A  SIGN", " <loc_7> ", "<loc_516>edge"], quads, (200, 50))
    assert first == TextLine("A SIGN", 1.0, ((0, 0), (0.5, 0), (0.5, 0.5), (0, 0.5)))
    assert last.box == ((0, 1), (1, 1), (1, 1), (0, 1))


def test_a_machines_tags_are_replaced_and_a_persons_are_not(
    database: Database, library: Library, content_id, give
):
    library.edit(content_id, tags_added=("Holiday",))
    assert give("cat", "sofa", "holiday")
    details = library.details(content_id)
    assert (details.tags, details.machine_tags) == (("Holiday", "cat", "sofa"), ("cat", "sofa"))
    assert not give("sofa", "cat")
    assert give("dog")
    assert library.details(content_id).tags == ("Holiday", "dog")
    assert all_rows(database, tag.c.name) == [("Holiday",), ("dog",)]


def test_a_tag_that_a_person_took_off_stays_off(database: Database, library: Library, content_id, give):
    give("cat", "sofa")
    assert library.edit(content_id, tags_removed=("Cat",)).tags == ("sofa",)
    assert not give("cat", "sofa")
    details = library.details(content_id)
    assert (details.tags, details.machine_tags) == (("sofa",), ("sofa",))
    assert all_rows(database, tag.c.name) == [("sofa",)]
    with database.reading() as connection:
        assert (content_id, "sofa") in texts_to_embed(connection, [content_id])
    assert library.edit(content_id, tags_added=("cat",)).machine_tags == ("sofa",)
    assert all_rows(database, refused_tag.c.folded) == []


def test_a_machines_tag_that_a_person_adds_is_the_persons(library: Library, content_id, give):
    give("cat", "sofa")
    assert library.edit(content_id, tags_added=("CAT",)).machine_tags == ("sofa",)
    give()
    assert library.details(content_id).tags == ("cat",)


def test_a_tag_that_another_picture_carries_is_kept(
    database: Database, library: Library, draw: Draw, work, content_id, give
):
    other = draw("b.png", colour=(1, 2, 3))
    work(None)
    give("cat")
    library.edit(library.find_content(other), tags_added=("cat",))
    give()
    assert library.details(content_id).tags == ()
    assert library.details(library.find_content(other)).tags == ("cat",)
    assert all_rows(database, tag.c.name) == [("cat",)]


def test_every_picture_is_tagged_once_and_found_by_it(
    database: Database, library: Library, settings: Settings, draw: Draw, work
):
    paths = [draw(f"{number}.png", colour=(number, 0, 0)) for number in range(20)]
    finds = {paths[3].name: TaggedPicture(("red lighthouse",), (LINE,))}
    recorder = Recorder()
    report = work(Script(finds=finds), observer=recorder)
    assert (
        report.stages["tag"].done,
        report.stages["tag"].failed,
        report.stages["read"].done,
        report.is_complete,
    ) == (20, 0, 20, True)
    assert (recorder.activities[-2], recorder.advanced) == (("Tagging pictures", 20), 20)
    searcher = Searcher(SqliteTextIndex(database), settings)
    for question in ("lighthouse", 'tag:"red lighthouse"'):
        assert [hit.path for hit in searcher.search(question).hits] == [paths[3]]
    assert len(searcher.search("hello").hits) == 20
    assert min(all_rows(database, content.c.text_version)) >= (1,)
    again = Script(finds=finds)
    assert (work(again).stages["tag"].done, again.asked) == (0, [])
    library.edit(library.find_content(paths[3]), tags_removed=("red lighthouse",))
    assert not searcher.search("lighthouse").hits
    newer = Script("script-2", finds)
    assert work(newer).stages["tag"].done == 20
    assert not searcher.search("lighthouse").hits


def test_lines_are_only_asked_for_where_nothing_reads(draw: Draw, library: Library, work):
    path = draw("a.png")
    script = Script()
    report = work(script, reader=NeverReads())
    assert [(one.wants_tags, one.wants_lines) for one in script.asked] == [(True, False)]
    assert (report.stages["tag"].done, report.stages["read"].done) == (1, 1)
    assert library.details(library.find_content(path)).ocr_text == ""
    without = Script()
    assert work(without).stages["read"].done == 1
    assert [(one.wants_tags, one.wants_lines) for one in without.asked] == [(False, True)]
    assert library.details(library.find_content(path)).ocr_text == "HELLO WORLD"


def test_a_persons_text_stays(library: Library, content_id, work):
    library.edit(content_id, ocr_text="Hello, world")
    work(Script())
    assert library.details(content_id).ocr_text == "Hello, world"


def test_an_error_about_one_picture_is_kept_and_the_others_go_on(database: Database, draw: Draw, work):
    for number in range(6):
        draw(f"{number}.png", colour=(number, 0, 0))
    broken = DecoderFailedError("Too odd.")
    finds = {"2.png": TaggedPicture(broken, broken), "4.png": TaggedPicture(("cat",), broken)}
    recorder = Recorder()
    report = work(Script(finds=finds), observer=recorder)
    assert (
        report.stages["tag"].done,
        report.stages["tag"].failed,
        report.stages["read"].done,
        report.stages["read"].failed,
    ) == (5, 1, 4, 2)
    assert recorder.problems == ["2.png: decoder_failed", "4.png: decoder_failed"]
    failed = [row for row in all_rows(database, outcome.c.stage, outcome.c.status) if row[1] == "failed"]
    assert failed == [("read", "failed"), ("read", "failed"), ("tag", "failed")]
    assert work(Script(finds=finds)).stages["tag"].done == 0


def test_stopping_keeps_what_is_tagged_and_holds_nothing(database: Database, draw: Draw, work):
    for number in range(40):
        draw(f"{number}.png", colour=(number, 0, 0))
    script = Script()
    work(None)
    assert not work(script, should_stop=lambda: len(script.asked) >= 5).is_complete
    assert len(script.asked) == 5
    assert all_rows(database, lease.c.token) == []
    assert work(script).is_complete
    assert len(script.asked) == 40


@pytest.fixture(scope="module")
def florence2(tmp_path_factory: pytest.TempPathFactory):
    folder = write_tiny_florence2(tmp_path_factory.mktemp("florence2") / "tiny", SHAPES[0])
    settings = Settings(home=folder.parent / "home")
    with smallsight.load(folder, precision="fp32", settings=settings) as model:
        yield model


def test_a_real_network_tags_as_it_answers(florence2, draw: Draw, pictures: Path, settings: Settings):
    assert florence2.tasks >= NEEDED_TASKS
    random = np.random.default_rng(1)
    paths = [pictures / f"{number}.png" for number in range(5)]
    for path in paths:
        Image.fromarray(random.integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    requests = [
        TagRequest(NamedBytes(path.name, path.read_bytes()), True, number < 2)
        for number, path in enumerate(paths)
    ]
    requests.insert(2, TagRequest(NamedBytes("bad.png", b"no picture"), True, True))
    found = list(ModelTagger(florence2, settings.limits).tag(requests))
    assert [isinstance(one.tags, PictureError) for one in found] == [one == 2 for one in range(6)]
    assert [one.lines is None for one in found] == [False, False, False, True, True, True]
    assert isinstance(found[2].lines, PictureError)
    labels = [
        label
        for task in ("<OD>", "<DENSE_REGION_CAPTION>")
        for label in florence2.ask(paths[0], task, max_tokens=256).data["labels"]
    ]
    assert found[0].tags == tags_of_labels(labels)


def test_a_real_network_tags_a_library(
    florence2, draw: Draw, database: Database, library: Library, settings: Settings, work
):
    path = draw("a.png")
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    tagger = ModelTagger(florence2, settings.limits)
    report = work(tagger)
    assert (report.stages["tag"].done, report.stages["read"].done) == (1, 1)
    assert [row[:2] for row in all_rows(database, outcome.c.stage, outcome.c.key)] == [
        ("compare", COMPARE_KEY),
        ("look", "look-3"),
        ("metadata", "metadata-2"),
        ("read", tagger.reading_key),
        ("tag", tagger.key),
    ]
    assert work(tagger).stages["tag"].done == 0
    name = library.details(library.find_content(path)).machine_tags[0]
    hits = Searcher(SqliteTextIndex(database), settings).search(f'tag:"{name}"').hits
    assert [hit.path for hit in hits] == [path]
