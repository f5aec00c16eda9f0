"""``smallsight show``: one picture with its text, description and tags."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import Output, get_output
from smallsight.policy.clock_text import clock_text
from smallsight.policy.shown_text import in_lines, on_one_line

if TYPE_CHECKING:
    from smallsight.library.library import PictureDetails

PictureArgument = Annotated[Path, typer.Argument(help="A picture of the library.")]


PlaceFlag = Annotated[bool, typer.Option("--place", help="Print also where the picture was taken.")]


def show(
    picture: PictureArgument, place: PlaceFlag = False, json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Show what the library knows about a picture."""
    from smallsight.services.application import Application
    from smallsight.settings_snapshot import load_library_settings

    out = get_output(json=json, quiet=quiet)
    with Application(load_library_settings(), for_writing=False) as application:
        details = application.library.details(application.library.find_content(picture))
        side_px = application.settings.index.ocr_max_side_px
        thumbnail = application.thumbnail(details.sha256)
        report_details(out, details, thumbnail, side_px, with_place=place)


def report_details(
    out: Output,
    details: PictureDetails,
    thumbnail: Path | None,
    ocr_side_px: int,
    *,
    with_place: bool = False,
) -> None:
    """Print what is known about a picture, and what of it the text reader did not see."""
    data: dict[str, Any] = {
        "paths": [str(path) for path in details.paths],
        "sha256": details.sha256,
        "size_bytes": details.size_bytes,
        "format": details.format,
        "width_px": details.width_px,
        "height_px": details.height_px,
        "frames": details.num_frames,
        "duration_s": None if details.duration_s is None else round(details.duration_s, 3),
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
        "taken": _taken(details),
        "date_origin": details.date_origin,
        "camera": details.camera,
        "kind": str(details.kind),
    }
    if with_place:
        data["latitude"], data["longitude"] = details.place or (None, None)
    if out.json:
        out.emit(data)
        return
    from smallsight.cli.table import print_details

    print_details(out, _for_people(data))


def _for_people(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is known under the names that people have for it."""
    tags = ", ".join(name for name in data["tags"] if name not in data["machine_tags"])
    origins = "\n".join(f"{one['tag']}: {one['origin']}" for one in data["tag_origins"])
    rows = [
        ("Files" if len(data["paths"]) > 1 else "File", "\n".join(map(on_one_line, data["paths"]))),
        ("Video" if data["kind"] == "video" else "Picture", _picture_text(data)),
        ("Date", _date_text(data)),
        ("Camera", on_one_line(data["camera"] or "")),
        ("Place", _place_text(data)),
        ("Text", in_lines(data["text"] or "")),
        ("Text read at", data["text_read_at"]),
        ("Text not read in", data["text_not_read_in"]),
        ("Description", in_lines(data["description"] or "")),
        ("Described by", _author(data)),
        ("Tags", on_one_line(tags)),
        ("A model's tags", on_one_line(", ".join(data["machine_tags"]))),
        ("Tags from files", in_lines(origins)),
        ("Problems", "\n".join(map(on_one_line, data["problems"]))),
        ("SHA-256", data["sha256"]),
    ]
    return [(name, value) for name, value in rows if value]


def _picture_text(data: dict[str, Any]) -> str:
    from smallsight.cli.units import counted, file_size_text

    parts = [] if data["format"] is None else [data["format"]]
    if data["width_px"] is not None:
        parts.append(f"{data['width_px']} × {data['height_px']} pixels")
    if (data["frames"] or 1) > 1:
        parts.append(counted(data["frames"], "frame"))
    if data["duration_s"] is not None:
        parts.append(clock_text(data["duration_s"]))
    return ", ".join([*parts, file_size_text(data["size_bytes"])])


def _taken(details: PictureDetails) -> str | None:
    from smallsight.library.local_time import iso_text

    if details.date_wall_s is None:
        return None
    return iso_text(details.date_wall_s, details.date_offset_min)


def _date_text(data: dict[str, Any]) -> str:
    if data["taken"] is None:
        return ""
    day, _, clock = data["taken"].partition("T")
    zone = clock[8:].lstrip(".0123456789")
    shown = " ".join(part for part in (day, clock[:8], zone) if part)
    return shown if data["date_origin"] is not None else f"{shown} (date of the file)"


def _place_text(data: dict[str, Any]) -> str:
    if data.get("latitude") is None:
        return ""
    return f"{data['latitude']:.6f}, {data['longitude']:.6f}"


def _author(data: dict[str, Any]) -> str | None:
    if data["description_origin"] is not None:
        return on_one_line(data["description_origin"])
    if data["description_by"] == "human":
        return "you"
    model = data["description_model"]
    return None if model is None else on_one_line(model)


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
