"""Options of the commands that have a model describe pictures, each defined once."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from smallsight.cli.completion import model_names

NamedModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="A model's name or folder; default: describe.model, then Smallsight-tiny.",
        autocompletion=model_names,
    ),
]
PrecisionOption = Annotated[
    Literal["auto", "fp32", "bf16", "int8", "int4"] | None,
    typer.Option("--precision", help="Precision of the weights; default: describe.precision."),
]
DetailOption = Annotated[
    Literal["auto", "high", "low"] | None,
    typer.Option("--detail", help="Detail of large pictures; default: describe.detail."),
]
MaxTokensOption = Annotated[
    int | None, typer.Option("--max-tokens", min=1, max=4096, help="Longest answer, in tokens.")
]
