import sys
from types import SimpleNamespace

import pytest

from smallsight.machine import watching
from smallsight.machine.watching import is_network_folder, is_open_for_writing


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says it")
def test_a_file_that_is_being_written_is_known(tmp_path):
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.write(b"half")
        assert is_open_for_writing(path)
        with path.open("ab"):
            pass  # asking does not hold up a writer
    assert not is_open_for_writing(path)
    with path.open("rb"):
        assert not is_open_for_writing(path)
    assert not is_open_for_writing(tmp_path / "nothing")
    assert not is_open_for_writing(tmp_path)


@pytest.mark.parametrize(("number", "is_network"), [(0, False), (1, True), (2, True), (3, False), (4, True)])
def test_the_nearest_mount_decides_whether_a_folder_is_on_a_network(
    tmp_path, monkeypatch, number, is_network
):
    mounts = [("/", "ext4"), ("share", "nfs4"), ("share/phone", "fuse.sshfs"), ("disk", "fuse.ntfs-3g")]
    partitions = [SimpleNamespace(mountpoint=str(tmp_path / at), fstype=kind) for at, kind in mounts]
    monkeypatch.setattr(watching.psutil, "disk_partitions", lambda **_: partitions)
    places = ["pictures", "share/2025", "share/phone/dcim", "disk/a", "share"]
    assert is_network_folder(tmp_path / places[number]) is is_network
