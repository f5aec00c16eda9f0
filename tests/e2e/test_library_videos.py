"""Videos in a library with the real command and server: found by one of their seconds, and played."""

from __future__ import annotations

import os
import random
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import smallsight as package
from clips import animated, encoded
from clocks import wait_until

from .conftest import Command, end_all, with_prepared
from .serving import running

STICKERS = Path(__file__).parents[2] / "examples" / "stickers"
BEE, OWL, BELL = (STICKERS / f"sticker_{number}.png" for number in (1, 2, 6))
FPS = 10

pytestmark = pytest.mark.skipif(
    not (Path(package.__file__).parent / "shipped" / "Smallsight-tiny-looks").is_dir(),
    reason="the package has no model of drawings",
)


def drawing(path: Path, side: int = 192) -> np.ndarray:
    """Return a drawing on white, uint8 RGB."""
    sticker = Image.open(path).convert("RGBA")
    page = Image.new("RGBA", sticker.size, "white")
    page.alpha_composite(sticker)
    return np.asarray(page.convert("RGB").resize((side, side)))


def film(*scenes: tuple[Path | None, int], container: str = "mp4") -> bytes:
    """Encode drawings, or black for None, each for some seconds."""
    black = np.zeros((192, 192, 3), np.uint8)
    frames = [
        black if path is None else drawing(path) for path, seconds in scenes for _ in range(seconds * FPS)
    ]
    return encoded(frames, container, "libvpx" if container == "webm" else "libx264", rate=FPS)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("album")
    (folder / "birthday.mp4").write_bytes(film((None, 2), (BELL, 5), (OWL, 2), (BELL, 5)))
    (folder / "garden.webm").write_bytes(film((BELL, 3), (BEE, 3), container="webm"))
    (folder / "waving.gif").write_bytes(
        animated([Image.fromarray(drawing(one)) for one in (BELL, BELL, OWL)], duration=2000)
    )
    (folder / "cut.mp4").write_bytes(film((BEE, 2))[:2500])
    Image.fromarray(drawing(BEE)).save(folder / "bee.png")
    return folder


@pytest.fixture(scope="module")
def indexed(
    album: Path, tmp_path_factory: pytest.TempPathFactory, prepared: Path
) -> Iterator[tuple[Command, str]]:
    """The command with a library of the album, and what indexing said."""
    command = with_prepared(tmp_path_factory.mktemp("videos") / "home", prepared)
    _, said = command.run("index", "--fast", album)
    yield command, said
    end_all(command)


def test_an_owl_that_appears_for_two_seconds_finds_the_video_with_the_second(indexed: tuple[Command, str]):
    smallsight, said = indexed
    assert "2 pictures, 3 videos, 5 new" in said
    assert "skipped cut.mp4" in said or "cut.mp4: " in said
    hits = {Path(hit["path"]).name: hit for hit in smallsight.json("search", "owl")}
    assert set(hits) == {"birthday.mp4", "waving.gif"}
    assert 7.0 <= hits["birthday.mp4"]["found_at_s"] < 9.0
    assert hits["birthday.mp4"]["duration_s"] == pytest.approx(14, abs=0.2)
    assert (hits["birthday.mp4"]["kind"], hits["waving.gif"]["kind"]) == ("video", "animation")
    assert hits["waving.gif"]["found_at_s"] >= 4.0
    assert hits["waving.gif"]["duration_s"] is None
    bees = {Path(hit["path"]).name: hit["found_at_s"] for hit in smallsight.json("search", "bee")}
    assert bees.keys() == {"garden.webm", "bee.png"}
    assert bees["bee.png"] is None
    assert bees["garden.webm"] >= 3.0
    out, _ = smallsight.run("search", "owl")
    assert re.search(r"birthday\.mp4 +\(looks like 0\.\d\d at 0:0[78]\)", out)


def test_show_and_the_second_run_know_the_video(indexed: tuple[Command, str], album: Path):
    smallsight, _ = indexed
    shown = smallsight.json("show", album / "birthday.mp4")
    assert (shown["kind"], shown["format"], shown["frames"], shown["problems"]) == ("video", "MP4", 140, [])
    assert shown["duration_s"] == pytest.approx(14, abs=0.2)
    pixels = np.asarray(Image.open(shown["thumbnail"]).convert("RGB"))
    assert pixels.mean() > 100, "the still is not of the black beginning"
    assert "Video" in smallsight.run("show", album / "birthday.mp4")[0]
    assert len(smallsight.json("show", album / "cut.mp4")["problems"]) == 1
    again = smallsight.json("index", "--fast")
    assert {name: stage["done"] for name, stage in again["stages"].items() if stage["done"]} == {}
    assert again["problems"] == []


