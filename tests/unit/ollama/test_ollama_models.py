"""What clients are told about a model."""

from __future__ import annotations

import pytest

from smallsight.ollama.ollama_models import OllamaModel


@pytest.mark.parametrize(
    ("number", "expected"),
    [(None, ""), (999, "999"), (6_451_648, "6.45M"), (256_484_928, "256M"), (1_930_000_000, "1.93B")],
)
def test_numbers_of_parameters_as_ollama_writes_them(number: int | None, expected: str):
    assert OllamaModel("a", "b", num_parameters=number).details()["parameter_size"] == expected


def test_what_is_shown_names_the_context_by_the_family():
    shown = OllamaModel("a", "smolvlm", num_parameters=5, context_length=2048).shown()
    assert shown["capabilities"] == ["completion", "vision"]
    assert shown["model_info"] == {
        "general.architecture": "smolvlm",
        "general.basename": "a",
        "general.parameter_count": 5,
        "smolvlm.context_length": 2048,
    }
    assert len(OllamaModel("a", "b").digest) == 64
