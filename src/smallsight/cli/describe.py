"""``smallsight describe``: a model's answers about picture and video files, in the library or not."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smallsight.cli.output import JsonFlag, Output, QuietFlag, get_output
from smallsight.errors import SettingsError, SmallsightError, StorageError
from smallsight.policy.shown_text import in_lines, on_one_line

if TYPE_CHECKING:
    from smallsight.library.describing import DescribeOptions
    from smallsight.model.answer import Answer
    from smallsight.model.model import Model
    from smallsight.model.picture_argument import NamedVideo, PictureArgument
    from smallsight.settings import Settings

# Text from a picture must not control the terminal; line breaks and tabs are kept.

_PRECISIONS = ("auto", "fp32", "bf16", "int8", "int4")
_DETAILS = ("auto", "high", "low")
_LENGTHS = ("short", "normal")
_NOT_CHOSEN = (
    "Smallsight-tiny, used when no model is chosen, knows flat drawings and large text only. "
    "For photographs: smallsight models pull SmolVLM-256M-Instruct, then --model SmolVLM-256M-Instruct."
)
_SHEET_SUFFIXES = (".png", ".jpg", ".webp")


def describe(
    pictures: Annotated[list[Path], typer.Argument(help="Picture and video files.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="A model's name or folder; default: describe.model, then Smallsight-tiny."
        ),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", help="A question or instruction; default: describe the picture.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="auto, fp32, bf16, int8 or int4.")
    ] = None,
    detail: Annotated[
        str | None, typer.Option("--detail", help="Detail of large pictures: auto, high or low.")
    ] = None,
    length: Annotated[
        str | None, typer.Option("--length", help="short or normal, for models with two lengths.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, max=4096, help="Longest answer, in tokens.")
    ] = None,
    frames: Annotated[
        Path | None,
        typer.Option("--frames", help="Write the frames that the model sees to this picture file."),
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Describe pictures and videos with a model, or have it answer a question about each."""
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
    if frames is not None:
        _check_sheet(frames, pictures)
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = load_settings(**({"describe": chosen} if chosen else {}))
    if exit_code := _run(settings, pictures, frames, out):
        raise typer.Exit(exit_code)


def _run(settings: Settings, pictures: list[Path], frames: Path | None, out: Output) -> int:
    """Load the model and print its answers; return the first error's exit code, 130 on Ctrl-C, or 0."""
    from smallsight.services.describing import describe_options

    options = describe_options(settings)
    try:
        with _load(settings, out) as model:
            if settings.describe.model is None:
                out.note(_NOT_CHOSEN)
            shown: list[PictureArgument] = list(pictures)
            if frames is not None:
                shown = [_write_sheet(model, pictures[0], frames, out)]
            if len(pictures) == 1 and not out.json:
                if not _stream(model, shown[0], options):
                    _note_nothing(pictures[0], out)
                return 0
            return _describe_each(model, pictures, shown, options, out)
    except KeyboardInterrupt:
        return 130


def _check(given: Mapping[str, Any]) -> None:
    """Raise SettingsError for an unknown value, and for a length together with a prompt."""
    for name, known in (("precision", _PRECISIONS), ("detail", _DETAILS), ("length", _LENGTHS)):
        _require_one_of(f"--{name}", given[name], known)
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


def _require_one_of(flag: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise SettingsError(f"{flag} cannot be {value!r}.", hint=f"use one of {', '.join(known)}.")


def _load(settings: Settings, out: Output) -> Model:
    from smallsight.services.describing import describing_model, load_describing_model
    from smallsight.services.logs import configure_logging

    configure_logging(settings.log_level, settings.log_format)
    is_shown = out.err.is_terminal and not out.quiet
    with out.err.status(f"Loading {describing_model(settings)}") if is_shown else nullcontext():
        return load_describing_model(settings)


def _note_nothing(picture: Path, out: Output) -> None:
    from rich.markup import escape

    out.note(f"The model answered nothing about {escape(on_one_line(picture))}: ask in other words.")


def _stream(model: Model, picture: PictureArgument, options: DescribeOptions) -> bool:
    """Print the answer about one picture as it arrives; return whether it holds any text."""
    pieces = model.stream(
        picture,
        options.prompt,
        length=options.length,
        max_tokens=options.max_tokens,
        detail=options.detail,
    )
    has_output = has_text = False
    try:
        for piece in pieces:
            has_output, has_text = True, has_text or bool(piece.strip())
            sys.stdout.write(in_lines(piece))
            sys.stdout.flush()
    finally:
        if has_output:
            sys.stdout.write("\n")
            sys.stdout.flush()
    return has_text


def _describe_each(
    model: Model, pictures: list[Path], shown: list[PictureArgument], options: DescribeOptions, out: Output
) -> int:
    """Print the answer or the error for each picture; return the first error's exit code, or 0."""
    exit_code = 0
    rows = []
    answers = model.describe_many(
        shown,
        prompt=options.prompt,
        length=options.length,
        max_tokens=options.max_tokens,
        detail=options.detail,
    )
    for picture, answer in zip(pictures, answers, strict=True):
        if isinstance(answer, SmallsightError):
            exit_code = exit_code or answer.exit_code
        if out.json:
            rows.append(_as_data(picture, answer))
        elif isinstance(answer, SmallsightError):
            out.err.print("[bold red]error:[/] ", end="")
            out.err.print(on_one_line(f"{picture}: {answer}"), markup=False)
        else:
            sys.stdout.write(f"{on_one_line(picture)}\n{in_lines(answer.text)}\n\n")
            sys.stdout.flush()
        if not isinstance(answer, SmallsightError) and not answer.text.strip():
            _note_nothing(picture, out)
    if out.json:
        out.emit(rows)
    return exit_code


def _as_data(picture: Path, answer: Answer | SmallsightError) -> dict[str, Any]:
    data: dict[str, Any] = {
        "path": str(picture.absolute()),
        "text": None,
        "data": None,
        "finish_reason": None,
        "model": None,
        "usage": None,
        "timings": None,
        "error": None,
    }
    if isinstance(answer, SmallsightError):
        return data | {"error": {"code": answer.code, "message": answer.message, "hint": answer.hint}}
    return data | {
        "text": answer.text,
        "data": answer.data,
        "finish_reason": answer.finish_reason,
        "model": answer.model,
        "usage": asdict(answer.usage),
        "timings": {phase: round(seconds, 6) for phase, seconds in asdict(answer.timings).items()},
    }
