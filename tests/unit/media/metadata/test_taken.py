"""Dates, cameras and places: as exiftool writes and reads them, and in texts of other programs."""

from __future__ import annotations

import io
import json
import random
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from handmade_metadata import iptc_records
from smallsight.media.metadata.cameras import camera_name
from smallsight.media.metadata.coordinates import Coordinates, checked_place, choose_place, parse_coordinate
from smallsight.media.metadata.fields import FieldRole, MetadataField
from smallsight.media.metadata.gps import read_gps
from smallsight.media.metadata.iptc import read_iptc
from smallsight.media.metadata.reading import SidecarKind, read_picture_words, read_sidecar_words
from smallsight.media.metadata.taken import DateTaken, choose_date, parse_date
from smallsight.media.metadata.words import FileWords, words_from_json

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001
NOW_S = 1_800_000_000.0
WALL = "2023-05-03 10:11:12"
FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "AVIF": "avif"}
WRITTEN = {  # what exiftool writes, and what is expected of it: date, offset and the field that it is from
    "exif": (
        ["-EXIF:DateTimeOriginal=2023:05:03 10:11:12", "-EXIF:SubSecTimeOriginal=25"],
        ("2023-05-03 10:11:12.25", None, "exif:DateTimeOriginal"),
    ),
    "exif zone": (
        ["-EXIF:DateTimeOriginal=2023:05:03 10:11:12", "-EXIF:OffsetTimeOriginal=-03:30"],
        (WALL, -210, "exif:DateTimeOriginal"),
    ),
    "exif digitised": (
        ["-EXIF:CreateDate=2023:05:03 10:11:12", "-EXIF:OffsetTimeDigitized=+05:45"],
        (WALL, 345, "exif:CreateDate"),
    ),
    "gps clock": (
        [
            "-EXIF:DateTimeOriginal=2023:05:03 10:11:12",
            "-EXIF:GPSDateStamp=2023:05:03",
            "-EXIF:GPSTimeStamp=04:38:50",
        ],
        (WALL, 330, "exif:DateTimeOriginal"),
    ),
    "xmp": (
        ["-XMP-exif:DateTimeOriginal=2023:05:03 10:11:12+02:00"],
        (WALL, 120, "xmp:exif:DateTimeOriginal"),
    ),
    "xmp created": (
        ["-XMP-photoshop:DateCreated=1953:07"],
        ("1953-07-01 00:00:00", None, "xmp:photoshop:DateCreated"),
    ),
    "xmp digitised": (["-XMP-xmp:CreateDate=2023:05:03 10:11:12Z"], (WALL, 0, "xmp:xmp:CreateDate")),
    "zone of xmp": (
        ["-EXIF:DateTimeOriginal=2023:05:03 10:11:12", "-XMP-xmp:CreateDate=2023:05:03 10:11:12+09:00"],
        (WALL, 540, "exif:DateTimeOriginal"),
    ),
    "no clock": (
        ["-EXIF:DateTimeOriginal=1970:01:01 00:00:00", "-XMP-photoshop:DateCreated=2023:05:03 10:11:12"],
        (WALL, None, "xmp:photoshop:DateCreated"),
    ),
    "all": (
        [
            "-EXIF:DateTimeOriginal=2023:05:03 10:11:12",
            "-EXIF:CreateDate=2024:01:01 00:00:00",
            "-XMP-photoshop:DateCreated=2025:01:01 00:00:00",
            "-EXIF:Make=NIKON CORPORATION",
            "-EXIF:Model=NIKON D90",
            "-EXIF:GPSLatitude=48.858333",
            "-EXIF:GPSLatitudeRef=N",
            "-EXIF:GPSLongitude=70.25",
            "-EXIF:GPSLongitudeRef=W",
        ],
        (WALL, None, "exif:DateTimeOriginal"),
    ),
    "xmp place": (
        ["-XMP-exif:GPSLatitude=-33.8568", "-XMP-exif:GPSLongitude=151.2153", "-XMP-tiff:Model=Pixel 8"],
        None,
    ),
}


