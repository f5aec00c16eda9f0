"""A full, read-only or failing disk, a clock that jumps: the run stops with a reason, and goes on later (R5).

Each home is a small file system of its own in memory, mounted where only the test sees it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scale import scaled

from .conftest import Command
from .library_state import visible_state

NUM_RUNS = scaled(1)  # SMALLSIGHT_TEST_SCALE=25 is the promised size
NUM_PICTURES = 40
INDEX = f"{sys.executable} -m smallsight index --model test"

# A full or read-only disk first, then one with room; the library is copied out at the end.
SCRIPT = """
mount -t tmpfs -o size={size} none {home} || exit 99
[ -z "{prepared}" ] || cp -r {prepared}/. {home}/
[ -z "{mode}" ] || mount -o remount,{mode} {home}
{index} {pictures} 2> {out}/err; echo $? > {out}/code
mount -o remount,rw,size=256m {home} || exit 98
{index} {pictures} 2>> {out}/err2 || exit 97
cp -r {home}/. {out}/home
"""

can_mount = shutil.which("unshare") is not None and (
    subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    ).returncode
    == 0
)
needs_mounts = pytest.mark.skipif(not can_mount, reason="this user may not mount file systems")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    chance = random.Random(3)
    for number in range(NUM_PICTURES):
        image = Image.effect_noise((240, 180 + number), 40 + chance.randrange(60)).convert("RGB")
        image.save(folder / f"picture {number:03}.jpg")
    return folder


@pytest.fixture(scope="module", autouse=True)
def without_reading() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMALLSIGHT_INDEX__OCR", "false")
        yield


@pytest.fixture(scope="module")
def whole(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    command = Command(tmp_path_factory.mktemp("whole") / "home")
    command.run("index", "--model", "test", pictures)
    return visible_state(command.home)


def run_on_disk(
    folder: Path, pictures: Path, size: str, mode: str = "", prepared: Path | None = None
) -> tuple[int, str]:
    """Index on a bad disk, then on a good one; return the first exit code and what it said."""
    home, out = folder / "home", folder / "out"
    home.mkdir(parents=True)
    out.mkdir()
    words = {"size": size, "mode": mode, "home": home, "out": out, "pictures": pictures, "index": INDEX}
    script = SCRIPT.format(**words, prepared=prepared or "")
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home)}
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], env=environment, timeout=300, check=False)
    assert done.returncode == 0, (done.returncode, (out / "err").read_text())
    return int((out / "code").read_text()), (out / "err").read_text()


@pytest.mark.slow
@needs_mounts
def test_a_full_disk_stops_the_run_and_more_room_continues_it(
    tmp_path: Path, pictures: Path, whole: dict[str, Any]
):
    chance = random.Random(11)
    for number in range(NUM_RUNS):
        size = f"{chance.randrange(250, 700)}k"
        code, err = run_on_disk(tmp_path / str(number), pictures, size)
        assert code == 7, (size, err)
        assert "error: The disk is full" in err or "No space left" in err, err
        assert "Traceback" not in err
        assert visible_state(tmp_path / str(number) / "out" / "home") == whole, size


@pytest.mark.slow
@needs_mounts
def test_a_read_only_disk_stops_the_run_before_it_begins(
    tmp_path: Path, pictures: Path, whole: dict[str, Any]
):
    Command(tmp_path / "earlier").run("index", pictures, "--no-describe")
    for number in range(NUM_RUNS):
        prepared = tmp_path / "earlier" if number % 2 else None
        code, err = run_on_disk(tmp_path / str(number), pictures, "64m", mode="ro", prepared=prepared)
        assert code == 7, err
        assert "error: Cannot write to the library" in err
        assert "Read-only file system" in err
        assert "Traceback" not in err
        home = tmp_path / str(number) / "out" / "home"
        assert visible_state(home) == whole


READING = """
mount -t tmpfs -o size={size} none {home} || exit 99
cp -r {prepared}/. {home}/
{change}
mount -o remount,{mode} {home} || exit 98
for words in 'search picture' 'show {picture}' tags folders 'export --format csv' duplicates 'undo --list'; do
  {command} $words > {out} 2>&1 || {{ echo "$words: $?" >> {out}; exit 97; }}
