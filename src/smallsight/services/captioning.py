"""Wires a run of captions over a data set: sources, log and output, and what answers in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from smallsight.captioning.caption_columns import CaptionColumns, check_columns
from smallsight.captioning.caption_copies import CopiesOutput
from smallsight.captioning.caption_run import CaptionReport, CaptionRun, RunProgress
from smallsight.captioning.caption_work import CaptionWork
from smallsight.captioning.caption_writers import JsonLinesOutput, ParquetOutput, RowOutput
from smallsight.captioning.captioner import Captioner, LocalCaptioner
from smallsight.captioning.picture_sources import PictureSources, TableOptions
from smallsight.captioning.shard import Shard
from smallsight.errors import ArgumentError, StorageError
from smallsight.library.describing import DescribeOptions
from smallsight.library.description_lines import DescriptionLines
from smallsight.media.decoder import PictureDecoder
from smallsight.model.model import Model
from smallsight.reading.text_reader import TextReader
from smallsight.services.describing import describe_options, describing_model
from smallsight.services.text_model import load_text_embedder
from smallsight.settings import Settings

__all__ = ["AskedColumns", "CaptionFormat", "CaptionRequest", "caption_data_set", "local_captioner"]

_LOG_ENDING = ".progress.jsonl"
LoadsModel = Callable[[], AbstractContextManager[Model]]
OpensCaptioner = Callable[[], AbstractContextManager[Captioner]]


class CaptionFormat(StrEnum):
    """What is written."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    COPIES = "txt"


@dataclass(frozen=True, slots=True)
class AskedColumns:
    """What is asked about each picture: ``prompts`` maps columns to questions, None for a description."""

    prompts: Mapping[str, str | None]
    reads_text: bool = False
    embedded: tuple[str, ...] = ()

    def columns(self, tasks: frozenset[str] = frozenset()) -> CaptionColumns:
        """Return the columns of a row; raises SettingsError if two share a name."""
        columns = CaptionColumns(tuple(self.prompts), tasks, self.reads_text, self.embedded)
        check_columns(columns)
        return columns


@dataclass(frozen=True, slots=True)
class CaptionRequest:
    """The pictures of a run, what is asked about each, and where the rows go."""

    paths: Sequence[Path]
    out: Path
    format: CaptionFormat
    asked: AskedColumns
    shard: Shard = field(default_factory=Shard)
    table: TableOptions = field(default_factory=TableOptions)
    retries_failed: bool = False


def caption_data_set(
    settings: Settings,
    request: CaptionRequest,
    open_captioner: OpensCaptioner,
    progress: RunProgress,
    should_stop: Callable[[], bool],
) -> CaptionReport:
    """Run or continue a request; raises subclasses of SmallsightError, and KeyboardInterrupt if stopped."""
    request.asked.columns()
    sources = PictureSources(request.paths, settings, request.shard, request.table)
    for files in sources.left_out:
        progress.left_out(files)
    output = _output(request, has_several_sources=len(sources) > 1)
    log = request.out.with_name(f"{request.out.name}{_LOG_ENDING}")
    _refuse_foreign(request, log)
    facts = _facts_of(settings, request.asked)
    with ExitStack() as opened:
        lines = opened.enter_context(
            DescriptionLines(
                log,
                facts,
                retries_failed=request.retries_failed,
                by_content=True,
                written_by="smallsight caption",
            )
        )
        captioner = opened.enter_context(open_captioner())
        return CaptionRun(captioner, sources, lines, output).run(facts, progress, should_stop)


@contextmanager
def local_captioner(
    settings: Settings, asked: AskedColumns, load_model: LoadsModel
) -> Iterator[LocalCaptioner]:
    """Open what answers with a model of this process."""
    with ExitStack() as opened:
        reader = opened.enter_context(TextReader(settings)) if asked.reads_text else None
        embedder = opened.enter_context(load_text_embedder(settings)) if asked.embedded else None
        model = opened.enter_context(load_model())
        columns = asked.columns(
            frozenset(name for name, prompt in asked.prompts.items() if prompt in model.tasks)
        )
        work = CaptionWork(model, columns, settings, reader, embedder)
        decoder = opened.enter_context(PictureDecoder(settings.limits))
        yield LocalCaptioner(work, _prompts(settings, asked), decoder)


def _prompts(settings: Settings, asked: AskedColumns) -> list[DescribeOptions]:
    options = describe_options(settings)
    return [
        DescribeOptions(prompt or options.prompt, options.detail, options.max_tokens, options.length)
        for prompt in asked.prompts.values()
    ]


def _facts_of(settings: Settings, asked: AskedColumns) -> dict[str, Any]:
    """Return everything that determines the columns of a picture but its bytes."""
    prompts = _prompts(settings, asked)
    options = prompts[0]
    return {
        "model": describing_model(settings),
        "precision": settings.describe.precision,
        "prompts": {name: one.prompt for name, one in zip(asked.prompts, prompts, strict=True)},
        "detail": options.detail,
        "max_tokens": options.max_tokens,
        "length": options.length,
        "ocr": "smallsight" if asked.reads_text else None,
        "embed": list(asked.embedded),
    }


def _output(request: CaptionRequest, *, has_several_sources: bool) -> RowOutput:
    match request.format:
        case CaptionFormat.PARQUET:
            return ParquetOutput(request.out)
        case CaptionFormat.JSONL:
            return JsonLinesOutput(request.out)
        case CaptionFormat.COPIES:
            return CopiesOutput(request.out, has_several_sources=has_several_sources)


def _refuse_foreign(request: CaptionRequest, log: Path) -> None:
    """Raise an error for an output that would replace something that no run has written."""
    out, is_folder = request.out, request.format is CaptionFormat.COPIES
    if not out.parent.is_dir():
        raise StorageError(f"There is no such folder: {out.parent}", hint="make it, or choose another --out.")
    for path in request.paths if is_folder else ():
        source, target = path.resolve(), out.resolve()
        if source.is_dir() and (target.is_relative_to(source) or source.is_relative_to(target)):
            raise ArgumentError(
                f"The copies cannot be written into the pictures' own folder: {out}",
                hint="name another folder with --out.",
            )
    if log.exists() or not out.exists() or (is_folder and out.is_dir() and not any(out.iterdir())):
        if out.exists() and out.is_dir() != is_folder:
            kind = "a folder" if out.is_dir() else "a file"
            raise ArgumentError(f"This is {kind}: {out}", hint="choose another --out, or --format.")
        return
    raise ArgumentError(
        f"There is something already: {out}",
        hint="choose another --out, or delete it; only a run's own file is continued.",
    )
