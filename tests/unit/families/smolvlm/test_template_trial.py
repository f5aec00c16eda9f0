"""Chat templates are rendered in a child process before they are used, and what was found is remembered."""

from __future__ import annotations

import json
import os

import pytest
from structlog.testing import capture_logs

from smallsight.errors import BrokenCheckpointError
from smallsight.families.smolvlm import template_trial
from smallsight.families.smolvlm.template_trial import require_usable_template
from tiny_smolvlm import CHAT_TEMPLATE

# Nothing in Python interrupts the comparison of two lists that contain lists twice, sixty times.
FREEZING = (
    "{% set n = namespace(l=[], k=[]) %}{% for i in range(60) %}"
    "{% set n.l = [n.l, n.l] %}{% set n.k = [n.k, n.k] %}{% endfor %}{{ n.l == n.k }}"
)


@pytest.fixture(autouse=True)
def nothing_tried(monkeypatch):
    monkeypatch.setattr(template_trial, "_TRIED", {})


def folder_with(tmp_path, template: str):
    folder = tmp_path / "model"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (FREEZING, "rendering it takes too long"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "more than 2 s"),
        ("{{ 9 ** 9999999 }}", "it computes a huge power"),
        ("{% if messages | length > 2 %}{{ 1 + [] }}{% endif %}", "TypeError"),
        ("{% if %}", "Expected an expression"),
        ("a" * 300_000, "it has 300000 characters (limit 200000)"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ '\\ud800' }}", "not Unicode"),
    ],
)
def test_a_damaged_template_is_one_line(tmp_path, template, why):
    folder = folder_with(tmp_path, template)
    with pytest.raises(BrokenCheckpointError) as refused:
        require_usable_template(folder, None)
    message = refused.value.message
    assert message.startswith(f"{folder / 'chat_template.jinja'} has a damaged chat template: ")
    assert why in message
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "template",
    [
        CHAT_TEMPLATE,
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ bos_token }}",
        "{{ strftime_now('%d %b %Y') }}",
    ],
)
def test_a_usable_template_passes(tmp_path, template):
    require_usable_template(folder_with(tmp_path, template), None)


def test_what_was_found_is_remembered_by_the_text(tmp_path, monkeypatch):
    notes, tried = tmp_path / "notes", []
    real = template_trial._try  # noqa: SLF001 - counted here
    monkeypatch.setattr(template_trial, "_try", lambda data: tried.append(data) or real(data))
    good, bad = (folder_with(tmp_path / name, text) for name, text in (("g", CHAT_TEMPLATE), ("b", FREEZING)))
    for _ in range(3):
        require_usable_template(good, notes)
        template_trial._TRIED.clear()  # noqa: SLF001 - as in another process
        with pytest.raises(BrokenCheckpointError, match="takes too long"):
            require_usable_template(bad, notes)
    assert len(tried) == 2
    (bad / "chat_template.jinja").write_text(CHAT_TEMPLATE + " ")
    require_usable_template(bad, notes)
    assert len(tried) == 3


def test_a_note_that_cannot_be_used_costs_only_time(tmp_path):
    folder, notes = folder_with(tmp_path, CHAT_TEMPLATE), tmp_path / "notes"
    notes.mkdir()
    (notes / "chat-templates.json").write_text("[")
    require_usable_template(folder, notes)
    assert len(json.loads((notes / "chat-templates.json").read_text())) == 1
    template_trial._TRIED.clear()  # noqa: SLF001 - as in another process
    (tmp_path / "file").write_text("no folder")
    with capture_logs() as logs:
        require_usable_template(folder, tmp_path / "file" / "notes")
    assert [log["event"] for log in logs] == ["chat_template_not_remembered"]


def test_a_model_with_a_freezing_template_is_not_loaded(tmp_path, tiny_checkpoint, monkeypatch):
    import shutil

    import smallsight
    from smallsight.settings import Settings

    folder = shutil.copytree(tiny_checkpoint, tmp_path / "model")
    folder_with(tmp_path, FREEZING)
    real, tried = template_trial._try, []  # noqa: SLF001 - it is to be called once
    monkeypatch.setattr(template_trial, "_try", lambda data: tried.append(data) or real(data))
    for _ in range(2):
        with pytest.raises(BrokenCheckpointError, match="has a damaged chat template"):
            smallsight.load(folder, settings=Settings(home=tmp_path / "home"))
    assert len(tried) == 1, "the second time it is known"


def test_the_child_has_no_files_and_little_memory(tmp_path):
    """The walls are those of the decoding child, which has tests of its own."""
    from smallsight.media.child_process import ChildProcess

    child = ChildProcess(512 * 1024**2, module="smallsight.families.smolvlm.template_child")
    try:
        assert child.not_in_force == {}
        assert os.path.exists(f"/proc/{child.pid}")
    finally:
        child.close()
