"""One reading and one decoding of a file for everything, and descriptions as if a model had opened it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

import smallsight
from clips import clip
from forked_commands import run_command
from quiet_progress import ChangeFeed
from smallsight.library.content_opener import ContentOpener
from smallsight.library.database import Database
from smallsight.library.describing import DescribeOptions, ModelDescriber
from smallsight.library.indexer import Indexer
from smallsight.library.ledger import LOOK, StageName, Task
from smallsight.library.library import Library
from smallsight.library.opened_content import Needs
from smallsight.library.read_files import ReadFiles
from smallsight.library.scan import FolderScan
from smallsight.library.schema import content, outcome, picture
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.model.answer import Answer
from smallsight.model.model import Model
from smallsight.model.picture_argument import NamedBytes, NamedImage
from smallsight.settings import MIB, Settings
from tiny_smolvlm import SHAPES, make_checkpoint

DESCRIBE = StageName("describe")

SCRIPT = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from quiet_progress import QuietProgress
from smallsight import load
from smallsight.library.database import Database
from smallsight.library.describing import DescribeOptions, ModelDescriber
from smallsight.library.indexer import Indexer
from smallsight.library.library import Library
from smallsight.library.read_files import ReadFiles
from smallsight.library.scan import FolderScan
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.media.child_process import ChildProcess
from smallsight.settings import MIB, Settings

pictures, checkpoint = {pictures!r}, {checkpoint!r}
opens, decodes, starts = [], [], []


def count(event, arguments):
    if event == "open" and os.path.basename(str(arguments[0])) == "new.jpg":  # below the folder it is a name
        opens.append(arguments[0])
    if event == "subprocess.Popen":
        starts.append(arguments[0])


class Reader:
    key = "reader-1"
    num_at_once = 1

    def read(self, image_HWC):
        return []


exchange = ChildProcess.exchange


def counted(self, header, *arguments, **named):
    if header is not None and "words_of" not in header:
        decodes.append(header)
    return exchange(self, header, *arguments, **named)


settings = Settings(home=Path({home!r}))
opened = Database.open_for_writing(settings.database_path)
with opened as database, load(checkpoint, precision="fp32") as model:
    sys.addaudithook(count)
    ChildProcess.exchange = counted
    files = ReadFiles()
    known = Library(database).add_folder(Path(pictures))
    FolderScan(database, settings, known.id, known.path, files).run(QuietProgress(), lambda: False)
    describer = ModelDescriber(model, DescribeOptions(max_tokens=4))
    means = Means(database, settings, Reader(), describer=describer)
    report = Indexer(database, settings, list_stages(means), files).run(QuietProgress(), lambda: False)
done = {{name: stage.done for name, stage in report.stages.items()}}
print(json.dumps({{"opens": len(opens), "decodes": len(decodes), "children": len(starts), "done": done}}))
"""


KINDS = (SHAPES[0], replace(SHAPES[1], name="sees videos", max_frames=4))


@pytest.fixture(scope="module", params=KINDS, ids=lambda shape: shape.name)
def checkpoint(request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("model") / request.param.name, request.param)


@pytest.fixture
def model(checkpoint: Path) -> Iterator[Model]:
    with smallsight.load(checkpoint, precision="fp32") as loaded:
        yield loaded


@pytest.fixture
def scan(database: Database, library: Library, settings: Settings, pictures: Path):
    def run() -> None:
        known = library.add_folder(pictures)
        FolderScan(database, settings, known.id, known.path).run(ChangeFeed(), lambda: False)

    return run


def tasks(database: Database, *stages: StageName) -> Iterator[Task]:
    with database.reading() as connection:
        rows = connection.execute(sa.select(content.c.id, content.c.sha256).order_by(content.c.id)).all()
    return iter([Task(row.id, row.sha256, dict.fromkeys(stages, "key")) for row in rows])


def test_a_new_picture_is_read_once_and_decoded_once(
    tmp_path: Path, draw, pictures: Path, settings: Settings, checkpoint: Path
):
    draw("new.jpg", size=3000)
    script = SCRIPT.format(
        tests=str(Path(__file__).parents[2]),
        pictures=str(pictures),
        checkpoint=str(checkpoint),
        home=str(settings.home),
    )
    code, out, err = run_command(script, os.environ)
    assert code == 0, err
    counts = json.loads(out.splitlines()[-1])
    assert counts["done"] == {
        "look": 1,
        "metadata": 1,
        "read": 1,
        "describe": 1,
        "tag": 0,
        "embed_picture": 0,
        "embed_frames": 0,
        "compare": 1,
        "compare_looks": 0,
        "embed": 0,
    }
    assert (counts["opens"], counts["decodes"], counts["children"]) == (1, 1, 1)


