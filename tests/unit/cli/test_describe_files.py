"""What is said beside the answers about files."""

from __future__ import annotations

import pytest

from smallsight.cli.describe_files import note_nothing
from smallsight.cli.output import Output


def test_an_answer_without_text_is_never_silent(capsys: pytest.CaptureFixture[str]):
    """Tasks about text and places may find nothing."""
    note_nothing("a[b]\n.png", Output(json=False, quiet=False))
    said = capsys.readouterr()
    assert said.out == ""
    assert "The model answered nothing about a[b]" in said.err
    assert len(said.err.splitlines()) == 1
