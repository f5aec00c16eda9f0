"""``smallsight search``: finds pictures by words, or by another picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from smallsight.cli.completion import search_filters
from smallsight.cli.flags import JsonFlag, QuietFlag, SortOption
from smallsight.cli.searching import SearchOptions, search_and_print

_Limit = Annotated[
    int | None,
    typer.Option("--limit", "-n", min=1, max=1000, help="Maximum results; default: search.limit."),
]


def search(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help='Words, "phrases", -not, tag:X, year:X and others.', autocompletion=search_filters
        ),
    ] = None,
    similar: Annotated[
        Path | None,
        typer.Option(
            "--similar",
            help="Find pictures like this file; +word adds to its look, -word takes away, word filters.",
            metavar="PICTURE",
        ),
    ] = None,
    mode: Annotated[
        Literal["fused", "keyword", "semantic"],
        typer.Option("--mode", help="By words and meaning (fused), by words, or by meaning."),
    ] = "fused",
    sort: SortOption = "relevance",
    limit: _Limit = None,
    paths: Annotated[bool, typer.Option("--paths", help="Print only the paths, one on each line.")] = False,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="Print only the paths, each ended by a null, for xargs -0.")
    ] = False,
    opens: Annotated[
        bool, typer.Option("--open", help="Open the first result in the system's viewer.")
    ] = False,
    thumbnails: Annotated[
        bool, typer.Option("--thumbnails", help="Print the path of each result's thumbnail too.")
    ] = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Find pictures by their words and by their meaning."""
    search_and_print(
        SearchOptions(
            words=tuple(words or ()),
            similar=similar,
            mode=mode,
            sort=sort,
            limit=limit,
            paths=paths,
            null=null,
            opens=opens,
            thumbnails=thumbnails,
            json=json,
            quiet=quiet,
        )
    )
