from __future__ import annotations

import json
from pathlib import Path

import pytest

from contract.checkout import ROOT
from smallsight.cli.demo import _print_next_steps
from smallsight.cli.demonstration import demo_settings
from smallsight.cli.main import invoke
from smallsight.cli.output import Output
from smallsight.services.example_pictures import shipped_pictures
from smallsight.settings import load_settings


def test_the_next_steps_are_commands_of_the_package_and_no_makefile(capsys):
    out = Output(json=False, quiet=False)
    _print_next_steps(out, is_own=False)
    said = capsys.readouterr().err
    assert "smallsight demo --pictures FOLDER" in said
    assert "make" not in said


@pytest.mark.parametrize("is_own", [False, True])
def test_the_server_shows_the_library_that_the_demonstration_has_made(
    is_own: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path))
    pictures = tmp_path / "own" if is_own else shipped_pictures()[0]
    made = demo_settings(load_settings(), pictures, is_own=is_own)
    chosen = ["--pictures", str(pictures)] if is_own else []
    assert invoke(["serve", "--demo", *chosen, "--print-settings", "--json"]) == 0
    shown = {one["name"]: one["value"] for one in json.loads(capsys.readouterr().out)}
    assert shown["home"] == str(made.home)
    _print_next_steps(Output(json=False, quiet=False), is_own=is_own)
    assert f"smallsight serve --demo{' --pictures FOLDER' if is_own else ''} " in capsys.readouterr().err


def test_make_serve_shows_what_make_demo_has_made():
    lines = (ROOT / "Makefile").read_text().splitlines()
    recipes = {one: lines[lines.index(f"{one}: $(MARKS)/demo") + 2] for one in ("demo", "serve")}
    assert "smallsight demo" in recipes["demo"]
    assert "smallsight serve --demo" in recipes["serve"]
    for recipe in recipes.values():
        assert '$(if $(PICTURES),--pictures "$(PICTURES)")' in recipe
