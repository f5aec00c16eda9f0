"""``smallsight show``: one picture with its text, description and tags."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smallsight.cli.output import JsonFlag, Output, QuietFlag, get_output
from smallsight.policy.shown_text import in_lines, on_one_line

if TYPE_CHECKING:
    from smallsight.library.library import PictureDetails

_IN_LINES = frozenset({"text", "description"})
PictureArgument = Annotated[Path, typer.Argument(help="A picture of the library.")]


def show(picture: PictureArgument, json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Show what the library knows about a picture."""
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    with Application(load_settings(), for_writing=False) as application:
        details = application.library.details(application.library.find_content(picture))
        side_px = application.settings.index.ocr_max_side_px
        report_details(out, details, application.thumbnail(details.sha256), side_px)


def report_details(out: Output, details: PictureDetails, thumbnail: Path | None, ocr_side_px: int) -> None:
    """Print what is known about a picture, and what of it the text reader did not see."""
    data: dict[str, Any] = {
        "paths": [str(path) for path in details.paths],
        "sha256": details.sha256,
        "size_bytes": details.size_bytes,
        "format": details.format,
        "width_px": details.width_px,
        "height_px": details.height_px,
        "frames": details.num_frames,
        "text": details.ocr_text,
        **_reading(details, ocr_side_px),
        "description": details.description,
        "description_by": details.description_source,
        "description_model": details.description_model,
        "description_origin": details.description_origin,
        "tags": list(details.tags),
        "tag_origins": [{"tag": name, "origin": one} for name, one in details.tag_origins.items()],
        "machine_tags": list(details.machine_tags),
        "thumbnail": None if thumbnail is None else str(thumbnail),
        "problems": list(details.problems),
    }
    if out.json:
        out.emit(data)
        return
    for name, value in data.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                out.console.print(f"{name:<20}{on_one_line(': '.join(one.values()))}", markup=False)
            elif one is not None:
                shown = in_lines(one) if name in _IN_LINES else on_one_line(one)
                out.console.print(f"{name:<20}{shown}", markup=False)


def _reading(details: PictureDetails, ocr_side_px: int) -> dict[str, Any]:
    """Return what a machine read of a picture, None where nothing was reduced or left out."""
    from smallsight.media.reading_size import reading_extent

    reduced = left_out = None
    if details.width_px and details.height_px and details.num_frames and details.text_source == "machine":
        size = details.width_px, details.height_px
        extent = reading_extent(details.format or "", size, details.num_frames, ocr_side_px)
        if (extent.width_px, extent.height_px) != size:
            reduced = f"{extent.width_px} x {extent.height_px} of {size[0]} x {size[1]} pixels"
        if extent.num_left_out:
            kind = "pages" if extent.is_paged else "frames"
            left_out = f"{extent.num_left_out} of {details.num_frames} {kind}"
    return {"text_read_at": reduced, "text_not_read_in": left_out}