def test_a_video_plays_on_its_page_from_the_moment_that_was_found(indexed: tuple[Command, str], album: Path):
    smallsight, _ = indexed
    data = (album / "birthday.mp4").read_bytes()
    with running(smallsight.home) as server:
        gallery = server.http.get("/app/?q=owl").text
        address = re.search(r'href="(/app/pictures/\d+\?[^"]*t=\d\.\d\d)"', gallery)
        assert address is not None, gallery
        assert "0:14" in gallery
        page = server.http.get(address[1].replace("&amp;", "&")).text
        tag = re.search(r'<video [^>]*src="([^"#]+)#t=(\d+\.\d+)"[^>]*poster="([^"]+)"', page)
        assert tag is not None
        assert 7.0 <= float(tag[2]) < 9.0
        poster = server.http.get(tag[3])
        assert (poster.status_code, poster.headers["content-type"]) == (200, "image/webp")
        part = server.http.get(tag[1], headers={"range": "bytes=100-299", "accept-encoding": "gzip"})
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes 100-299/{len(data)}"
        assert part.headers["content-type"] == "video/mp4"
        assert part.headers["x-content-type-options"] == "nosniff"
        assert part.content == data[100:300]
        assert server.http.get(tag[1], headers={"range": f"bytes={len(data)}-"}).status_code == 416
        assert server.http.get(tag[1]).content == data
        thumbnail = server.http.get(tag[3].replace("/1600/", "/640/"))
        assert thumbnail.status_code == 200
        start = server.http.get(address[1].partition("t=")[0].replace("&amp;", "&") + "t=x").text
        assert "#t=" not in start


def test_without_the_extra_one_sentence_says_what_is_left_out(
    smallsight: Command, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import importlib.util as u\nreal = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'av' else real(name, *rest)\n"
    )
    with monkeypatch.context() as patch:  # other commands may be forked from a process that starts here
        patch.setenv("PYTHONPATH", os.pathsep.join([str(hook), os.environ.get("PYTHONPATH", "")]))
        _, err = smallsight.run_afresh("index", "--fast", album)
    said = " ".join(err.split())
    assert "3 videos were left out: pip install 'smallsight[video]' reads videos." in said
    assert "2 pictures, 2 new" in said
    assert said.count("video") == 3, "nothing else is said about them"
    assert {Path(hit["path"]).name for hit in smallsight.json("search", "owl")} == {"waving.gif"}


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_with_every_vector_once(
    smallsight: Command, tmp_path: Path
):
    folder = tmp_path / "films"
    folder.mkdir()
    chance = random.Random(5)
    for number in range(6):
        scenes = [(chance.choice((BEE, OWL, BELL)), 2) for _ in range(3)]
        (folder / f"{number}.mp4").write_bytes(film(*scenes))
    database = smallsight.home / "library.sqlite3"

    def num_done() -> int:
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(database)) as connection:
            return int(connection.execute("SELECT count(*) FROM outcome").fetchone()[0])
        return 0  # there is no library yet

    for _ in range(4):
        before = num_done()
        process = smallsight.start("index", "--fast", folder)
        wait_until(lambda: num_done() > before or process.poll() is not None)  # noqa: B023 - used here
        process.kill()
        process.communicate()
    smallsight.run("index", "--fast", folder)
    with closing(sqlite3.connect(database)) as connection:
        doubled = connection.execute(
            """SELECT content_id, time_s, count(*) FROM picture_vector
               GROUP BY content_id, time_s HAVING count(*) > 1"""
        ).fetchall()
        contents = connection.execute(
            "SELECT count(DISTINCT content_id) FROM picture_vector WHERE time_s IS NOT NULL"
        ).fetchone()[0]
        leases = connection.execute("SELECT count(*) FROM lease").fetchone()[0]
    assert (doubled, contents, leases) == ([], 6, 0)
