"""The flags that every command has."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
SortOption = Annotated[
    Literal["relevance", "newest", "oldest", "name", "size", "added"],
    typer.Option("--sort", help="The order of results; without words the default is newest."),
]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors.")]
