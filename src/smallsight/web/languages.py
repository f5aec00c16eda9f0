"""The languages of the pages: which one a request wants, and texts in it.

English texts are written in the templates and are their own keys. A translation is one TOML table in
``languages/``, English text to translated text; what is missing there is shown in English.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from importlib.resources import files

from starlette.requests import HTTPConnection

ENGLISH = "en"
COOKIE = "smallsight-language"
# As each language calls itself.
NAMES: Mapping[str, str] = {ENGLISH: "English", "de": "Deutsch"}

current_language: ContextVar[str] = ContextVar("smallsight_language", default=ENGLISH)


def language_of(connection: HTTPConnection) -> str:
    """Return the language that a person chose, else the first one of the browser's that there is."""
    chosen = connection.cookies.get(COOKIE, "")
    if chosen in NAMES:
        return chosen
    for wanted in _accepted(connection.headers.get("accept-language", "")[:200]):
        if wanted in NAMES:
            return wanted
    return ENGLISH


def translate(text: str, **values: object) -> str:
    """Return a text of the interface in the current language, with ``{name}`` replaced by the values."""
    translated = translations(current_language.get()).get(text, text)
    return translated.format(**values) if values else translated


def translate_count(number: int, one: str, many: str, **values: object) -> str:
    """Return the text for 1 or for another number; ``{number}`` is the number with separators."""
    return translate(one if number == 1 else many, number=grouped(number), **values)


def grouped(number: int) -> str:
    """Return a number with the separators of the current language."""
    written = f"{number:,}"
    return written.replace(",", ".") if current_language.get() == "de" else written


@cache
def translations(language: str) -> Mapping[str, str]:
    """Return the table of a language, empty for English."""
    if language == ENGLISH:
        return {}
    table = tomllib.loads((files(__package__) / "languages" / f"{language}.toml").read_text("utf-8"))
    return {str(text): str(translated) for text, translated in table.items()}


def _accepted(header: str) -> list[str]:
    """Return the primary languages of an Accept-Language header, most wanted first."""
    weighted = []
    for position, one in enumerate(header.split(",")):
        name, _, weight = one.strip().partition(";q=")
        try:
            weighted.append((-float(weight or 1), position, name.split("-")[0].lower()))
        except ValueError:
            continue
    return [name for _, _, name in sorted(weighted)]