done
"""


def read_on_disk(folder: Path, prepared: Path, picture: Path, mode: str, change: str) -> tuple[int, str]:
    """Run commands that only read on a bad disk; return the exit code and what the last one said."""
    home, out = folder / "home", folder / "out"
    home.mkdir(parents=True)
    words = {"size": "64m", "home": home, "prepared": prepared, "picture": picture, "mode": mode, "out": out}
    command = f"{sys.executable} -m smallsight"
    script = READING.format(**words, change=change.format(home=home), command=command)
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home)}
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], env=environment, timeout=300, check=False)
    return done.returncode, out.read_text()


@needs_mounts
def test_a_library_on_a_read_only_disk_is_read(tmp_path: Path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    picture = pictures / "picture.png"
    Image.effect_noise((64, 64), 40).save(picture)
    prepared = tmp_path / "prepared"
    Command(prepared).run("index", pictures, "--no-describe")
    code, said = read_on_disk(tmp_path / "whole", prepared, picture, "ro", "true")
    assert code == 0, said
    # A copy of a library in use has changes in its log, which can only be read where SQLite can write.
    code, said = read_on_disk(
        tmp_path / "log", prepared, picture, "ro", "echo changes > {home}/library.sqlite3-wal"
    )
    assert code == 97
    assert "read-only, and the last changes are not in the database yet" in said
    assert "search picture: 7" in said
    fill = "head -c 80m /dev/zero > {home}/filling 2> /dev/null"
    code, said = read_on_disk(tmp_path / "full", prepared, picture, "rw", fill)
    assert code == 97
    assert "error: The disk is full" in said


# The command with a clock that is wrong by so many seconds.
SHIFTED = """
import sys, time
shift_s, wall, wall_ns = float(sys.argv.pop(1)), time.time, time.time_ns
time.time, time.time_ns = lambda: wall() + shift_s, lambda: wall_ns() + int(shift_s * 1e9)
from smallsight.cli.main import run
run()
"""


@pytest.mark.slow
def test_a_clock_that_jumps_by_a_day_neither_stops_nor_repeats_work(
    tmp_path: Path, pictures: Path, whole: dict[str, Any]
):
    """Killed with work reserved until some time; then the clock says that this is long past, or far ahead."""
    chance = random.Random(5)
    for number in range(NUM_RUNS):
        home = tmp_path / str(number)
        environment = {**os.environ, "SMALLSIGHT_HOME": str(home)}

        def start(shift_s: float, environment: dict[str, str] = environment) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-c", SHIFTED, str(shift_s), "index", "--model", "test", str(pictures)]
            return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)

        first = start(0)
        time.sleep(chance.uniform(1.5, 3))
        first.send_signal(signal.SIGKILL)
        first.communicate()
        second = start(86_400 if number % 2 else -86_400)
        _, err = second.communicate(timeout=120)
        assert second.returncode == 0, err.decode()
        assert visible_state(home) == whole


# Writing and flushing files below a folder fails, as on a broken disk, while another file is there.
FAILING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int fails(int fd) {
    const char *flag = getenv("FAILING_WHILE"), *below = getenv("FAILING_BELOW");
    char link[64], path[4096];
    ssize_t length;
    if (!flag || !below || access(flag, F_OK)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    return length > 0 && !strncmp(path, below, strlen(below));
}
#define FAIL_OR(name, type, parameters, ...) \
    type name parameters { \
        static type (*real) parameters; \
        if (fails(fd)) { errno = EIO; return -1; } \
        if (!real) real = (type (*) parameters)dlsym(RTLD_NEXT, #name); \
        return real(__VA_ARGS__); \
    }
FAIL_OR(write, ssize_t, (int fd, const void *data, size_t size), fd, data, size)
FAIL_OR(pwrite, ssize_t, (int fd, const void *data, size_t size, off_t at), fd, data, size, at)
FAIL_OR(pwrite64, ssize_t, (int fd, const void *data, size_t size, off64_t at), fd, data, size, at)
FAIL_OR(fsync, int, (int fd), fd)
FAIL_OR(fdatasync, int, (int fd), fd)
"""


def num_outcomes(home: Path) -> int:
    """Return how much has been stored about pictures; there are several outcomes for each."""
    try:
        with closing(sqlite3.connect(f"file:{home}/library.sqlite3?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM outcome").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # not made yet


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="needs Linux and a compiler"
)
def test_a_disk_that_reports_errors_stops_the_run_and_a_sound_one_continues_it(
    tmp_path: Path, pictures: Path, whole: dict[str, Any]
):
    (tmp_path / "failing.c").write_text(FAILING)
    library = tmp_path / "failing.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "failing.c", "-ldl"], check=True)
    chance, flag = random.Random(23), tmp_path / "flag"
    num_failed = 0
    for number in range(NUM_RUNS):
        command = Command(tmp_path / str(number))
        environment = {
            **command.environment(),
            "LD_PRELOAD": str(library),
            "FAILING_WHILE": str(flag),
            "FAILING_BELOW": str(command.home),
        }
        run = subprocess.Popen([*INDEX.split(), pictures], env=environment, stderr=subprocess.PIPE, text=True)
        num_done = chance.randrange(1, NUM_PICTURES // 2)
        while num_outcomes(command.home) < num_done:
            assert run.poll() is None, "the run was over before the disk failed"
            time.sleep(0.005)
        flag.touch()
        _, err = run.communicate(timeout=120)
        flag.unlink()
        if run.returncode != 0:
            num_failed += 1
            assert run.returncode == 7, err
            assert "error: " in err
            assert "Traceback" not in err
        command.run("index", "--model", "test", pictures)
        assert visible_state(command.home) == whole
    assert num_failed > NUM_RUNS // 2
