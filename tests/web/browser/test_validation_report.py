"""The report of a validation in a browser: accessible, complete, and not in conflict with its policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import handmade_validation as handmade
from smallsight.settings import Limits
from smallsight.validation.report import write_report
from smallsight.validation.report_thumbnails import make_thumbnails
from smallsight.validation.result import PictureResult
from web.accessible import assert_accessible
from web.conftest import DESKTOP, EXAMPLES, PHONE


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = ["memes/unnamed.jpg", "photos/still life.webp"]
    pictures = (
        *(handmade.picture(number, 0.7, name=name) for number, name in enumerate(names)),
        handmade.picture(8, 0.2, name="a-very-long-name-" * 20, gibberish=True),
        handmade.picture(9, 1.0),
        PictureResult(picture="broken.gif", sha256="0" * 64, question="", problem="The file is damaged."),
    )
    path = tmp_path_factory.mktemp("report") / "report.html"
    thumbnails = make_thumbnails(EXAMPLES / "pictures", names, Limits())
    result = handmade.result(3, extra=pictures)
    command = ["smallsight", "validate", "SmolVLM-256M-Instruct-int4", "--pictures", "/pictures/my memes"]
    write_report(result, thumbnails, path, exploration=handmade.exploration(), command=command)
    return path


@pytest.mark.mostly_slow(1)
@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_the_report_is_accessible_and_complete(browser: Any, report: Path, size: dict[str, int], scheme: str):
    context = browser.new_context(viewport=size, color_scheme=scheme)
    try:
        page = context.new_page()
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.on(
            "request",
            lambda one: problems.append(one.url) if not one.url.startswith(("file:", "data:")) else None,
        )
        page.goto(report.as_uri())
        shown = page.evaluate("[...document.images].map((one) => one.naturalWidth > 0)")
        assert shown == [True, True]
        assert problems == []
        assert_accessible(page)
    finally:
        context.close()
