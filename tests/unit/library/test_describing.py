"""Descriptions in the library, made by the real test model; a scripted one answers with errors."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

import smallsight
from native_decoders import needs_extension
from quiet_progress import QuietProgress
from smallsight.errors import DecoderFailedError, OutOfResourcesError, SmallsightError
from smallsight.library.database import Database
from smallsight.library.describing import DescribeOptions, ModelDescriber
from smallsight.library.indexer import Indexer, IndexReport
from smallsight.library.ledger import forget_failures
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan
from smallsight.library.schema import content, lease, outcome
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.library.version_keeping import DescriptionMaker
from smallsight.model.model import Model
from smallsight.model.picture_argument import NamedBytes, NamedImage
from smallsight.settings import Settings

Draw = Callable[..., Path]


class Script(ModelDescriber):
    """Says the name of each picture, or what it was told to say; takes pictures a few ahead."""

    def __init__(self, key: str = "script-1", says: dict[str, str | SmallsightError] | None = None) -> None:
        self.key, self.maker, self.sees_videos = key, DescriptionMaker("script"), False
        self.described: list[str] = []
        self.before_each: Callable[[str], None] = lambda _name: None
        self._says = says or {}

    def describe(
        self, pictures: Iterable[NamedBytes | NamedImage]
    ) -> Generator[str | SmallsightError, None, None]:
        waiting: list[str] = []
        for picture in pictures:
            waiting.append(picture.name)
            if len(waiting) > 3:
                yield self._say(waiting.pop(0))
        while waiting:
            yield self._say(waiting.pop(0))

    def _say(self, name: str) -> str | SmallsightError:
        self.before_each(name)
        self.described.append(name)
        return self._says.get(name, f"picture {name}")


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

    def problem(self, path: str, error: SmallsightError) -> None:
        self.problems.append(f"{Path(path).name}: {error.code}")


@pytest.fixture
def model() -> Iterator[Model]:
    with smallsight.load("test") as loaded:
        yield loaded


@pytest.fixture
def scan(database: Database, library: Library, settings: Settings, pictures: Path) -> Callable[[], None]:
    def run() -> None:
        known = library.add_folder(pictures)
        FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)

    return run


@pytest.fixture
def work(database: Database, settings: Settings):
    def run(
        describer: Script | ModelDescriber | None,
        should_stop: Callable[[], bool] = lambda: False,
        observer: Recorder | None = None,
    ) -> IndexReport:
        stages = list_stages(Means(database, settings, describer=describer))
        return Indexer(database, settings, stages).run(observer or Recorder(), should_stop)

    return run


def counts(report: IndexReport) -> dict[str, tuple[int, int]]:
    """Return how many were done and failed, for the stages that did anything."""
    stages = report.stages.items()
    return {name: (one.done, one.failed) for name, one in stages if one.done or one.failed}


def descriptions(database: Database) -> set[tuple[str | None, str | None, str | None]]:
    columns = (content.c.description, content.c.description_source, content.c.description_model)
    with database.reading() as connection:
        return {tuple(row) for row in connection.execute(sa.select(*columns))}


def outcomes(database: Database) -> list[tuple[str, str | None]]:
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(outcome.c.status, outcome.c.error_code).where(outcome.c.stage == "describe")
        )
        return sorted(tuple(row) for row in rows)


def test_every_picture_is_described_once_and_found_by_it(
    database: Database, library: Library, draw: Draw, scan, work, model: Model
):
    for number in range(40):
        draw(f"holiday no {number}.png", colour=(number, 2, 3))
    copy = draw("zz copy.png", colour=(1, 2, 3))
    scan()
    describer = ModelDescriber(model, DescribeOptions())
    recorder = Recorder()
    report = work(describer, observer=recorder)
    assert (report.stages["describe"].done, report.stages["describe"].failed, report.is_complete) == (
        40,
        0,
        True,
    )
    assert report.stages["describe"].seconds > 0
    assert recorder.activities[-2:] == [("Describing pictures", 40), ("Looking for copies", 40)]
    assert recorder.advanced == 40
    expected = {(f"holiday no {number}", "machine", "test") for number in range(40)}
    assert descriptions(database) == expected
    assert library.details(library.find_content(copy)).description == "holiday no 1"
    with database.reading() as connection:
        found = connection.exec_driver_sql("SELECT description FROM search_text").scalars().all()
        versions = connection.execute(sa.select(content.c.text_version)).scalars().all()
        assert connection.execute(sa.select(sa.func.count()).select_from(lease)).scalar_one() == 0
    assert len([text for text in found if "holiday" in text]) == 40
    assert min(versions) >= 1
    assert work(describer).stages["describe"].done == 0


def test_only_pictures_below_the_chosen_folders_are_described(
    database: Database, draw: Draw, scan, work, settings: Settings, pictures: Path
):
    draw("memes/cat.png")
    draw("memes/deep/dog.png", colour=(1, 2, 3))
    draw("memes of others/owl.png", colour=(2, 2, 3))
    draw("photo.png", colour=(3, 2, 3))
    draw("copy of the photo.png", colour=(3, 2, 3))
    draw("memes/photo.png", colour=(3, 2, 3))
    scan()
    link = pictures.parent / "link"
    link.symlink_to(pictures / "memes")
    chosen = settings.describe.model_copy(update={"folders": (link,)})
    describer = Script()
    narrow = settings.model_copy(update={"describe": chosen})
    stages = list_stages(Means(database, narrow, describer=describer))
    restricted = Indexer(database, narrow, stages).run(Recorder(), lambda: False)
    assert restricted.stages["describe"].done == 3
    assert "owl.png" not in describer.described
    assert work(describer).stages["describe"].done == 1
    assert describer.described[-1] == "owl.png"


def test_without_a_describer_nothing_is_described(database: Database, draw: Draw, scan, work):
    draw("a.png")
    scan()
    assert work(None).stages["describe"].done == 0
    assert outcomes(database) == []


@needs_extension
@pytest.mark.parametrize("with_kernels_first", [False, True])
def test_what_is_described_without_the_kernels_is_not_described_again_with_them_or_the_reverse(
    draw: Draw, scan, work, tmp_path: Path, with_kernels_first: bool, capsys: pytest.CaptureFixture[str]
):
    draw("a.png")
    scan()
    done = []
    for uses_kernels in (with_kernels_first, not with_kernels_first):
        settings = Settings(home=tmp_path / "home", kernels=uses_kernels, threads=1)
        with smallsight.load("Smallsight-tiny", precision="int8", settings=settings) as tiny:
            done.append(work(ModelDescriber(tiny, DescribeOptions())).stages["describe"].done)
        assert ("kernels_used" in "".join(capsys.readouterr())) is uses_kernels
    assert done == [1, 0]


@pytest.mark.parametrize(
    "changed",
    [{"prompt": "What is it?"}, {"detail": "low"}, {"max_tokens": 5}, {"length": "short"}],
    ids=lambda c: next(iter(c)),
)
def test_asking_in_another_way_describes_again(draw: Draw, scan, work, model: Model, changed):
    draw("a.png")
    scan()
    assert work(ModelDescriber(model, DescribeOptions())).stages["describe"].done == 1
    assert work(ModelDescriber(model, DescribeOptions(**changed))).stages["describe"].done == 1
    assert work(ModelDescriber(model, DescribeOptions(**changed))).stages["describe"].done == 0


def test_options_reach_the_model(database: Database, draw: Draw, scan, work, model: Model):
    draw("one two three.png")
    scan()
    work(ModelDescriber(model, DescribeOptions(max_tokens=2)))
    assert descriptions(database) == {("one two", "machine", "test")}


def test_the_same_words_again_renew_nothing(database: Database, draw: Draw, scan, work):
    draw("a.png")
    scan()
    work(Script("one"))
    with database.reading() as connection:
        before = connection.execute(sa.select(content.c.text_version)).scalar_one()
    assert work(Script("two")).stages["describe"].done == 1
    with database.reading() as connection:
        assert connection.execute(sa.select(content.c.text_version)).scalar_one() == before


def test_a_persons_description_is_left_alone_and_costs_no_time(
    database: Database, library: Library, draw: Draw, scan, work
):
    mine = draw("mine.png")
    draw("other.png", colour=(1, 1, 1))
    scan()
    library.edit(library.find_content(mine), description="my own words")
    script = Script()
    assert work(script).stages["describe"].done == 1
    assert script.described == ["other.png"]
    assert library.details(library.find_content(mine)).description == "my own words"
    assert work(Script("newer")).stages["describe"].done == 1


def test_what_a_person_says_meanwhile_wins(database: Database, library: Library, draw: Draw, scan, work):
    path = draw("a.png")
    scan()
    script = Script()
    script.before_each = lambda _name: library.edit(library.find_content(path), description="mine") and None
    work(script)
    assert script.described == ["a.png"]
    assert descriptions(database) == {("mine", "human", None)}


def test_a_description_taken_back_is_made_by_the_model_again(
    database: Database, library: Library, draw: Draw, scan, work
):
    path = draw("a.png")
    scan()
    work(Script())
    content_id = library.find_content(path)
    library.edit(content_id, description="mine")
    assert work(Script()).stages["describe"].done == 0
    library.edit(content_id, description="")
    assert work(Script()).stages["describe"].done == 1
    assert descriptions(database) == {("picture a.png", "machine", "script")}


def test_an_error_about_one_picture_is_recorded_and_the_others_go_on(
    database: Database, draw: Draw, scan, work
):
    for number in range(6):
        draw(f"{number}.png", colour=(number, 0, 0))
    scan()
    script = Script(says={"2.png": DecoderFailedError("Too odd."), "4.png": OutOfResourcesError("Too long.")})
    recorder = Recorder()
    report = work(script, observer=recorder)
    assert (report.stages["describe"].done, report.stages["describe"].failed) == (4, 2)
    assert recorder.problems == ["2.png: decoder_failed", "4.png: out_of_resources"]
    assert recorder.advanced == 6
    assert outcomes(database) == [
        *[("done", None)] * 4,
        ("failed", "decoder_failed"),
        ("failed", "out_of_resources"),
    ]
    assert work(Script()).stages["describe"].failed == 0
    with database.writing() as connection:
        assert forget_failures(connection) == 2
    assert work(Script()).stages["describe"].done == 2


def test_a_model_that_breaks_stops_the_run_and_loses_nothing(database: Database, draw: Draw, scan, work):
    for number in range(8):
        draw(f"{number}.png", colour=(number, 0, 0))
    scan()
    script = Script()

    def break_at_five(name: str) -> None:
        if name == "5.png":
            raise OutOfResourcesError("No memory left.")

    script.before_each = break_at_five
    with pytest.raises(OutOfResourcesError, match="No memory"):
        work(script)
    assert len(outcomes(database)) == 5
    with database.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(lease)).scalar_one() == 0
    assert work(Script()).stages["describe"].done == 3


def test_stopping_keeps_what_is_described_and_holds_nothing(database: Database, draw: Draw, scan, work):
    for number in range(40):
        draw(f"{number}.png", colour=(number, 0, 0))
    scan()
    script = Script()
    report = work(script, should_stop=lambda: len(script.described) >= 5)
    assert not report.is_complete
    assert len(script.described) == len(outcomes(database)) == 5
    with database.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(lease)).scalar_one() == 0
    assert work(script).is_complete
    assert len(script.described) == 40


def test_a_file_that_changed_since_the_scan_waits_for_the_next(database: Database, draw: Draw, scan, work):
    draw("a.png", colour=(1, 1, 1))
    draw("b.png", colour=(5, 5, 5))
    scan()
    work(None)
    draw("a.png", colour=(2, 2, 2), size=48)
    recorder = Recorder()
    report = work(Script(), observer=recorder)
    assert recorder.problems == ["a.png: picture_not_found"]
    assert (report.stages["describe"].done, report.stages["describe"].failed, recorder.advanced) == (1, 0, 2)
    scan()
    assert work(Script()).stages["describe"].done == 1


def test_a_picture_that_does_not_decode_is_never_described(
    database: Database, draw: Draw, pictures: Path, scan, work
):
    draw("good.png")
    (pictures / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    scan()
    script = Script()
    work(script)
    assert script.described == ["good.png"]


def test_an_empty_description_is_an_answer_without_words(database: Database, draw: Draw, scan, work):
    draw("a.png")
    scan()
    script = Script(says={"a.png": "  \n"})
    assert work(script).stages["describe"].done == 1
    assert descriptions(database) == {(None, "machine", "script")}
    assert work(script).stages["describe"].done == 0


def test_a_long_description_is_cut_at_the_limit(
    database: Database, settings: Settings, draw: Draw, scan, work
):
    draw("a.png")
    scan()
    work(Script(says={"a.png": "x" * (settings.limits.max_text_chars + 7)}))
    ((text, _source, _model),) = descriptions(database)
    assert text == "x" * settings.limits.max_text_chars
