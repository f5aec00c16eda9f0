from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from io import BytesIO

import numpy as np
import psutil
import pytest
from PIL import Image

import smallsight.media.decoder as decoder_module
from smallsight.errors import (
    CorruptPictureError,
    DecoderFailedError,
    DecoderNotStartedError,
    MissingDecoderError,
    MissingExtraError,
    PictureError,
    PictureTooLargeError,
    UnsupportedFormatError,
)
from smallsight.media.decoder import PictureDecoder
from smallsight.media.formats import has_heif
from smallsight.settings import MIB, Limits

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture(scope="module")
def png(encode, scene) -> bytes:
    return encode(scene, "PNG")


def wait_until(is_true: Callable[[], bool], timeout_s: float = 60.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if is_true():
            return True
        time.sleep(0.02)
    return False


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_whole_answer(decoder, scene, png):
    picture = decoder.decode(png, max_side_px=200, thumbnail_side_px=64, wants_hashes=True)
    assert (picture.format, picture.width_px, picture.height_px, picture.num_frames) == ("PNG", 400, 300, 1)
    assert picture.image_HWC.shape == (150, 200, 3)
    assert picture.image_HWC.dtype == np.uint8
    expected_HWC = np.asarray(scene.resize((200, 150), Image.Resampling.BICUBIC), dtype=int)
    assert np.abs(picture.image_HWC - expected_HWC).mean() < 2
    thumbnail = Image.open(BytesIO(picture.thumbnail_webp))
    assert (thumbnail.format, thumbnail.size) == ("WEBP", (64, 48))
    assert 0 < picture.phash < 2**64
    assert 0 < picture.dhash < 2**64


def moving(scene: Image.Image, **options: object) -> dict[str, object]:
    return {"save_all": True, "append_images": [scene.rotate(90), scene.rotate(180)], **options}


def awkward_pictures(encode, scene) -> dict[str, bytes]:
    """Pictures whose way to RGB has more than one step, and large ones that are reduced while decoding."""
    large = scene.resize((2400, 1800), Image.Resampling.BICUBIC)
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = scene.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(scene.size))
    deep = Image.fromarray(np.linspace(0, 65_535, 300 * 400).astype(np.uint16).reshape(300, 400))
    indexed = scene.quantize(16)
    return {
        "a turned JPEG": encode(scene, "JPEG", exif=turned),
        "a large JPEG": encode(large, "JPEG", quality=90),
        "a large turned JPEG": encode(large, "JPEG", exif=turned),
        "a large grey JPEG": encode(large.convert("L"), "JPEG"),
        "a large CMYK JPEG": encode(large.convert("CMYK"), "JPEG"),
        "a large PNG": encode(large, "PNG", compress_level=1),
        "transparency": encode(clear, "PNG"),
        "large transparency": encode(clear.resize((2400, 1800)), "PNG", compress_level=1),
        "16 bit": encode(deep, "PNG"),
        "large 16 bit": encode(deep.resize((2400, 1800)), "PNG", compress_level=1),
        "an index with transparency": encode(indexed, "PNG", transparency=3),
        "a moving GIF": encode(scene, "GIF", **moving(scene)),
        "a moving WebP": encode(scene, "WEBP", **moving(scene, lossless=True)),
        "a thin picture": encode(scene.resize((5000, 3)), "PNG"),
        "one pixel": encode(scene.resize((1, 1)), "BMP"),
    }


def test_all_that_is_asked_for_together_is_what_comes_alone(decoder, encode, scene):
    for name, data in awkward_pictures(encode, scene).items():
        small = {"max_side_px": 700, "thumbnail_side_px": 64, "wants_hashes": True}
        both = decoder.decode(data, **small, wants_full_size=True)
        alone, read, shown = (
            decoder.decode(data, **small),
            decoder.decode(data, max_side_px=700),
            decoder.decode(data, max_side_px=Limits().max_image_side_px),
        )
        only = decoder.decode(data, wants_full_size=True)
        assert np.array_equal(both.image_HWC, alone.image_HWC), name
        assert np.array_equal(both.image_HWC, read.image_HWC), name
        assert np.array_equal(both.full_size_HWC, shown.image_HWC), name
        assert np.array_equal(only.full_size_HWC, shown.image_HWC), name
        assert both.full_size_HWC.shape == (both.height_px, both.width_px, 3), name
        assert both.thumbnail_webp == alone.thumbnail_webp, name
        assert (both.phash, both.dhash) == (alone.phash, alone.dhash), name
        assert (read.phash, read.dhash, read.full_size_HWC, only.image_HWC) == (None,) * 4, name


def test_only_what_is_asked_for(decoder, png):
    picture = decoder.decode(png)
    assert picture.image_HWC is None
    assert picture.thumbnail_webp is None
    assert decoder.decode(png, max_side_px=5000).image_HWC.shape == (300, 400, 3)


