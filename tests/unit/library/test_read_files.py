from __future__ import annotations

from smallsight.library.read_files import ReadFiles


def test_the_first_files_are_kept_and_given_once():
    files = ReadFiles(max_bytes=10)
    for name, data in (("a", b"1234"), ("b", b"123456"), ("c", b"1"), ("a", b"1234")):
        files.keep(name, data)
    assert files.take("c") is None
    assert files.take("a") == b"1234"
    assert files.take("a") is None
    files.keep("c", b"12345")
    assert files.take("c") is None, "b and c are more than ten bytes"
    files.keep("d", b"1234")
    assert (files.take("d"), files.take("b")) == (b"1234", b"123456")


def test_clearing_makes_room():
    files = ReadFiles(max_bytes=3)
    files.keep("a", b"123")
    files.clear()
    assert files.take("a") is None
    files.keep("b", b"123")
    assert files.take("b") == b"123"
