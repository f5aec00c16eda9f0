"""``smallsight caption``: a row for each picture of a data set, in a run that can be stopped at any time."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.model_options import DetailOption, MaxTokensOption, NamedModelOption, PrecisionOption
from smallsight.cli.output import Output, get_output
from smallsight.cli.units import counted
from smallsight.errors import SettingsError
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from smallsight.captioning.caption_run import CaptionReport
    from smallsight.captioning.captioner import Captioner
    from smallsight.services.captioning import AskedColumns, CaptionFormat, CaptionRequest
    from smallsight.settings import Settings

_ENDINGS = {".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", "": "txt"}

_DataSets = Annotated[
    list[Path],
    typer.Argument(
        help="Folders of pictures, webdataset tar files, Parquet files, data sets of Hugging Face."
    ),
]
_CaptionsPath = Annotated[
    Path,
    typer.Option(
        "--out", help="The file for the rows, or a folder for copies with captions.", metavar="PATH"
    ),
]
_FormatName = Annotated[
    Literal["parquet", "jsonl", "txt"] | None,
    typer.Option("--format", help="What to write; default: the ending of --out, txt for a folder."),
]
_AskedPrompts = Annotated[
    list[str] | None,
    typer.Option(
        "--prompt", help="A question; NAME=TEXT names its column, and several may be asked.", metavar="TEXT"
    ),
]
_Embedded = Annotated[
    list[str] | None,
    typer.Option("--embed", help="Add a vector of a column: of a prompt, or text.", metavar="COLUMN"),
]
_ShardOption = Annotated[
    str | None, typer.Option("--shard", help="Only this part of the pictures: I/N, from 1/N.", metavar="I/N")
]
_PictureColumn = Annotated[
    str | None,
    typer.Option("--column", help="The column of a table that holds the pictures.", metavar="NAME"),
]
_PicturesFolder = Annotated[
    Path | None,
    typer.Option("--pictures", help="The folder that paths in tables are below.", metavar="FOLDER"),
]
_RetriesFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Try pictures again that failed before.")
]
_RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray", help="Work on the machines of a Ray cluster: HOST:PORT, auto, or local.", metavar="ADDRESS"
    ),
]
_RayCpus = Annotated[
    int, typer.Option("--ray-cpus", help="Processors of each worker of the cluster.", min=1, metavar="N")
]


@dataclass(frozen=True, slots=True)
class _Cluster:
    """Where the models are, if not in this process."""

    address: str
    num_cpus: int


def caption(
    sources: _DataSets,
    out_path: _CaptionsPath,
    format_name: _FormatName = None,
    model: NamedModelOption = None,
    prompts: _AskedPrompts = None,
    precision: PrecisionOption = None,
    detail: DetailOption = None,
    max_tokens: MaxTokensOption = None,
    ocr: Annotated[bool, typer.Option("--ocr", help="Add the text in each picture.")] = False,
    embedded: _Embedded = None,
    shard: _ShardOption = None,
    column: _PictureColumn = None,
    pictures: _PicturesFolder = None,
    retry_failed: _RetriesFailed = False,
    ray: _RayAddress = None,
    ray_cpus: _RayCpus = 1,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Describe every picture of a data set into one file.

    The same command goes on where an earlier run stopped.
    """
    from smallsight.captioning.caption_columns import parse_prompts
    from smallsight.captioning.picture_sources import TableOptions
    from smallsight.captioning.shard import Shard
    from smallsight.services.captioning import AskedColumns, CaptionRequest
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    given = {"model": model, "precision": precision, "detail": detail, "max_tokens": max_tokens}
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = load_settings(**({"describe": chosen} if chosen else {}))
    request = CaptionRequest(
        [path.expanduser() for path in sources],
        out_path.expanduser(),
        _format(format_name, out_path.expanduser()),
        AskedColumns(parse_prompts(prompts or []), ocr, tuple(embedded or ())),
        shard=Shard() if shard is None else Shard.parse(shard),
        table=TableOptions(column, None if pictures is None else pictures.expanduser()),
        retries_failed=retry_failed,
    )
    cluster = None if ray is None else _Cluster(ray, ray_cpus)
    if exit_code := _run(settings, request, cluster, out):
        raise typer.Exit(exit_code)


def _format(given: str | None, path: Path) -> CaptionFormat:
    from smallsight.services.captioning import CaptionFormat

    chosen = given or ("txt" if path.is_dir() else _ENDINGS.get(path.suffix.lower()))
    if chosen is None:
        raise SettingsError(
            f"The ending of {path.name} says no format.",
            hint="use .parquet, .jsonl or a folder, or --format.",
        )
    return CaptionFormat(chosen)


def _run(settings: Settings, request: CaptionRequest, cluster: _Cluster | None, out: Output) -> int:
    """Do what is left; return the first error's exit code, 130 on Ctrl-C, or 0."""
    from smallsight.cli.caption_progress import ShownProgress
    from smallsight.cli.describe import note_not_chosen
    from smallsight.cli.interrupts import remembered_interrupts
    from smallsight.services.captioning import caption_data_set

    began_s = time.monotonic()
    note_not_chosen(settings, out)
    try:
        with out.progress("Describing", None, "pictures") as bar, remembered_interrupts() as pressed:
            report = caption_data_set(
                settings,
                request,
                lambda: _captioner(settings, request.asked, cluster, out),
                ShownProgress(bar, out),
                pressed.is_set,
            )
    except KeyboardInterrupt:
        out.note("Stopped. The same command continues where it ended.")
        return 130
    _report(report, request, time.monotonic() - began_s, out)
    return 0 if report.first_error is None else report.first_error.exit_code


def _captioner(
    settings: Settings, asked: AskedColumns, cluster: _Cluster | None, out: Output
) -> AbstractContextManager[Captioner]:
    """Return what answers: a model of this process, or those of a cluster."""
    if cluster is not None:
        from smallsight.ray.cluster_captioner import ClusterCaptioner

        return ClusterCaptioner(cluster.address, settings, asked, num_cpus=cluster.num_cpus)
    from smallsight.cli.describe import load_with_status
    from smallsight.services.captioning import local_captioner

    return local_captioner(settings, asked, lambda: load_with_status(settings, out, for_many=True))


def _report(report: CaptionReport, request: CaptionRequest, seconds: float, out: Output) -> None:
    counts = {
        "rows": report.rows,
        "described": report.described,
        "failed": report.failed + report.unreadable,
        "known": report.known,
        "copies": report.copies,
    }
    if out.json:
        rate = (report.described + report.failed) / max(seconds, 1e-9)
        shown = {"seconds": round(seconds, 3), "pictures_per_s": round(rate, 2)}
        out.emit({"file": str(request.out.absolute()), **counts, **shown})
        return
    from rich.markup import escape

    parts = [f"{counted(report.rows, 'row')}", f"{report.described:,} described now"]
    parts += [f"{report.known:,} described before"] if report.known else []
    parts += [f"{counted(report.copies, 'copy', 'copies')} of others"] if report.copies else []
    failed = report.failed + report.unreadable
    parts += [f"{failed:,} failed (--retry-failed tries them again)"] if failed else []
    out.note(f"{escape(on_one_line(request.out))}: {', '.join(parts)}.")
    if report.cut:
        out.note(
            f"{counted(report.cut, 'picture')} with an answer that reached --max-tokens: see the column cut."
        )