def test_one_child_serves_many_pictures(png):
    with PictureDecoder(Limits()) as decoder:
        decoder.decode(png)
        pid = decoder.child_pid
        for _ in range(20):
            decoder.decode(png)
            with pytest.raises(CorruptPictureError):
                decoder.decode(png[:300])
        assert (decoder.child_pid, decoder.num_children_started) == (pid, 1)


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", UnsupportedFormatError, "empty"),
        (b"<svg xmlns='x'/>", UnsupportedFormatError, "SVG"),
        (b"%PDF-1.4", UnsupportedFormatError, "PDF"),
        (b"just words", UnsupportedFormatError, "text"),
        (b"\xff\xd8\xff", CorruptPictureError, "JPEG"),
        (b"\x89PNG\r\n\x1a\n", CorruptPictureError, "PNG"),
        (b"GIF89a" + b"\xff\xff\xff\xff" + bytes(3), PictureTooLargeError, "pixels: 4294836225"),
        (
            b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff" * 6,
            PictureTooLargeError,
            "side that is too long: 16777216 px",
        ),
    ],
)
def test_files_that_are_no_usable_picture(decoder, data, error, words):
    with pytest.raises(error) as caught:
        decoder.decode(data)
    assert words in caught.value.message
    assert isinstance(caught.value, PictureError)


def test_a_bomb_is_refused_by_its_header(decoder, png_header):
    with pytest.raises(PictureTooLargeError, match=r"pixels: 3600000000 \(limit 100000000\)"):
        decoder.decode(png_header(60_000, 60_000))


@pytest.mark.skipif(has_heif(), reason="the extra is installed")
def test_heic_without_its_extra(decoder):
    with pytest.raises(MissingDecoderError, match="heif") as caught:
        decoder.decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert isinstance(caught.value, MissingExtraError)
    assert isinstance(caught.value, PictureError)


@pytest.mark.skipif(not has_heif(), reason="needs the heif extra")
def test_heic_with_its_extra(decoder, scene):
    from pillow_heif import from_pillow

    stream = BytesIO()
    from_pillow(scene).save(stream, quality=90)
    picture = decoder.decode(stream.getvalue(), max_side_px=400)
    assert picture.format == "HEIF"
    assert np.abs(picture.image_HWC - np.asarray(scene, dtype=int)).mean() < 6


@LINUX_ONLY
def test_memory_is_bounded(png_header, png):
    limits = Limits(decode_memory_bytes=512 * MIB, max_image_pixels=400_000_000)
    with PictureDecoder(limits) as decoder:
        with pytest.raises(DecoderFailedError, match=r"memory \(limit 512 MiB\)"):
            decoder.decode(png_header(15_000, 15_000))
        assert decoder.decode(png).width_px == 400


@LINUX_ONLY
def test_a_file_larger_than_the_child_may_hold(png):
    with PictureDecoder(Limits(decode_memory_bytes=512 * MIB)) as decoder:
        with pytest.raises(DecoderFailedError, match="memory"):
            decoder.decode(png + bytes(600 * MIB))
        assert decoder.decode(png).width_px == 400


def test_a_slow_picture_runs_out_of_time(encode):
    noise_HWC = np.random.default_rng(1).integers(0, 255, (3000, 3000, 3), dtype=np.uint8)
    slow = encode(Image.fromarray(noise_HWC), "PNG", compress_level=1)
    with PictureDecoder(Limits(decode_timeout_s=0.05)) as decoder:
        with pytest.raises(DecoderFailedError, match=r"too long \(limit 0.05 s\)"):
            decoder.decode(slow, max_side_px=3000)
        assert decoder.child_pid is None


@POSIX_ONLY
def test_a_child_that_hangs_is_killed(png):
    with PictureDecoder(Limits(decode_timeout_s=2)) as decoder:
        decoder.decode(png)
        pid = decoder.child_pid
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(DecoderFailedError, match="too long"):
            decoder.decode(png)
        assert is_gone(pid)
        assert decoder.decode(png).width_px == 400
        assert decoder.num_children_started == 2


@POSIX_ONLY
def test_a_child_killed_in_the_middle(png):
    with PictureDecoder(Limits()) as decoder:
        decoder.decode(png)
        pid = decoder.child_pid
        os.kill(pid, signal.SIGSTOP)  # so that the kill surely comes in the middle
        threading.Timer(0.2, os.kill, (pid, signal.SIGKILL)).start()
        with pytest.raises(DecoderFailedError, match="SIGKILL"):
            decoder.decode(png)
        assert decoder.decode(png).width_px == 400
        assert decoder.num_children_started == 2


@POSIX_ONLY
def test_a_child_killed_between_pictures_costs_nothing(png):
    with PictureDecoder(Limits()) as decoder:
        decoder.decode(png)
        os.kill(decoder.child_pid, signal.SIGKILL)
        assert wait_until(lambda: is_gone(decoder.child_pid))
        assert decoder.decode(png).width_px == 400


