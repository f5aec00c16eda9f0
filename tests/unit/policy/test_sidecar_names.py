"""Which files hold words about which pictures, by names that photo programs and Google Takeout use."""

from __future__ import annotations

import pytest

from smallsight.policy.sidecar_names import match_sidecars

LONG = "original_1d4caa6f-16c6-4c3d-901b-9387de10e528_"  # 46 characters


@pytest.mark.parametrize(
    ("picture", "sidecar"),
    [
        ("photo.jpg", "photo.jpg.xmp"),
        ("photo.JPG", "photo.xmp"),
        ("photo.jpg", "PHOTO.XMP"),
        ("photo.jpg", "photo.jpg.json"),
        ("photo.jpg", "photo.jpg.supplemental-metadata.json"),
        ("PXL_20230922_144936660.PORTRAIT.jpg", "PXL_20230922_144936660.PORTRAIT.jpg.supplement.json"),
        ("photo_with_a_rather_long_name_2023.jpg", "photo_with_a_rather_long_name_2023.jpg.supplem.json"),
        ("photo.jpg", "photo.jpg.s.json"),
        ("photo(1).jpg", "photo.jpg(1).json"),
        ("photo(1).jpg", "photo.jpg.supplemental-metadata(1).json"),
        ("photo(1).jpg", "photo(1).jpg.json"),
        ("photo-edited.jpg", "photo.jpg.json"),
        ("photo-edited(1).jpg", "photo.jpg.supplemental-metadata(1).json"),
        ("photo-bearbeitet.jpg", "photo.jpg.json"),
        (f"{LONG}P.jpg", f"{LONG}.json"),
        ("写真の長い名前がここにありますとても長い.jpg", "写真の長い名前がここにありますとても長.json"),
    ],
)
def test_a_sidecar_belongs_to_its_picture(picture, sidecar):
    assert match_sidecars([picture, "other.jpg"], [sidecar]) == {picture: [sidecar]}


@pytest.mark.parametrize(
    ("picture", "other"),
    [
        ("photo.jpg", "photo.json"),
        ("photo.jpg", "photo.jpg(1).json"),
        ("photo(1).jpg", "photo.jpg.json"),
        ("photo(1).jpg", "photo.jpg(2).json"),
        ("photo.jpg", "phot.json"),
        ("photo.jpg", "photo.jpg.xml"),
        ("photo.jpg", "photo.jpg_original.xmp"),
        ("photo.jpg", "metadata.json"),
        ("photo-edited.jpg", "photo.png.json"),
    ],
)
def test_other_files_belong_to_none(picture, other):
    assert match_sidecars([picture], [other]) == {}


def test_a_name_that_was_cut_and_fits_two_pictures_belongs_to_none():
    assert match_sidecars([f"{LONG}.jpg", f"{LONG}P.jpg"], [f"{LONG}.json"]) == {}


def test_the_most_specific_comes_first():
    names = ["photo.jpg.json", "photo.xmp", "photo.jpg.xmp"]
    found = match_sidecars(["photo.jpg", "photo.png"], names)
    assert found == {
        "photo.jpg": ["photo.jpg.xmp", "photo.xmp", "photo.jpg.json"],
        "photo.png": ["photo.xmp"],
    }


def test_ten_thousand_files_take_no_time():
    pictures = [f"a_rather_long_name_of_a_picture_with_a_number_{number}.jpg" for number in range(10_000)]
    sidecars = [f"{name}.json" for name in pictures]
    assert match_sidecars(pictures, sidecars) == {one: [f"{one}.json"] for one in pictures}
