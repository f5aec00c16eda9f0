"""JPEGs of more pixels than the limit are decoded at a half, quarter or eighth of their size."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from smallsight.errors import DecoderFailedError, PictureTooLargeError
from smallsight.media.decoder import PictureDecoder
from smallsight.model.picture_argument import open_picture
from smallsight.settings import MIB, Limits


@pytest.mark.mostly_slow(1)
@pytest.mark.parametrize(
    ("size", "decoded_size"), [((12_000, 9_000), (6_000, 4_500)), ((16_320, 12_240), (8_160, 6_120))]
)
def test_the_photos_of_phones_by_default(decoder, encode, size, decoded_size):
    photo = Image.new("RGB", size, "#4477aa")
    photo.paste("white", (0, 0, size[0] // 2, size[1] // 2))
    data = encode(photo, "JPEG", quality=60)
    decoded = decoder.decode(
        data, max_side_px=1600, thumbnail_side_px=320, wants_hashes=True, wants_full_size=True
    )
    assert (decoded.width_px, decoded.height_px) == size
    assert decoded.full_size_HWC.shape == (decoded_size[1], decoded_size[0], 3)
    assert decoded.image_HWC.shape == (1200, 1600, 3)
    assert decoded.image_HWC[100, 100].min() > 250
    assert abs(decoded.image_HWC[1100, 1500].astype(int) - (0x44, 0x77, 0xAA)).max() <= 3
    assert Image.open(io.BytesIO(decoded.thumbnail_webp)).size == (320, 240)


@pytest.mark.mostly_slow(6)
@pytest.mark.parametrize("size", [(400, 300), (401, 303), (300, 405)])
@pytest.mark.parametrize("max_pixels", [100_000, 40_000, 8_000, 2_100])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_model_gets_the_same_pixels_from_the_library_and_the_file(
    encode, scene, size, max_pixels, orientation
):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(scene.resize(size), "JPEG", quality=95, exif=exif)
    limits = Limits(max_image_pixels=max_pixels)
    from_file = np.asarray(open_picture(data, limits))
    with PictureDecoder(limits) as decoder:
        for changes in ({}, {"max_side_px": 50}, {"max_side_px": 1600, "wants_hashes": True}):
            decoded = decoder.decode(data, wants_full_size=True, **changes)
            assert np.array_equal(decoded.full_size_HWC, from_file)
            assert (decoded.width_px, decoded.height_px) == (size if orientation == 1 else size[::-1])
    assert from_file.shape[0] * from_file.shape[1] <= max_pixels


def test_a_jpeg_that_is_too_large_at_an_eighth(encode, scene):
    with (
        PictureDecoder(Limits(max_image_pixels=1_000)) as decoder,
        pytest.raises(PictureTooLargeError, match=r"even at an eighth of its size: 120000 \(limit 1000\)"),
    ):
        decoder.decode(encode(scene, "JPEG"))


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("name", ["PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
def test_other_formats_keep_the_limit(encode, scene, name):
    with (
        PictureDecoder(Limits(max_image_pixels=119_999)) as decoder,
        pytest.raises(PictureTooLargeError, match="only a JPEG is decoded at a reduced size"),
    ):
        decoder.decode(encode(scene, name))


def test_a_side_that_libjpeg_cannot_decode(decoder, encode):
    data = bytearray(encode(Image.new("RGB", (60_000, 8)), "JPEG"))
    sides_at = data.index(b"\xff\xc0") + 5
    data[sides_at + 2 : sides_at + 4] = (65_535).to_bytes(2, "big")
    with pytest.raises(PictureTooLargeError, match=r"libjpeg: 65535 px \(limit 65500\)"):
        decoder.decode(bytes(data))


def test_a_side_that_libavif_cannot_decode(decoder, encode):
    data = encode(Image.new("RGB", (33_000, 8)), "AVIF", speed=10)
    with pytest.raises(PictureTooLargeError, match=r"libavif: 33000 px \(limit 32768\)"):
        decoder.decode(data)


@pytest.mark.mostly_slow(1)
@pytest.mark.parametrize("name", ["JPEG", "WEBP"])
def test_memory_that_runs_out_inside_a_library_is_no_damage(encode, name):
    size = (13_000, 12_000) if name == "JPEG" else (9_900, 9_900)
    options = {"progressive": True, "subsampling": 0} if name == "JPEG" else {"method": 0}
    data = encode(Image.new("RGB", size), name, **options)
    with (
        PictureDecoder(Limits(decode_memory_bytes=512 * MIB, decode_timeout_s=60)) as decoder,
        pytest.raises(DecoderFailedError, match="too much memory") as caught,
    ):
        decoder.decode(data, max_side_px=1600)
    assert "limits.decode_memory_bytes" in (caught.value.hint or "")


def test_more_items_than_libheif_reads_by_itself(decoder):
    pillow_heif = pytest.importorskip("pillow_heif")
    heif = pillow_heif.from_pillow(Image.new("RGB", (64, 48), "red"))
    for _ in range(1_010):
        heif.add_from_pillow(Image.new("RGB", (16, 16)))
    stream = io.BytesIO()
    one_thread = {"preset": "ultrafast", "x265:pools": "none", "x265:frame-threads": "1"}
    heif.save(stream, quality=10, save_all=True, enc_params=one_thread)
    decoded = decoder.decode(stream.getvalue(), max_side_px=64)
    assert (decoded.width_px, decoded.height_px, decoded.num_frames) == (64, 48, 1_011)
