"""Which folders people may choose on pages: none outside of the roots, whatever the path looks like."""

from __future__ import annotations

import pytest

from smallsight.errors import FolderError
from smallsight.services.folder_roots import FolderRoots
from smallsight.settings import load_settings


@pytest.fixture
def place(tmp_path):
    (tmp_path / "root" / "album" / "inside").mkdir(parents=True)
    (tmp_path / "root" / ".hidden").mkdir()
    (tmp_path / "root" / "file.jpg").touch()
    (tmp_path / "outside" / "private").mkdir(parents=True)
    (tmp_path / "root" / "way out").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "way in").symlink_to(tmp_path / "root" / "album")
    return tmp_path


def roots_of(place, *known):
    root = place / "root"
    settings = load_settings(home=root / "data", server={"folder_roots": (root,)})
    (root / "data").mkdir(exist_ok=True)
    return FolderRoots(settings, known)


def test_folders_are_listed_without_files_hidden_ones_ways_out_and_the_data_folder(place):
    listed = roots_of(place).look_into(place / "root")
    assert [one.name for one in listed.folders] == ["album", "way in"]
    assert listed.above is None
    assert roots_of(place).look_into(place / "root" / "album").above == place / "root"


@pytest.mark.parametrize(
    "path",
    [
        "{root}/../outside",
        "{root}/album/../../outside/private",
        "{root}/way out",
        "{root}/way out/private",
        "{root}/.hidden",
        "{root}/data",
        "{root}/file.jpg",
        "{root}/missing",
        "/",
        "/etc",
        "/proc/self/root",
        "..",
        "",
        "~root/../..",
        "{root}\0/etc",
        "{root}\udc80",
    ],
)
def test_no_path_leaves_the_roots(place, path):
    wanted = place / "x"
    with pytest.raises(FolderError) as caught:
        roots_of(place).look_into(type(wanted)(path.format(root=place / "root")))
    assert "private" not in caught.value.message.replace(path.format(root=place / "root"), "")


def test_what_exists_outside_is_answered_like_what_does_not(place):
    messages = []
    for name in ("outside", "nothing"):
        with pytest.raises(FolderError) as caught:
            roots_of(place).require(place / name)
        messages.append(caught.value.message.replace(str(place / name), ""))
    assert messages[0] == messages[1]


def test_a_folder_of_the_library_may_be_looked_into_wherever_it_is(place):
    outside = place / "outside"
    assert [one.name for one in roots_of(place, outside).look_into(outside).folders] == ["private"]


def test_pictures_are_counted_by_their_names_below_a_folder_and_not_where_they_are_left_alone(place):
    album = place / "root" / "album"
    for name in ("a.jpg", "b.PNG", "c.txt", "inside/d.webp"):
        (album / name).touch()
    (album / "left" / "deep").mkdir(parents=True)
    (album / "left" / ".nomedia").touch()
    (album / "left" / "deep" / "e.jpg").touch()
    (album / "@eaDir").mkdir()
    (album / "@eaDir" / "f.jpg").touch()
    count = roots_of(place).count(album)
    assert (count.number, count.has_more) == (3, False)
