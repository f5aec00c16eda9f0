"""Every text of the pages in every language."""

import re

import pytest

from contract.interface_texts import interface_texts
from smallsight.web.languages import ENGLISH, NAMES, translations

LANGUAGES = sorted(NAMES.keys() - {ENGLISH})


def fields(text):
    return sorted(re.findall(r"\{(\w+)\}", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_text_and_no_other(language):
    table, texts = translations(language), interface_texts()
    assert len(texts) > 100
    assert sorted(texts - table.keys()) == []
    assert sorted(table.keys() - texts) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_same_values_in_it(language):
    for text, translated in translations(language).items():
        assert fields(text) == fields(translated), text
        assert translated.strip(), text
