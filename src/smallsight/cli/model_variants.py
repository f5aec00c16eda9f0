"""``smallsight models add-variant``: saves a model in a quantisation scheme as a named model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from smallsight.cli.completion import model_names
from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import get_output

if TYPE_CHECKING:
    from smallsight.catalog.registered import RegisteredVariant


def add_variant(
    name: Annotated[str, typer.Argument(help="The name of the new variant.")],
    base: Annotated[
        str, typer.Option("--base", help="The model that it is a variant of.", autocompletion=model_names)
    ],
    scheme: Annotated[
        str, typer.Option("--scheme", help='Its quantisation scheme, such as "int4; text=int4-groups-32".')
    ],
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Save a model in a quantisation scheme, under its own name.

    It uses the base model's files.
    """
    from smallsight.inventory.listing import ModelService
    from smallsight.settings import load_settings

    output = get_output(json=json, quiet=quiet)
    variant = ModelService(load_settings()).add_variant(name, base, scheme)
    if output.json:
        output.emit({"name": variant.name, "base": variant.base, "scheme": variant.scheme})
        return
    output.console.print(f"{variant.name}: {variant.base} in {variant.scheme}", markup=False)


def variant_as_json(variant: RegisteredVariant) -> dict[str, Any]:
    """Return what the documented JSON object of a model says about a variant of the user's."""
    return {"base": variant.base, "scheme": variant.scheme}


def variant_details(variant: RegisteredVariant) -> list[tuple[str, str]]:
    """Return the rows that describe a variant of the user's."""
    return [("Variant of", variant.base), ("Scheme", variant.scheme)]
