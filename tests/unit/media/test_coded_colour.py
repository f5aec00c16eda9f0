"""HDR and other colour spaces that files name by numbers, as Chromium shows them: PNG, AVIF, HEIC, videos."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from clips import encoded
from smallsight.media.coded_colour import coded_colour, to_srgb
from smallsight.media.file_colour import file_colour
from smallsight.media.video import VideoReader
from smallsight.settings import Limits

PQ, HLG, SRGB, TELEVISION = 16, 18, 13, 1
BT709, BT2020, P3 = 1, 9, 12
SPACES = {
    "PQ": (BT2020, PQ),
    "HLG": (BT2020, HLG),
    "PQ in P3": (P3, PQ),
    "HLG in BT.709": (BT709, HLG),
    "Display P3": (P3, SRGB),
    "BT.2020": (BT2020, 14),
    "BT.709": (BT709, TELEVISION),
    "linear": (BT709, 8),
    "gamma 2.2": (BT709, 4),
    "PAL": (5, 5),
    "NTSC": (6, 6),
    "film": (8, SRGB),
    "cinema": (11, SRGB),
    "not specified": (2, 2),
    "unknown primaries": (99, PQ),
    "unknown curve": (BT2020, 99),
}


def patches() -> np.ndarray:
    """Greys, colours of the sRGB triangle and any colours, in patches of 16 pixels: uint8 [96, 128, 3]."""
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (6, 8, 3), np.uint8)
    small[0] = np.linspace(0, 255, 8).astype(np.uint8)[:, None]
    small[1:4] = 110 + (small[1:4].astype(int) - 128) // 4
    return small.repeat(16, 0).repeat(16, 1)


def middles(pixels: np.ndarray) -> np.ndarray:
    return pixels[8::16, 8::16, :3].astype(int)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    return png[:33] + b"".join(chunks) + png[33:]


def cicp(primaries: int, transfer: int) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, 0, 1]))


@pytest.fixture(scope="module")
def png(encode) -> bytes:
    return encode(Image.fromarray(patches()), "PNG")


def avif(encode, primaries: int, transfer: int, **options: object) -> bytes:
    data = bytearray(encode(Image.fromarray(patches()), "AVIF", quality=100, subsampling="4:4:4", **options))
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    return bytes(data)


def difference(one: np.ndarray, other: np.ndarray) -> tuple[int, float]:
    apart = np.abs(middles(one) - middles(other))
    return int(apart.max()), float(apart.mean())


@pytest.mark.parametrize("name", SPACES)
def test_png(browser, decoder, png, name):
    data = with_chunks(png, cicp(*SPACES[name]))
    picture = decoder.decode(data, max_side_px=128).image_HWC
    shown = browser.picture(data, "image/png")
    most, mean = difference(picture, shown)
    assert most <= 8
    assert mean < 0.3
    assert np.abs(middles(picture) - middles(shown))[0].max() <= 1


@pytest.mark.parametrize(
    ("numbers", "is_green"), [((1, 13, 0, 1), False), ((12, 13, 0, 1), False), ((2, 2, 0, 1), True)]
)
@pytest.mark.parametrize("is_whole_range", [True, False])
def test_numbers_of_a_png_go_before_its_profile_where_they_are_known(
    browser, decoder, numbers, is_green, is_whole_range
):
    """PNG, third edition, section 4.3; Chromium 156 ignores the numbers of narrow ranges."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    plain = io.BytesIO()
    Image.new("RGB", (32, 24), (200, 30, 40)).save(plain, "PNG", icc_profile=swapped)
    data = with_chunks(plain.getvalue(), chunk(b"cICP", bytes([*numbers[:3], int(is_whole_range)])))
    picture = decoder.decode(data, max_side_px=32).image_HWC.astype(int)
    assert np.abs(picture - browser.picture(data, "image/png")[..., :3]).max() <= 2
    assert (picture[0, 0, 1] > picture[0, 0, 0]) == (is_green or not is_whole_range)


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("name", SPACES)
def test_avif(browser, decoder, encode, name):
    data = avif(encode, *SPACES[name])
    picture = decoder.decode(data, max_side_px=128).image_HWC
    shown = browser.picture(data, "image/avif")
    most, mean = difference(picture, shown)
    assert most <= 8
    assert mean < 0.3
    assert np.abs(middles(picture) - middles(shown))[0].max() <= 1


@pytest.mark.parametrize("kind", [b"cLLI", b"mDCV"])
@pytest.mark.parametrize("peak_nits", [150, 400, 1000, 4000])
def test_how_bright_a_picture_gets(browser, decoder, png, kind, peak_nits):
    light = struct.pack(">II", peak_nits * 10_000, 0)
    display = struct.pack(">8H2I", 35400, 14600, 8500, 39850, 6550, 2300, 15635, 16450, peak_nits * 10_000, 1)
    data = with_chunks(png, cicp(BT2020, PQ), chunk(kind, light if kind == b"cLLI" else display))
    picture = decoder.decode(data, max_side_px=128).image_HWC
    most, mean = difference(picture, browser.picture(data, "image/png"))
    assert most <= 8
    assert mean < 0.5


