"""``smallsight describe``: a model's answers about picture and video files, in the library or not."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.model_options import DetailOption, MaxTokensOption, NamedModelOption, PrecisionOption
from smallsight.cli.output import Output, get_output
from smallsight.errors import SettingsError, StorageError
from smallsight.policy.shown_text import in_lines, on_one_line

if TYPE_CHECKING:
    from smallsight.library.describing import DescribeOptions
    from smallsight.model.answer import Answer
    from smallsight.model.model import Model
    from smallsight.model.picture_argument import NamedVideo, PictureArgument
    from smallsight.model.reply import Piece, Reply
    from smallsight.settings import Settings

_NOT_CHOSEN = (
    "Smallsight-tiny, used when no model is chosen, knows flat drawings and large text only. "
    "For photographs: smallsight models pull SmolVLM-256M-Instruct, then --model SmolVLM-256M-Instruct."
)
_SHEET_SUFFIXES = (".png", ".jpg", ".webp")


@dataclass(frozen=True, slots=True)
class _Target:
    """Where the answers go, besides the choice of ``--json``."""

    is_lines: bool = False
    lines_path: Path | None = None
    retries_failed: bool = False
    frames: Path | None = None


_PicturePaths = Annotated[
    list[Path], typer.Argument(help="Picture and video files, folders, or - for standard input.")
]
_Jsonl = Annotated[
    bool, typer.Option("--jsonl", help="Print a JSON object a line for each picture, at once.")
]
_OutFile = Annotated[
    Path | None,
    typer.Option(
        "--out", help="Append the JSON lines to this file; continue it if it has some.", metavar="FILE"
    ),
]
_RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="With --out: try pictures again that failed before.")
]
_Frames = Annotated[
    Path | None,
    typer.Option("--frames", help="Write the frames that the model sees to this picture file."),
]


def describe(
    pictures: _PicturePaths,
    model: NamedModelOption = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", help="A question or instruction; default: describe the picture.")
    ] = None,
    precision: PrecisionOption = None,
    detail: DetailOption = None,
    length: Annotated[
        Literal["short", "normal"] | None,
        typer.Option("--length", help="Length, for models with two lengths."),
    ] = None,
    max_tokens: MaxTokensOption = None,
    frames: _Frames = None,
    jsonl: _Jsonl = False,
    out_file: _OutFile = None,
    retry_failed: _RetryFailed = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Describe pictures and videos with a model, or ask about each."""
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    given = {
        "model": model,
        "prompt": prompt,
        "precision": precision,
        "detail": detail,
        "length": length,
        "max_tokens": max_tokens,
    }
    _check(given)
    lines_path = None if out_file is None or str(out_file) == "-" else out_file.expanduser()
    target = _Target(jsonl or out_file is not None, lines_path, retry_failed, frames)
    _check_target(target, pictures, out)
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = load_settings(**({"describe": chosen} if chosen else {}))
    if exit_code := _run(settings, pictures, target, out):
        raise typer.Exit(exit_code)


def _run(settings: Settings, pictures: list[Path], target: _Target, out: Output) -> int:
    """Load the model and print its answers; return the first error's exit code, 130 on Ctrl-C, or 0."""
    from smallsight.cli.describe_files import Job, describe_all
    from smallsight.library.described_files import list_wanted, read_wanted
    from smallsight.services.describing import describe_options

    options = describe_options(settings)
    try:
        files = list_wanted(pictures, settings)
        is_one = len(pictures) == 1 and not pictures[0].is_dir() and not out.json and not target.is_lines
        one = read_wanted(files[0], settings.limits) if is_one else None
        with load_with_status(settings, out) as model:
            note_not_chosen(settings, out)
            seen = None if target.frames is None else _write_sheet(model, pictures[0], target.frames, out)
            if one is not None:
                _stream(model, seen or one, pictures[0], options, out)
                return 0
            lines = (target.is_lines, target.lines_path, target.retries_failed)
            return describe_all(Job(model, files, options, settings, *lines), out)
    except KeyboardInterrupt:
        return 130


def _check_target(target: _Target, pictures: list[Path], out: Output) -> None:
    """Raise SettingsError for options that contradict each other."""
    if target.is_lines and out.json and target.lines_path is None:
        raise SettingsError("--json and --jsonl contradict each other.", hint="leave one out.")
    if target.retries_failed and target.lines_path is None:
        raise SettingsError("--retry-failed needs --out.", hint="name the file of an earlier run.")
    if target.frames is not None:
        _check_sheet(target.frames, pictures)


def _check(given: Mapping[str, Any]) -> None:
    """Raise SettingsError for a length together with a prompt."""
    if given["length"] is not None and given["prompt"] is not None:
        raise SettingsError(
            "--length cannot be combined with --prompt.", hint="ask for the length in the prompt."
        )


def _check_sheet(path: Path, pictures: list[Path]) -> None:
    if len(pictures) != 1:
        raise SettingsError("--frames works with one video only.", hint="describe one at a time.")
    if path.suffix.lower() not in _SHEET_SUFFIXES:
        raise SettingsError(
            f"--frames cannot write {path.name}.",
            hint=f"use a name that ends in {' or '.join(_SHEET_SUFFIXES)}.",
        )


def _write_sheet(model: Model, video: Path, path: Path, out: Output) -> NamedVideo:
    """Write the frames that the model will see to a picture file, and return them."""
    from rich.markup import escape

    from smallsight.model.contact_sheet import contact_sheet

    seen = model.frames_of(video)
    try:
        contact_sheet(seen.video).save(path)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}.", hint="choose another path."
        ) from error
    out.note(f"Wrote {len(seen.video.frames)} frames to {escape(on_one_line(path))}")
    return seen


def note_not_chosen(settings: Settings, out: Output) -> None:
    """Say what Smallsight-tiny knows if no model was chosen."""
    if settings.describe.model is None:
        out.note(_NOT_CHOSEN)


def load_with_status(settings: Settings, out: Output, *, for_many: bool = False) -> Model:
    """Load the model that describes, and say so meanwhile on a terminal."""
    from smallsight.services.describing import describing_model, load_describing_model
    from smallsight.services.logs import configure_logging

    configure_logging(settings.log_level, settings.log_format)
    is_shown = out.err.is_terminal and not out.quiet
    with out.err.status(f"Loading {describing_model(settings)}") if is_shown else nullcontext():
        return load_describing_model(settings, for_many=for_many)


def _stream(
    model: Model, shown: PictureArgument, picture: Path, options: DescribeOptions, out: Output
) -> None:
    """Print the answer about one picture as it arrives, and say so if it is empty or cut."""
    from smallsight.cli.describe_files import note_cut, note_nothing
    from smallsight.model.reply import without_leading_space

    reply = model.start(
        shown,
        options.prompt,
        length=options.length,
        max_tokens=options.max_tokens,
        detail=options.detail,
    )
    has_output = has_text = False
    try:
        for piece in without_leading_space(_texts(reply)):
            has_output, has_text = True, has_text or bool(piece.strip())
            sys.stdout.write(in_lines(piece))
            sys.stdout.flush()
    finally:
        reply.cancel()
        if has_output:
            sys.stdout.write("\n")
            sys.stdout.flush()
    answer: Answer = reply.answer()
    if not has_text:
        note_nothing(picture, out)
    elif answer.finish_reason == "length":
        note_cut(options.max_tokens, out)


def _texts(reply: Reply) -> Generator[str, None, None]:
    pieces: SimpleQueue[Piece | None] = SimpleQueue()
    reply.listen(pieces.put)
    while (piece := pieces.get()) is not None:
        yield piece.text
