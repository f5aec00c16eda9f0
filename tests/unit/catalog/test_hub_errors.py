"""Every refusal of a hub has a sentence, what was asked for, and a way out."""

from __future__ import annotations

import pytest

from smallsight.catalog.hub_errors import offline, refused, unreachable


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(401, "denied"), (403, "denied"), (404, "has no"), (410, "has no"), (429, "too busy"),
     (500, "too busy"), (503, "too busy"), (400, "refused"), (418, "refused")],
)  # fmt: skip
def test_a_status_becomes_a_sentence(status, sentence):
    error = refused(status, "org/model", "config.json")
    assert sentence in error.message
    assert "config.json of org/model" in error.message
    assert str(status) in error.message
    assert "smallsight models add DIR" in error.hint


def test_a_consent_needs_the_page_and_the_token():
    assert "HF_TOKEN" in refused(403, "org/model").hint


def test_a_broken_line_says_what_is_kept():
    assert "is kept" in unreachable("org/model", OSError("gone."), is_partly_here=True).hint
    assert "is kept" not in unreachable("org/model", OSError("gone.")).hint
    assert "TimeoutError" in unreachable("org/model", TimeoutError()).message


def test_offline_names_the_model_and_the_repository():
    error = offline("SmolVLM", "org/model")
    assert "SmolVLM" in error.message
    assert "org/model" in error.hint