def write_awkward_pictures(folder: Path) -> None:
    """Write pictures that can be opened in more than one way."""
    random = np.random.default_rng(1)
    scene = Image.fromarray(random.integers(0, 256, (90, 120, 3), np.uint8))
    frames = [Image.fromarray(random.integers(0, 256, (64, 64, 3), np.uint8)) for _ in range(3)]
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = scene.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(scene.size))
    deep = np.linspace(0, 65_535, 120 * 90).astype(np.uint16).reshape(90, 120)
    scene.save(folder / "turned.jpg", exif=turned)
    scene.resize((2400, 1800)).save(folder / "large.jpg", exif=turned)
    clear.save(folder / "clear.png")
    Image.fromarray(deep).save(folder / "deep.png")
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:], duration=200)
    frames[0].save(folder / "moving.webp", save_all=True, append_images=frames[1:], lossless=True)
    frames[1].save(folder / "still.gif")


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("is_together", [True, False])
def test_a_description_is_what_the_model_says_about_the_file(
    database: Database, library: Library, settings: Settings, pictures: Path, model: Model, scan, is_together
):
    write_awkward_pictures(pictures)
    scan()
    if not is_together:
        Indexer(database, settings, list_stages(Means(database, settings))).run(ChangeFeed(), lambda: False)
    describer = ModelDescriber(model, DescribeOptions(max_tokens=12))
    assert describer.sees_videos == ("videos" in model.name)
    stages = list_stages(Means(database, settings, describer=describer))
    report = Indexer(database, settings, stages).run(ChangeFeed(), lambda: False)
    assert (report.stages["describe"].done, report.stages["describe"].failed) == (7, 0)
    paths = sorted(pictures.iterdir())
    alone = model.describe_many([NamedBytes(path.name, path.read_bytes()) for path in paths], max_tokens=12)
    said = [answer.text.strip() for answer in alone if isinstance(answer, Answer)]
    found = [library.details(library.find_content(path)).description or "" for path in paths]
    assert found == said
    assert len(set(said)) > 3, "the model says the same of everything, so this shows little"


def test_a_picture_that_fits_no_memory_in_full_is_still_looked_at(
    database: Database, settings: Settings, draw, scan
):
    draw("large.jpg", size=8200)  # 192 MiB of pixels; a JPEG can also be decoded at an eighth of its size
    scan()
    tight = settings.limits.model_copy(update={"decode_memory_bytes": 288 * MIB})
    tight_settings = settings.model_copy(update={"limits": tight})
    needs = {LOOK: Needs.FACTS, DESCRIBE: Needs.FULL_SIZE}
    opener = ContentOpener(database, tight_settings, ReadFiles(), needs)
    (opened,) = opener.open_all(tasks(database, LOOK, DESCRIBE), lambda: False)
    assert opened.error is None
    assert opened.picture.thumbnail_webp is not None
    assert opened.full_size_error.code == "decoder_failed"


@pytest.mark.parametrize("sees_videos", [True, False])
def test_what_moves_goes_to_a_model_that_sees_videos_as_its_file(
    database: Database, settings: Settings, pictures: Path, scan, sees_videos
):
    write_awkward_pictures(pictures)
    (pictures / "clip.mp4").write_bytes(clip(20, 96, 64))
    scan()
    wanted = Needs.FULL_SIZE | Needs.MOVING if sees_videos else Needs.FULL_SIZE
    opener = ContentOpener(database, settings, ReadFiles(), {DESCRIBE: wanted})
    shown = [one.take_shown() for one in opener.open_all(tasks(database, DESCRIBE), lambda: False)]
    files = {one.name for one in shown if isinstance(one, NamedBytes)}
    assert files == ({"moving.gif", "moving.webp", "clip.mp4"} if sees_videos else set())
    assert sees_videos or {one.size for one in shown if one.name == "clip.mp4"} == {(96, 64)}
    for one in shown:
        if isinstance(one, NamedImage):
            assert one.digest.hex() in {task.sha256 for task in tasks(database)}


def test_at_most_two_pictures_in_full_size_are_alive(database: Database, settings: Settings, draw, scan):
    for number in range(12):
        draw(f"{number}.png", colour=(number, 1, 1))
    scan()
    taken = 0

    def counted() -> Iterator[Task]:
        nonlocal taken
        for task in tasks(database, DESCRIBE):
            taken += 1
            yield task

    opener = ContentOpener(database, settings, ReadFiles(), {DESCRIBE: Needs.FULL_SIZE})
    for given, one in enumerate(opener.open_all(counted(), lambda: False), start=1):
        assert taken - given <= 1
        one.take_shown()
    assert given == 12


def test_files_handed_on_are_not_read_again(database: Database, settings: Settings, draw, pictures, library):
    path = draw("a.png")
    files = ReadFiles()
    known = library.add_folder(pictures)
    FolderScan(database, settings, known.id, known.path, files).run(ChangeFeed(), lambda: False)
    path.unlink()
    stages = list_stages(Means(database, settings))
    report = Indexer(database, settings, stages, files).run(ChangeFeed(), lambda: False)
    assert report.stages["look"].done == 1


def test_many_new_pictures_are_looked_at_before_any_is_described(
    database: Database, settings: Settings, draw, scan
):
    for number in range(70):
        draw(f"{number}.png", colour=(number, 1, 1), size=8)
    scan()
    feed = ChangeFeed()
    with smallsight.load("test") as model:
        describer = ModelDescriber(model, DescribeOptions())
        stages = list_stages(Means(database, settings, describer=describer))
        Indexer(database, settings, stages).run(feed, lambda: False)
        assert [stage for _, stage, _ in feed.outcomes] == (
            ["look", "metadata"] * 70 + ["describe"] * 70 + ["compare"] * 70
        )
        few = ChangeFeed()
        with database.writing() as connection:
            connection.execute(outcome.delete().where(outcome.c.content_id <= 5))
            connection.execute(picture.update().where(picture.c.id == 5).values(vanished_at_s=1.0))
        Indexer(database, settings, stages).run(few, lambda: False)
    assert few.outcomes == [
        *((one, stage, "done") for one in range(1, 5) for stage in ("look", "metadata", "describe")),
        *((one, "compare", "done") for one in range(1, 5)),
    ]