@POSIX_ONLY
def test_ctrl_c_in_the_middle_leaves_no_half_answer(png):
    with PictureDecoder(Limits()) as decoder:
        decoder.decode(png)
        pid = decoder.child_pid
        os.kill(pid, signal.SIGSTOP)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # test runners may ignore it
        try:
            with pytest.raises(KeyboardInterrupt):
                threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
                decoder.decode(png)
        finally:
            signal.signal(signal.SIGINT, before)
        assert is_gone(pid)
        assert decoder.decode(png).width_px == 400


@POSIX_ONLY
def test_ctrl_c_does_not_reach_the_child(png):
    with PictureDecoder(Limits()) as decoder:
        decoder.decode(png)
        pid = decoder.child_pid
        assert os.getsid(pid) == pid
        os.kill(pid, signal.SIGINT)  # pending before the next picture arrives
        decoder.decode(png)
        assert (decoder.child_pid, decoder.num_children_started) == (pid, 1)


def test_nothing_is_left_after_closing(png):
    before = set(psutil.Process().children())
    decoder = PictureDecoder(Limits())
    decoder.close()
    decoder.decode(png)
    (child,) = set(psutil.Process().children()) - before
    decoder.close()
    decoder.close()
    assert not child.is_running()
    assert set(psutil.Process().children()) == before


@pytest.mark.parametrize("limit", ["_MAX_PICTURES_PER_CHILD", "_MAX_CHILD_RSS_BYTES"])
def test_old_and_swollen_children_are_replaced(png, monkeypatch, limit):
    monkeypatch.setattr(decoder_module, limit, 2)
    with PictureDecoder(Limits()) as decoder:
        for _ in range(5):
            decoder.decode(png)
        assert decoder.num_children_started == (3 if limit == "_MAX_PICTURES_PER_CHILD" else 5)


@LINUX_ONLY
def test_the_child_inherits_neither_files_nor_secrets(png, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_SECRET_TOKEN", "hunter2")
    with (tmp_path / "open.txt").open("w") as opened:
        os.set_inheritable(opened.fileno(), True)
        with PictureDecoder(Limits()) as decoder:
            decoder.decode(png)
            child = psutil.Process(decoder.child_pid)
            assert str(tmp_path) not in str([file.path for file in child.open_files()])
            assert child.num_fds() <= 5
            assert "MY_SECRET_TOKEN" not in child.environ()
            assert child.num_threads() == 1
            assert child.cwd() == "/"


PARENT = """
import io, time
from PIL import Image
from smallsight.media.decoder import PictureDecoder
from smallsight.settings import Limits
stream = io.BytesIO()
Image.new("L", (9, 9)).save(stream, "PNG")
decoder = PictureDecoder(Limits())
decoder.decode(stream.getvalue())
print(decoder.child_pid, flush=True)
time.sleep(60)
"""


@POSIX_ONLY
def test_the_child_dies_with_a_killed_parent():
    # A killed process would leave a half-written measurement behind.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    command = [sys.executable, "-c", PARENT]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    with parent:
        child_pid = int(parent.stdout.readline())
        assert not is_gone(child_pid)
        parent.kill()
    assert wait_until(lambda: is_gone(child_pid))


def test_a_child_that_cannot_start_is_a_typed_error(png, monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr("smallsight.media.child_process._DECODE_CHILD", "smallsight_is_not_here")
    with (
        PictureDecoder(Limits()) as decoder,
        pytest.raises(DecoderNotStartedError, match="did not start") as caught,
    ):
        decoder.decode(png)
    assert "smallsight_is_not_here" in caught.value.hint


def test_no_interpreter_is_a_typed_error(png, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with (
        PictureDecoder(Limits()) as decoder,
        pytest.raises(DecoderNotStartedError, match="could not be started"),
    ):
        decoder.decode(png)


def test_threads_have_decoders_of_their_own(encode):
    sizes: dict[int, list[int]] = {}

    def work(width_px: int) -> None:
        data = encode(Image.new("RGB", (width_px, 9)), "JPEG")
        with PictureDecoder(Limits()) as decoder:
            sizes[width_px] = [decoder.decode(data).width_px for _ in range(10)]

    threads = [threading.Thread(target=work, args=(width_px,)) for width_px in (11, 222)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == {width_px: [width_px] * 10 for width_px in (11, 222)}


@POSIX_ONLY
def test_a_decoder_outlives_the_thread_that_started_its_child(png):
    with PictureDecoder(Limits()) as decoder:
        thread = threading.Thread(target=decoder.decode, args=(png,))
        thread.start()
        native_id = thread.native_id
        thread.join()  # returns before the system's own thread has ended, and its child after that
        assert decoder.decode(png).width_px == 400
        assert wait_until(lambda: native_id not in {one.id for one in psutil.Process().threads()})
        assert decoder.decode(png).width_px == 400