def wall(text: str) -> float:
    return (datetime.fromisoformat(text) - EPOCH) / timedelta(seconds=1)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Files by what exiftool wrote into them and by format; one process writes them all."""
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed: apt-get install libimage-exiftool-perl")
    folder = tmp_path_factory.mktemp("written")
    paths: dict[tuple[str, str], Path] = {}
    lines: list[str] = []
    for picture_format, suffix in FORMATS.items():
        for number, (name, (arguments, _)) in enumerate(WRITTEN.items()):
            path = folder / f"{picture_format} {number}.{suffix}"
            Image.new("RGB", (16, 16), (number, 0, 0)).save(path, picture_format)
            paths[name, picture_format] = path
            lines += [*arguments, str(path), "-execute"]
    iptc = folder / "iptc.jpg"
    Image.new("RGB", (16, 16)).save(iptc)
    paths["iptc", "JPEG"] = iptc
    lines += ["-IPTC:DateCreated=2023:05:03", "-IPTC:TimeCreated=10:11:12-04:00", str(iptc), "-execute"]
    sidecar = folder / "beside.xmp"
    paths["sidecar", "XMP"] = sidecar
    lines += ["-XMP-exif:DateTimeOriginal=2023:05:03 10:11:12+02:00", str(sidecar), "-execute"]
    commands = folder / "commands"
    commands.write_text("\n".join(lines))
    common = ["-common_args", "-n", "-overwrite_original", "-m", "-q", "-q"]
    subprocess.run(["exiftool", "-@", str(commands), *common], check=True)
    return paths


@pytest.mark.parametrize("picture_format", FORMATS)
def test_what_exiftool_writes_is_read_in_every_format(written, picture_format):
    for name, (_, expected) in WRITTEN.items():
        words = read_picture_words(written[name, picture_format].read_bytes(), picture_format, NOW_S)
        if expected is not None:
            text, offset_min, origin = expected
            assert words.taken == DateTaken(wall(text), offset_min, origin), name
        else:
            assert words.taken is None
    words = read_picture_words(written["all", picture_format].read_bytes(), picture_format, NOW_S)
    assert (words.camera, words.place) == ("NIKON D90", Coordinates(48.858333, -70.25))
    words = read_picture_words(written["xmp place", picture_format].read_bytes(), picture_format, NOW_S)
    assert (words.camera, words.place) == ("Pixel 8", Coordinates(-33.8568, 151.2153))
    assert words_from_json(words.to_json()) == words


def test_exiftool_reads_the_same(written):
    paths = [path for (name, kind), path in written.items() if (name, kind) != ("sidecar", "XMP")]
    tags = ["-SubSecDateTimeOriginal", "-DateTimeOriginal", "-DateCreated", "-CreateDate", "-GPSPosition"]
    found = subprocess.run(["exiftool", "-j", "-n", *tags, *paths], check=True, capture_output=True).stdout
    num_dates = num_places = 0
    for values in json.loads(found):
        path = Path(values["SourceFile"])
        picture_format = next(kind for (_, kind), one in written.items() if one == path)
        words = read_picture_words(path.read_bytes(), picture_format, NOW_S)
        if (place := words.place) is not None:
            num_places += 1
            theirs = [float(part) for part in values["GPSPosition"].split()]
            assert [place.latitude, place.longitude] == pytest.approx(theirs, abs=1e-6)
        if words.taken is not None:
            num_dates += 1
            texts = [str(value) for tag, value in values.items() if tag not in ("SourceFile", "GPSPosition")]
            read = [date for text in texts if (date := parse_date(text)) is not None]
            assert words.taken.wall_s in [wall_s for wall_s, _ in read]
    assert num_dates == len(paths) - len(FORMATS)
    assert num_places == 2 * len(FORMATS)


def test_iptc_and_sidecars_of_exiftool(written):
    words = read_picture_words(written["iptc", "JPEG"].read_bytes(), "JPEG", NOW_S)
    assert words.taken == DateTaken(wall(WALL), -240, "iptc:DateCreated")
    words = read_sidecar_words(written["sidecar", "XMP"].read_bytes(), SidecarKind.XMP, NOW_S)
    assert words.taken == DateTaken(wall(WALL), 120, "xmp:exif:DateTimeOriginal")


def test_a_png_says_when_it_was_made_or_changed():
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add(b"tIME", bytes((0x07, 0xE7, 5, 3, 10, 11, 12)))
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, "PNG", pnginfo=info)
    changed = DateTaken(wall(WALL), None, "png:tIME", is_utc=True)
    assert read_picture_words(buffer.getvalue(), "PNG", NOW_S).taken == changed
    info.add_text("Creation Time", "Wed, 3 May 2023 09:00:00 +0200")
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, "PNG", pnginfo=info)
    made = DateTaken(wall("2023-05-03 09:00:00"), 120, "png:Creation time")
    assert read_picture_words(buffer.getvalue(), "PNG", NOW_S).taken == made


def test_takeout_has_a_time_in_utc_and_a_place():
    values = {
        "title": "a.jpg",
        "photoTakenTime": {"timestamp": "1683108672", "formatted": "3 May 2023, 10:11:12 UTC"},
        "geoData": {"latitude": 0.0, "longitude": 0.0},
        "geoDataExif": {"latitude": 48.85, "longitude": -2.25},
    }
    words = read_sidecar_words(json.dumps(values).encode(), SidecarKind.TAKEOUT, NOW_S)
    assert words.taken == DateTaken(wall(WALL), None, "takeout:photoTakenTime", is_utc=True)
    assert words.place == Coordinates(48.85, -2.25)


@pytest.mark.parametrize(
    "broken",
    [
        {"photoTakenTime": {"timestamp": "9" * 30}, "geoData": {"latitude": "x", "longitude": True}},
        {"photoTakenTime": {"timestamp": "-99999999999999"}, "geoData": [1, 2]},
        {"photoTakenTime": {"timestamp": 5}, "geoData": {"latitude": float("nan"), "longitude": 1e300}},
        {"photoTakenTime": {"timestamp": "0"}, "geoData": {"latitude": 91, "longitude": 5}},
    ],
)
def test_takeout_with_impossible_values_has_no_date_and_no_place(broken):
    assert (
        read_sidecar_words(json.dumps({"title": "a", **broken}).encode(), SidecarKind.TAKEOUT) == FileWords()
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023:05:03 10:11:12", (WALL, None)),
        (" 2023:05:03 10:11:12\0", (WALL, None)),
        ("2023-05-03T10:11:12.250+02:00", ("2023-05-03 10:11:12.25", 120)),
        ("2023-05-03T10:11Z", ("2023-05-03 10:11:00", 0)),
        ("2023/5/3 1:11:12", ("2023-05-03 01:11:12", None)),
        ("2023-05-03", ("2023-05-03 00:00:00", None)),
        ("2023", ("2023-01-01 00:00:00", None)),
        ("1826:01:01 00:00:00", ("1826-01-01 00:00:00", None)),
        ("2016:12:31 23:59:60", ("2016-12-31 23:59:59", None)),
        ("Wed, 03 May 2023 10:11:12 -0330", (WALL, -210)),
        ("3 May 2023 10:11:12 GMT", (WALL, 0)),
        *((text, None) for text in ("0000:00:00 00:00:00", "    :  :     :  :  ", "", "today", "1825:12:31")),
        *((text, None) for text in ("2023:13:01", "2023:02:30 10:00:00", "2023:05:03 24:00:01", "20230503")),
        *((text, None) for text in ("２０２３-05-03", "2023:05:03 10:11:99", "3 Mai 2023 10:11:12")),
    ],
)
def test_texts_that_are_dates(text, expected):
    assert parse_date(text) == (None if expected is None else (wall(expected[0]), expected[1]))


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        ("2027:01:14 00:00:00", True),  # NOW_S is 2027-01-15 08:00 UTC
        ("2027:01:16 07:59:59+00:00", True),
        ("2027:01:16 08:00:01+00:00", False),
        ("2027:01:16 22:00:00", True),  # it may be 14 hours later there
        ("2027:01:16 22:00:01", False),
        ("1970:01:01 00:00:00", False),
        ("1970:01:01 00:00:01", True),
    ],
)
def test_dates_of_the_future_and_of_cameras_without_a_clock_do_not_count(text, is_kept):
    chosen = choose_date([MetadataField(FieldRole.TAKEN, text, "exif:DateTimeOriginal")], NOW_S)
    assert (chosen is not None) is is_kept


@pytest.mark.parametrize(
    ("utc", "offset_min"),
    [
        ("2023:05:03 08:11:00", 120),
        ("2023:05:03 08:02:00", 120),  # the fix is nine minutes old
        ("2023:05:02 20:11:00", 840),
        ("2023:05:03 22:11:12", -720),
        ("2023:05:03 04:26:12", 345),
        ("2023:05:03 07:41:12", None),  # no zone has an offset of two and a half hours
        ("2023:05:01 08:11:12", None),
    ],
)
def test_the_time_of_a_gps_receiver_gives_the_offset(utc, offset_min):
    fields = [
        MetadataField(FieldRole.TAKEN, WALL, "exif:DateTimeOriginal"),
        MetadataField(FieldRole.GPS_TIME, utc, "exif:GPSTimeStamp"),
    ]
    assert choose_date(fields, NOW_S) == DateTaken(wall(WALL), offset_min, "exif:DateTimeOriginal")


@pytest.mark.parametrize(
    ("day", "clock", "expected"),
    [
        (b"20230503", b"101112+0200", (WALL, 120)),
        (b"20230503", b"", ("2023-05-03 00:00:00", None)),
        (b"19530000", b"101112", ("1953-01-01 00:00:00", None)),
        (b"00000000", b"101112", None),
        (b"today", b"", None),
    ],
)
def test_dates_of_iptc(day, clock, expected):
    fields = read_iptc(iptc_records((2, 60, clock), (2, 55, day)))
    chosen = choose_date(fields, NOW_S)
    assert chosen == (
        None if expected is None else DateTaken(wall(expected[0]), expected[1], "iptc:DateCreated")
    )


@pytest.mark.parametrize(
    ("make", "model", "expected"),
    [
        ("NIKON CORPORATION", "NIKON D90", "NIKON D90"),
        ("Canon", "Canon EOS 5D Mark III", "Canon EOS 5D Mark III"),
        ("Google", "Pixel 8", "Google Pixel 8"),
        ("OLYMPUS IMAGING CORP.", "E-M5", "OLYMPUS E-M5"),
        ("EASTMAN KODAK COMPANY", "KODAK Z650", "KODAK Z650"),
        ("Hewlett-Packard", "HP PhotoSmart C200", "HP PhotoSmart C200"),
        ("CASIO COMPUTER CO.,LTD.", "EX-Z750", "CASIO EX-Z750"),
        ("LEICA CAMERA AG", "LEICA Q2", "LEICA Q2"),
        ("samsung", "SM-G991B", "samsung SM-G991B"),
        ("SONY", "", "SONY"),
        ("", "ILCE-7M3", "ILCE-7M3"),
        ("", "", None),
        ("x" * 200, "y", "x" * 100),
    ],
)
def test_a_camera_is_named_without_its_maker_twice(make, model, expected):
    assert camera_name(make, model) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("48,51.5N", 48.858333),
        ("48,51,30S", -48.858333),
        ("2,17.664W", -2.2944),
        ("-33.8568", -33.8568),
        *((text, None) for text in ("48,51.5", "N", "nan", "inf", "1e999", "48 51 30 N", "9" * 100)),
    ],
)
def test_texts_that_are_coordinates(text, expected):
    assert parse_coordinate(text) == (None if expected is None else pytest.approx(expected, abs=1e-6))


def test_a_place_needs_both_coordinates_on_the_earth():
    north = MetadataField(FieldRole.LATITUDE, "48.5", "exif:LATITUDE")
    assert choose_place([north]) is None
    assert choose_place([north, MetadataField(FieldRole.LONGITUDE, "2.5", "xmp:exif:GPSLongitude")]) is None
    assert choose_place([north, MetadataField(FieldRole.LONGITUDE, "2.5", "exif:LONGITUDE")]) == Coordinates(
        48.5, 2.5
    )
    outside = [(0, 0), (90.1, 0), (0, -180.1), (float("nan"), 1), (1, float("inf"))]
    assert [checked_place(*one) for one in outside] == [None] * len(outside)


def fractions(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {1: b"N\0", 2: fractions(48, 1, 30, 1, 0, 0), 3: b"w", 4: fractions(2, 1, 15, 1, 36, 1)},
            "48.5 -2.26",
        ),
        ({2: fractions(48, 1, 30, 1, 0, 1), 4: fractions(2, 1, 15, 1, 36, 1)}, None),
        ({1: b"N", 2: fractions(48, 0, 30, 1, 0, 1), 3: b"E", 4: fractions(2, 1, 15, 1, 36, 1)}, None),
        ({1: b"N", 2: fractions(48, 1, 30, 1), 3: b"E", 4: fractions(2, 1, 15, 1, 36, 1)}, None),
        ({1: b"N", 2: fractions(2**32 - 1, 1, 0, 1, 0, 1), 3: b"E", 4: fractions(2, 1, 0, 1, 0, 1)}, None),
    ],
    ids=["whole", "no side", "no denominator", "two parts", "too far north"],
)
def test_places_of_exif(values, expected):
    place = choose_place(read_gps(values, "big"))
    assert place == (None if expected is None else Coordinates(*map(float, expected.split())))


@pytest.mark.parametrize(
    "values",
    [
        *({"taken": one} for one in ([], [1], [1.5, 2, "exif:x"], "x", 5, [True, None, "exif:x", False])),
        *({"taken": one} for one in ([1e300, None, "a", True], [1, 900, "a", True], [1, 1.5, "a", True])),
        *({"taken": one} for one in ([1, None, "", True], [1, None, "a\n", True], [1, True, "a", True])),
        *({"place": one} for one in ([], [1], [91, 0], ["1", 2], [0, 0], 5, [float("nan"), 1])),
        *({"camera": one} for one in ("", " a", "a\0", "x" * 101, 5, ["a"])),
    ],
)
def test_impossible_answers_of_the_child_are_refused(values):
    with pytest.raises(ValueError, match=r"not a (date|place|camera)"):
        words_from_json(json.dumps({"keywords": [], **values}))


def test_damaged_dates_and_places_raise_nothing(written):
    chance = random.Random(5)
    for name in ("all", "gps clock", "xmp place"):
        for picture_format in FORMATS:
            data = written[name, picture_format].read_bytes()
            for _ in range(15):
                damaged = bytearray(data)
                for _ in range(chance.randint(1, 8)):
                    damaged[chance.randrange(len(damaged))] = chance.choice((0, 0xFF, chance.randrange(256)))
                words = read_picture_words(bytes(damaged), picture_format, NOW_S)
                assert words_from_json(words.to_json()) == words