OLD = {
    "linear": (100_000, None),
    "old Macintosh": (55_556, None),
    "as sRGB": (45_455, None),
    "nearly as sRGB": (47_000, None),
    "wide": (45_455, (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)),
    "wide, warm white": (45_455, (34567, 35850, 64000, 33000, 21000, 71000, 15000, 6000)),
    "linear, sRGB": (100_000, (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
    "nonsense": (45_455, (1,) * 8),
    "no gamma": (None, (31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600)),
}


@pytest.mark.parametrize("name", OLD)
def test_gamma_and_primaries_of_old_pngs(browser, decoder, png, name):
    gamma, primaries = OLD[name]
    chunks = [] if gamma is None else [chunk(b"gAMA", struct.pack(">I", gamma))]
    chunks += [] if primaries is None else [chunk(b"cHRM", struct.pack(">8I", *primaries))]
    data = with_chunks(png, *chunks)
    picture = decoder.decode(data, max_side_px=128).image_HWC
    most, _ = difference(picture, browser.picture(data, "image/png"))
    assert most <= 2


def test_what_a_later_kind_of_colour_is_overruled_by(browser, decoder, png):
    linear, srgb = chunk(b"gAMA", struct.pack(">I", 100_000)), chunk(b"sRGB", b"\0")
    for chunks in ((linear, srgb), (linear, cicp(BT709, SRGB)), (cicp(BT709, SRGB), srgb)):
        data = with_chunks(png, *chunks)
        picture = decoder.decode(data, max_side_px=128).image_HWC
        assert difference(picture, browser.picture(data, "image/png"))[0] <= 1


def test_a_damaged_chunk_is_left_out(decoder, png):
    broken = bytearray(cicp(BT2020, PQ))
    broken[-1] ^= 1
    picture = decoder.decode(with_chunks(png, bytes(broken)), max_side_px=128).image_HWC
    assert np.array_equal(picture, patches())


@pytest.mark.parametrize(("primaries", "transfer"), [(BT2020, PQ), (BT2020, HLG), (P3, SRGB)])
def test_heic(decoder, encode, png, primaries, transfer):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    data = encode(
        Image.fromarray(patches()),
        "HEIF",
        quality=100,
        chroma=444,
        color_primaries=primaries,
        transfer_characteristics=transfer,
        matrix_coefficients=6,
    )
    assert file_colour(data, "HEIF", has_profile=False) is not None
    picture = decoder.decode(data, max_side_px=128).image_HWC
    right = decoder.decode(with_chunks(png, cicp(primaries, transfer)), max_side_px=128).image_HWC
    assert difference(picture, right)[1] < 2
    assert np.abs(middles(picture)[0] - middles(right)[0]).max() <= 3


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def nclx(primaries: int, transfer: int) -> bytes:
    return box(b"colr", b"nclx" + struct.pack(">HHHB", primaries, transfer, primaries, 0x80))


def two_pictures(shown: list[int], *, is_wide: bool, properties: tuple[bytes, ...]) -> bytes:
    """Return an AVIF of which item 7, the picture, has some of the properties and item 3 the last."""
    item, number = (">I", ">H") if is_wide else (">H", ">B")
    owners = b"".join(
        struct.pack(item, one)
        + bytes([len(numbers)])
        + b"".join(struct.pack(number, each) for each in numbers)
        for one, numbers in ((3, [len(properties)]), (7, shown))
    )
    pitm = box(b"pitm", bytes([is_wide, 0, 0, 0]) + struct.pack(item, 7))
    ipma = box(b"ipma", bytes([is_wide, 0, 0, is_wide]) + struct.pack(">I", 2) + owners)
    iprp = box(b"iprp", box(b"ipco", b"".join(properties)) + ipma)
    return box(b"ftyp", b"avif\0\0\0\0avif") + box(b"meta", bytes(4) + pitm + iprp)


@pytest.mark.parametrize("is_wide", [False, True])
def test_the_colours_of_a_gain_map_are_not_those_of_the_picture(is_wide: bool):
    light = box(b"clli", struct.pack(">HH", 4000, 400))
    properties = (nclx(BT2020, HLG), nclx(BT709, SRGB), nclx(BT2020, PQ), light)
    assert (
        file_colour(two_pictures([2], is_wide=is_wide, properties=properties), "AVIF", has_profile=False)
        is None
    )
    shown = {
        tuple(numbers): file_colour(
            two_pictures(numbers, is_wide=is_wide, properties=properties), "AVIF", has_profile=False
        )
        for numbers in ([1], [3], [3, 4], [4], [99])
    }
    assert shown[1,] == coded_colour(BT2020, HLG, is_video_like=True)
    assert shown[3,] == coded_colour(BT2020, PQ, is_video_like=True)  # the light is that of another picture
    assert shown[3, 4] == coded_colour(BT2020, PQ, is_video_like=True, peak_nits=4000)
    assert shown[4,] is shown[99,] is None


def test_damaged_lists_of_properties_end_nothing():
    whole = two_pictures([1], is_wide=False, properties=(nclx(BT2020, PQ),))
    for at in range(len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            file_colour(damaged, "AVIF", has_profile=False)


VIDEOS = {
    "PQ": (BT2020, PQ, 9),
    "HLG": (BT2020, HLG, 9),
    "BT.2020": (BT2020, TELEVISION, 9),
    "Display P3": (P3, SRGB, 1),
    "HD": (BT709, TELEVISION, 1),
    "NTSC": (6, 6, 5),
    "PAL": (5, 6, 5),
}
CODECS = {
    "H.264": ("mp4", "libx264", "yuv420p"),
    "H.264, 10 bits": ("mp4", "libx264", "yuv420p10le"),
    "HEVC, 10 bits": ("matroska", "libx265", "yuv420p10le"),
    "VP9": ("webm", "libvpx-vp9", "yuv420p"),
    "AV1, 10 bits": ("mp4", "libsvtav1", "yuv420p10le"),
}


def tagged_video(codec: str, space: str) -> bytes:
    primaries, transfer, matrix = VIDEOS[space]
    container, encoder, pix_fmt = CODECS[codec]

    def prepare(stream) -> None:
        context = stream.codec_context
        context.color_primaries, context.color_trc = primaries, transfer
        context.colorspace, context.color_range = matrix, 1

    return encoded(
        [patches()] * 2,
        container,
        encoder,
        pix_fmt,
        options={"crf": "4", "x265-params": "log-level=none"} if encoder == "libx265" else {"crf": "4"},
        prepare=prepare,
        convert=lambda frame: frame.reformat(format=pix_fmt, dst_colorspace=matrix, dst_color_range=1),
    )


@pytest.mark.mostly_slow(8)
@pytest.mark.parametrize("space", VIDEOS)
@pytest.mark.parametrize("codec", CODECS)
def test_videos(browser, codec, space):
    data = tagged_video(codec, space)
    with VideoReader(data, Limits()) as reader:
        (frame,) = reader.frames([0])
    if CODECS[codec][1] == "libx265":  # which this browser does not play
        shown = browser.video(tagged_video("H.264, 10 bits", space), "video/mp4")
    else:
        shown = browser.video(data, f"video/{CODECS[codec][0]}")
    apart = np.abs(middles(frame) - middles(shown))
    assert np.sort(apart[0].max(axis=-1))[-2] <= 4  # greys: one of them may be where colours are cut off
    assert apart[1:4].max() <= 16
    assert apart[1:4].mean() < 4


def test_values_without_a_browser():
    """Reference white of an HDR picture becomes half of the light of a screen, and the peak all of it."""
    colour = coded_colour(BT2020, PQ, is_video_like=True)
    codes = Image.fromarray(np.array([[[0] * 3, [148] * 3, [192] * 3, [255] * 3]], np.uint8))
    assert np.asarray(to_srgb(codes, colour))[0, :, 0].tolist() == [0, 187, 255, 255]
    colour = coded_colour(BT2020, HLG, is_video_like=True)
    codes = Image.fromarray(np.array([[[0] * 3, [191] * 3, [255] * 3]], np.uint8))
    assert np.asarray(to_srgb(codes, colour))[0, :, 0].tolist() == [0, 187, 255]
    assert coded_colour(BT709, SRGB, is_video_like=True) is None
    assert coded_colour(BT709, TELEVISION, is_video_like=True) is None


def test_a_large_picture_is_converted_as_its_parts():
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (1_100, 1_000, 3), np.uint8))
    colour = coded_colour(BT2020, PQ, is_video_like=True)
    whole = np.asarray(to_srgb(image, colour))
    for top in (0, 500, 1_000):
        part = np.asarray(to_srgb(image.crop((0, top, 1_000, top + 100)), colour))
        assert np.array_equal(whole[top : top + 100], part)


def test_transparency_and_grey(decoder, encode):
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:16] = (148, 148, 148, 255)
    picture = decoder.decode(
        with_chunks(encode(Image.fromarray(pixels), "PNG"), cicp(BT2020, PQ)), max_side_px=32
    ).image_HWC
    assert picture[8, 8].tolist() == [187] * 3
    assert picture[24, 24].tolist() == [255] * 3
    for grey in (Image.new("L", (32, 32), 148), Image.fromarray(np.full((32, 32), 148 * 257, np.uint16))):
        data = with_chunks(encode(grey, "PNG"), cicp(BT2020, PQ))
        assert decoder.decode(data, max_side_px=32).image_HWC[8, 8].tolist() == [187] * 3
