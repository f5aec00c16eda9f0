"""``smallsight mcp`` where its package is missing."""

from smallsight.cli.main import invoke
from smallsight.mcp import package


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch, capsys):
    monkeypatch.setattr(package, "find_spec", lambda _: None)
    assert invoke(["mcp"]) == 5
    shown = " ".join(capsys.readouterr().err.split())
    assert "needs the package mcp" in shown
    assert "pip install 'smallsight[mcp]'" in shown
