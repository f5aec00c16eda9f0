from __future__ import annotations

from smallsight.cli.demo import _print_next_steps
from smallsight.cli.output import Output


def test_the_next_steps_are_commands_of_the_package_and_no_makefile(capsys):
    out = Output(json=False, quiet=False)
    _print_next_steps(out, is_own=False)
    said = capsys.readouterr().err
    assert "smallsight demo --pictures FOLDER" in said
    assert "make" not in said
