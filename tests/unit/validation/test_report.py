from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import handmade_validation as handmade
from smallsight.catalog.entry import Verdict
from smallsight.settings import Limits
from smallsight.validation.report import report_html, write_report
from smallsight.validation.report_thumbnails import make_thumbnails
from smallsight.validation.result import PictureResult, ValidationResult

EXAMPLES = Path(__file__).parents[3] / "examples" / "pictures"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "a\x00b\x1b[31m \u202egpj.exe",
)


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, name: str) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get(name)) is not None]


def hostile_result(words: str) -> ValidationResult:
    one = handmade.picture(1, 0.5)
    changed = {"picture": words, "question": words, "base_answer": words, "variant_answer": f"no {words}"}
    bad = one.model_copy(update=changed | {"gibberish": (words,)})
    failed = PictureResult(picture=words, sha256="0" * 64, question=words, problem=words)
    result = handmade.result(2, extra=(bad, failed))
    system = result.variant.system.model_copy(update={"name": words, "scheme": words, "url": words})
    return result.model_copy(
        update={
            "question": words,
            "pictures_folder": words,
            "variant": result.variant.model_copy(update={"system": system}),
        }
    )


@pytest.mark.parametrize("words", HOSTILE)
def test_words_of_strangers_stay_words(words: str):
    harmless = Page(report_html(hostile_result("words"), {}, command=["smallsight", "words"]))
    page = Page(report_html(hostile_result(words), {}, command=["smallsight", words]))
    assert [tag for tag, _ in page.elements if tag != "mark"] == [
        tag for tag, _ in harmless.elements if tag != "mark"
    ]
    assert not page.values("onerror")
    assert not page.values("onload")
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text


def test_the_report_needs_nothing_else_and_runs_nothing():
    html = report_html(
        handmade.result(), {"holiday/IMG_0001.jpg": b"RIFF0000WEBP"}, exploration=handmade.exploration()
    )
    page = Page(html)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert [url.partition(",")[0] for url in page.values("src")] == ["data:image/webp;base64"]
    assert all(url.startswith("#") for url in page.values("href"))
    assert not page.values("style")
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(one for one in page.values("content") if "default-src" in one)
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def test_the_worst_picture_comes_first_and_gibberish_before_all():
    pictures = (
        handmade.picture(1, 1.0),
        handmade.picture(2, 0.3),
        handmade.picture(3, 0.9, gibberish=True),
        handmade.picture(4, 0.6),
    )
    page = Page(report_html(handmade.result(0, extra=pictures), {}))
    assert re.findall(r"IMG_(\d+)", page.text) == ["0003", "0002", "0004", "0001"]
    assert "gibberish: one word is repeated 8 times in a row" in page.text


def test_the_words_in_which_answers_differ_are_marked():
    html = report_html(handmade.result(0, extra=(handmade.picture(1, 0.5),)), {})
    marked = re.findall(r"<mark>(.*?)</mark>", html)
    assert marked == ["marked", "sleeps", "sofa", "window", "of coffee", "lies", "couch", "door"]


def test_the_verdict_is_the_first_thing_that_is_said():
    page = Page(report_html(handmade.result(verdict=Verdict.DO_NOT_SHIP), {}))
    text = " ".join(page.text.partition("</style>")[0].split())
    assert text.index("does not answer like its base: do not ship it") < text.index("What was compared")
    assert "stable needs 70 %" in text


def test_a_model_on_another_server_has_no_memory_and_no_tokens():
    result = handmade.result(3)
    one = result.pictures[0].model_copy(update={"tokens": None})
    side = result.base.model_copy(update={"memory": None, "speed": None, "predicted_weights_bytes": None})
    far = result.model_copy(update={"base": side, "pictures": (one, *result.pictures[1:])})
    page = Page(report_html(far, {}))
    assert "Text blocks" in page.text  # the variant's are known
    both = far.model_copy(update={"variant": side.model_copy(update={"system": far.variant.system})})
    text = Page(report_html(both, {})).text
    assert "Text blocks" not in text
    assert "Pictures per minute" not in text


def test_sixty_four_pictures_make_a_file_that_can_be_sent(tmp_path: Path):
    result = handmade.result(64)
    noise = b"RIFF" + bytes(range(256)) * 400  # 100 KiB, more than thumbnails take
    write_report(result, {one.picture: noise for one in result.pictures}, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_bytes()
    assert 1_000_000 < len(html) < 3_000_000
    assert html.count(b"no thumbnail") > 0


def test_of_thousands_of_pictures_the_worst_are_shown_and_the_rest_is_counted():
    html = report_html(handmade.result(1_200), {})
    assert html.count('<li class="picture">') == 500
    assert "700 more are in the JSON file." in html
    assert html.count("<rect") < 400


def test_only_pictures_are_shown_as_pictures():
    html = report_html(handmade.result(1), {"holiday/IMG_0000.jpg": b"<svg onload=alert(1)>"})
    assert "data:" not in html.replace("img-src data:", "")


def test_the_files_replace_older_ones_and_belong_to_this_user(tmp_path: Path):
    result = handmade.result(2)
    path = tmp_path / "report.html"
    path.write_text("older")
    write_report(result, {}, path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert path.read_text("utf-8").startswith("<!doctype html>")
    assert ValidationResult.model_validate_json((tmp_path / "report.json").read_bytes()) == result
    assert path.stat().st_mode & 0o077 == 0


def test_thumbnails_are_small_and_what_cannot_be_decoded_has_none(tmp_path: Path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (tmp_path / "cat.jpg").write_bytes((EXAMPLES / "memes" / "unnamed.jpg").read_bytes())
    made = make_thumbnails(tmp_path, ["broken.png", "cat.jpg", "gone.png", "../x.png"], Limits())
    assert list(made) == ["cat.jpg"]
    assert made["cat.jpg"].startswith(b"RIFF")
    assert len(made["cat.jpg"]) < 30_000
