"""``smallsight models``: lists models with their memory and files, and pulls, adds or removes files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smallsight.cli.completion import model_names
from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.model_variants import add_variant
from smallsight.cli.output import Output, get_output
from smallsight.cli.picture_models import embedding
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from rich.text import Text

    from smallsight.inventory.listing import ModelService, ModelStatus
    from smallsight.services.model_verdicts import ModelVerdicts
    from smallsight.settings import Settings

app = typer.Typer(help="List the models, fetch their files, or use your own.", invoke_without_command=True)
app.command()(add_variant)
app.command()(embedding)

ModelName = Annotated[
    str,
    typer.Argument(help="A model's name, as `smallsight models` lists it.", autocompletion=model_names),
]


@app.callback()
def models(context: typer.Context, json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List the models, fetch their files, or use your own."""
    output = get_output(json=json, quiet=quiet)
    if context.invoked_subcommand is None:
        list_models(json=output.json, quiet=output.quiet)


@app.command("list")
def list_models(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List every model: its size, memory, and whether it is here."""
    from smallsight.cli.model_details import as_json
    from smallsight.cli.remotes import print_remotes, remote_as_json
    from smallsight.graph.known_bands import batch_independence
    from smallsight.services.model_verdicts import ModelVerdicts

    output = get_output(json=json, quiet=quiet)
    settings = _settings()
    remotes = settings.remotes
    service = _service(settings)
    statuses = service.list()
    verdicts = ModelVerdicts.here(settings)
    if output.json:
        independent = batch_independence(settings.prepared_dir)
        output.emit(
            {
                "machine_memory_bytes": service.memory_bytes,
                "models": [
                    as_json(status, independent, verdicts.of_name(status.name)) for status in statuses
                ],
                "remotes": [remote_as_json(name, remote) for name, remote in sorted(remotes.items())],
            }
        )
        return
    _print_models(output, statuses, verdicts)
    if remotes:
        output.console.print()
        print_remotes(output, remotes)
    for line in _footnotes(statuses, service.memory_bytes):
        output.note(line)


@app.command()
def show(name: ModelName, json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Show everything about one model."""
    from smallsight.cli.model_details import as_json, model_details
    from smallsight.cli.remotes import remote_as_json, remote_details
    from smallsight.cli.table import print_details
    from smallsight.graph.known_bands import batch_independence
    from smallsight.inventory.names import LISTED, KnownRemote, Names
    from smallsight.services.model_verdicts import ModelVerdicts

    output = get_output(json=json, quiet=quiet)
    settings = _settings()
    found = Names().which(name, LISTED, settings)
    if isinstance(found, KnownRemote):
        if output.json:
            output.emit(remote_as_json(found.name, found.settings))
        else:
            print_details(output, remote_details(found.name, found.settings))
        return
    status = _service(settings).show(name)
    independent = batch_independence(settings.prepared_dir)
    verdict = ModelVerdicts.here(settings).of_name(status.name)
    if output.json:
        output.emit(as_json(status, independent, verdict))
        return
    print_details(output, model_details(status, independent, verdict))


@app.command()
def pull(
    name: ModelName,
    update: Annotated[bool, typer.Option("--update", help="Fetch a newer version if there is one.")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not use the network; only check local files.")
    ] = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Fetch a model's files and verify their checksums.

    An interrupted pull is resumed.
    """
    from smallsight.cli.units import file_size_text

    output = get_output(json=json, quiet=quiet)
    service = _service_with(name)
    with output.progress(f"Fetching {name}", None, "MB") as progress:
        pulled = service.pull(
            name,
            offline=offline,
            update=update,
            on_progress=lambda done, total, _: progress.update(
                completed=done // 1_000_000, total=max(1, total // 1_000_000)
            ),
        )
    if output.json:
        output.emit(
            {
                "name": name,
                "directory": str(pulled.directory),
                "commit": pulled.commit,
                "size_bytes": pulled.size_bytes,
                "received_bytes": pulled.received_bytes,
            }
        )
        return
    if pulled.received_bytes:
        output.note(f"Fetched {file_size_text(pulled.received_bytes)}, checksums match.")
    else:
        output.note("All files are already here.")
    output.console.print(str(pulled.directory), markup=False)
    entry = service.catalog.get(name)
    if entry is not None and not entry.is_runnable:
        output.note(f"This release cannot run it yet; Smallsight {entry.available_in} will.")


@app.command()
def add(
    directory: Annotated[Path, typer.Argument(help="A folder in Hugging Face layout: config.json, weights.")],
    name: Annotated[
        str | None, typer.Option("--name", help="A name for it; default: the folder's name.")
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Check a folder and register it as a model.

    The folder is neither moved nor changed.
    """
    from smallsight.services.logs import configure_logging

    output = get_output(json=json, quiet=quiet)
    settings = _settings()
    configure_logging(settings.log_level, settings.log_format)
    model = _service(settings).add(directory, name)
    if output.json:
        output.emit({"name": model.name, "directory": str(model.directory), "family": model.family})
        return
    output.console.print(f"{model.name}: a {model.family} model in {model.directory}", markup=False)


@app.command("rm", hidden=True)
@app.command()
def remove(
    name: ModelName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Delete a pulled model's files, or unregister a folder.

    Of a folder or variant that you have added, no files are deleted.
    """
    from smallsight.catalog.files import Source
    from smallsight.cli.units import file_size_text

    output = get_output(json=json, quiet=quiet)
    service = _service_with(name)
    removal = service.plan_removal(name)
    deletes = removal.source is Source.HUB_CACHE
    if deletes and not yes:
        others = f" (also used by {', '.join(removal.also_used_by)})" if removal.also_used_by else ""
        _confirm(f"Delete {removal.directory}, {file_size_text(removal.frees_bytes)}{others}?")
    freed_bytes = service.remove(removal)
    if output.json:
        directory = None if removal.directory is None else str(removal.directory)
        output.emit({"name": removal.name, "directory": directory, "freed_bytes": freed_bytes})
        return
    outcome = "variant removed, its base is untouched"
    if removal.directory is not None:
        outcome = "unregistered, the folder is untouched"
    if deletes:
        outcome = f"deleted, {file_size_text(freed_bytes)} freed"
    output.console.print(f"{removal.name}: {outcome}", markup=False)


def _settings() -> Settings:
    from smallsight.settings import load_settings

    return load_settings()


def _service(settings: Settings | None = None) -> ModelService:
    from smallsight.inventory.listing import ModelService

    return ModelService(settings or _settings())


def _service_with(name: str) -> ModelService:
    """Return the service for the catalogue that this model is in; picture embedding models have one."""
    from smallsight.catalog.catalog import load_embedding_catalog
    from smallsight.inventory.listing import ModelService

    catalog = load_embedding_catalog()
    return _service() if catalog.get(name) is None else ModelService(_settings(), catalog=catalog)


def _confirm(question: str) -> None:
    """Ask on the terminal and exit with 0 on "no"; raises SettingsError when there is no terminal."""
    import sys

    from smallsight.errors import SettingsError

    if not sys.stdin.isatty():
        raise SettingsError(
            "Removing files needs confirmation, and there is no terminal to ask on.", hint="add --yes."
        )
    if not typer.confirm(question, err=True):
        raise typer.Exit(0)


def _print_models(output: Output, statuses: tuple[ModelStatus, ...], verdicts: ModelVerdicts) -> None:
    from rich.text import Text

    from smallsight.catalog.entry import Verdict
    from smallsight.cli.model_details import verdict_text
    from smallsight.cli.table import Column, ListRow, print_table
    from smallsight.cli.units import count_text

    columns = (
        Column("Model"),
        Column("Size", is_number=True),
        Column("Memory", is_number=True),
        Column("Files"),
        Column("Runs in"),
    )
    rows = []
    for status in statuses:
        size = "" if status.parameters is None else count_text(status.parameters)
        name = Text(on_one_line(status.name), style="bold")
        cells = (name, size, _memory_cell(status), _files_cell(status), _runs_cell(status))
        is_base = status.entry is not None and status.entry.base is None
        notes = [status.entry.summary] if is_base and status.entry is not None else []
        verdict = verdicts.of_name(status.name)
        if verdict.verdict is not Verdict.NOT_MEASURED:
            notes.append(verdict_text(verdict))
        rows.append(ListRow(cells, "; ".join(notes) or None))
    print_table(output, columns, rows)


def _memory_cell(status: ModelStatus) -> Text:
    from rich.text import Text

    from smallsight.cli.units import memory_text
    from smallsight.inventory.listing import Fit

    styles = {Fit.FITS: "green", Fit.TIGHT: "yellow", Fit.TOO_LARGE: "red"}
    if not status.memory_bytes:
        return Text("")
    precision, num_bytes = next(iter(status.memory_bytes.items()))
    mark = {Fit.FITS: "", Fit.TIGHT: "*", Fit.TOO_LARGE: "**"}[status.fit]
    return Text(f"{memory_text(num_bytes)} {precision.value}{mark}", style=styles[status.fit])


def _files_cell(status: ModelStatus) -> Text:
    from rich.text import Text

    from smallsight.catalog.files import Source
    from smallsight.cli.units import file_size_text

    if status.problem is not None:
        return Text("broken", style="red")
    if status.files is not None:
        if status.variant is not None:
            return Text("variant", style="green")
        return Text("folder" if status.files.source is Source.DIRECTORY else "here", style="green")
    if status.download_bytes is not None:
        return Text(f"get {file_size_text(status.download_bytes)}", style="dim")
    return Text("none" if status.parameters is None else "inside", style="dim")


def _runs_cell(status: ModelStatus) -> Text:
    from rich.text import Text

    if status.entry is None or status.entry.is_runnable:
        return Text("now", style="green")
    return Text(status.entry.available_in, style="dim")


def _footnotes(statuses: tuple[ModelStatus, ...], memory_bytes: int) -> list[str]:
    from smallsight.cli.units import memory_text
    from smallsight.inventory.listing import Fit

    fits = {status.fit for status in statuses}
    lines = ["Memory is the weights in the named precision, computed from the network's shapes."]
    if Fit.TIGHT in fits:
        lines.append(f"* tight in this machine's {memory_text(memory_bytes)}.")
    if Fit.TOO_LARGE in fits:
        lines.append(f"** too large for this machine's {memory_text(memory_bytes)}.")
    lines.append("`smallsight models show NAME` shows details, `smallsight models pull NAME` fetches one.")
    return lines
