from __future__ import annotations

import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.exceptions import TyperException

from smallsight.cli.commands import whole_command_line
from smallsight.cli.main import invoke
from smallsight.cli.output import Output
from smallsight.cli.search_arguments import plain_search, separate_minus_words
from smallsight.cli.searching import SearchOptions, as_query, print_hit
from smallsight.library.search.hits import Hit

WORDS = (
    "cat",
    "two words",
    '"a phrase"',
    "-dog",
    "tag:work",
    "-tag:work",
    "+sunset",
    "größe",
    "",
    "5",
    "\udcff",
    "*",
    "-",
)
OPTIONS = (
    *(("--mode", "keyword"), ("--mode", "semantic"), ("--mode", "Keyword"), ("--mode",), ("--mode=fused",)),
    *(
        ("-n", "5"),
        ("--limit", "1000"),
        ("-n", "0"),
        ("-n", "1001"),
        ("-n5",),
        ("-n", "x"),
        ("-n", "٣"),
        ("-n",),
    ),
    *(("--paths",), ("-0",), ("--null",), ("--thumbnails",), ("--json",), ("-q",), ("--quiet",), ("-q0",)),
    *(("--",), ("--nonsense",), ("--pat",), ("--open",), ("--similar", "x.png"), ("-n", "-5"), ("-n", "007")),
)


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("search cat -dog", "search cat -- -dog"),
        ("search cat -dog --json -n 5 -quiz", "search cat --json -n 5 -- -dog -quiz"),
        ("search cat -n5 -q", "search cat -n5 -q"),
        ("search -tag:work cat", "search cat -- -tag:work"),
        ("--json search -dog", "--json search -- -dog"),
        ("search cat -- -dog -x", "search cat -- -dog -x"),
        ("index -dog", "index -dog"),
        ("--help", "--help"),
    ],
)
def test_minus_words_are_no_options(typed: str, understood: str):
    assert separate_minus_words(typed.split()) == understood.split()


def read_by_typer(command: Any, arguments: list[str]) -> SearchOptions | None:
    """Return what typer makes of a search, None for wrong usage."""
    try:
        values = command.make_context("search", separate_minus_words(arguments)[1:]).params
    except TyperException:
        return None
    return SearchOptions(**{**values, "words": tuple(values["words"] or ())})


def test_a_search_is_read_without_typer_as_typer_reads_it():
    command = typer.main.get_command(whole_command_line()).commands["search"]
    chance = random.Random(17)
    num_plain = 0
    for _ in range(3000):
        parts = [(chance.choice(WORDS),) for _ in range(chance.randint(0, 3))]
        parts += [chance.choice(OPTIONS) for _ in range(chance.randint(0, 3))]
        chance.shuffle(parts)
        arguments = ["search", *(word for part in parts for word in part)]
        if (plain := plain_search(arguments)) is not None:
            num_plain += 1
            assert asdict(plain) == asdict(read_by_typer(command, arguments)), arguments
    assert num_plain > 500


@pytest.mark.parametrize(
    "typed",
    [
        "search cat",
        "search cat -dog --json -n 5",
        "search --mode keyword coffee --paths",
        "search -q -0 --thumbnails --limit 20 sun tag:sea",
    ],
)
def test_everyday_searches_are_read_without_typer(typed: str):
    assert plain_search(typed.split()) is not None


@pytest.mark.parametrize(
    "typed", ["search", "--json search cat", "index", "search --help", "search cat --open"]
)
def test_everything_else_is_left_to_typer(typed: str):
    assert plain_search(typed.split()) is None


@pytest.mark.parametrize("typed", ["search cat --mode word", "search cat -n 0", "search cat --nonsense"])
def test_wrong_usage_of_a_search_is_still_explained(typed: str, capsys: pytest.CaptureFixture[str]):
    assert invoke(typed.split()) == 2
    assert "error:" in capsys.readouterr().err


def hit(path: str, excerpt: str) -> Hit:
    return Hit(
        content_id=1,
        picture_id=1,
        path=Path(path),
        other_paths=(Path("/other/b.png"),),
        score=0.5,
        similarity=0.4321,
        found_by=("keyword", "semantic"),
        excerpt=excerpt,
        highlights=((0, 4),),
        ocr_text="",
        description=None,
        tags=(),
        width_px=1,
        height_px=1,
        matched_in=(),
        thumbnail_key="0" * 64,
        date_wall_s=0.0,
        date_offset_min=None,
        date_origin=None,
        camera=None,
        kind="picture",
        num_frames=1,
        format="PNG",
        size_bytes=1,
    )


@pytest.mark.parametrize(
    "path", ["/pictures/a.png", "/pictures/größe 日本.png", "/pictures/\x1b[31mred\u202e.png"]
)
@pytest.mark.parametrize(
    "excerpt", ["", "need coffee", "need\ncoffee [bold]now[/] :smile:", "tab\t\x07bell " * 30]
)
def test_without_a_terminal_a_hit_looks_as_rich_prints_it(
    path: str, excerpt: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    print_hit(Output(json=False, quiet=False), 7, hit(path, excerpt), "/thumbnail.webp")
    plain = capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal
    monkeypatch.setenv("TERM", "dumb")  # that has no colours
    print_hit(Output(json=False, quiet=False), 7, hit(path, excerpt), "/thumbnail.webp")
    assert capsys.readouterr().out == plain
    assert plain.startswith("  7. /pictures/")
    assert "(keyword, semantic 0.43)" in plain
    assert "\x1b" not in plain


@pytest.mark.parametrize(
    ("words", "query"),
    [
        (["golden hour"], "golden hour"),
        (["cat", "golden hour"], 'cat "golden hour"'),
        (["+golden hour", "-many people", "tag:x"], '+"golden hour" -"many people" tag:x'),
        (['+"golden hour"', "-people"], '+"golden hour" -people'),
        (["cat", " "], 'cat " "'),
    ],
)
def test_a_sign_stays_before_the_quotes_of_the_shell(words: list[str], query: str):
    assert as_query(words) == query
