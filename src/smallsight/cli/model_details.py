"""What ``smallsight models`` says about one model, for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallsight.cli.model_variants import variant_as_json, variant_details
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from rich.text import Text

    from smallsight.inventory.listing import ModelStatus
    from smallsight.services.model_verdicts import ModelVerdict

_BATCHES = {
    True: "a greedy answer is the same alone and in any batch, as measured on this processor",
    False: "on this processor a greedy answer may depend on the other requests in its batch",
    None: "not measured on this processor yet; loading a model or `smallsight doctor` measures it",
}


def as_json(status: ModelStatus, independent: bool | None, verdict: ModelVerdict) -> dict[str, Any]:
    """Return a model's status as the documented JSON object."""
    entry, files = status.entry, status.files
    data: dict[str, Any] = {
        "name": status.name,
        "family": status.family,
        "parameters": status.parameters,
        "memory_bytes": {precision.value: size for precision, size in status.memory_bytes.items()},
        "running_bytes": status.running_bytes,
        "fit": status.fit.value,
        "batch_independent": independent,
        "engines": list(_engines(status.family)),
        "files": None,
        "problem": status.problem,
        "verdict": verdict.verdict.value,
        "validation": _validation_as_json(verdict),
    }
    if files is not None:
        data["files"] = {
            "directory": str(files.directory),
            "source": files.source.value,
            "size_bytes": files.size_bytes,
            "commit": files.commit,
        }
    if status.variant is not None:
        data |= variant_as_json(status.variant)
    if entry is not None:
        data |= {
            "id": entry.id,
            "base": entry.base,
            "repository": entry.repository,
            "revision": entry.revision if entry.repository else None,
            "download_bytes": status.download_bytes,
            "licence": {"spdx": entry.licence.spdx, "url": entry.licence.url},
            "summary": entry.summary,
            "good_at": entry.good_at,
            "hardware": entry.hardware,
            "badges": list(entry.badges),
            "modalities": [modality.value for modality in entry.modalities],
            "default_prompt": entry.default_prompt,
            "available_in": entry.available_in,
            "video_available_in": entry.video_available_in,
            "is_runnable": entry.is_runnable,
        }
    return data


def model_details(
    status: ModelStatus, independent: bool | None, verdict: ModelVerdict
) -> list[tuple[str, str | Text]]:
    """Return everything about a model as names with their values."""
    from rich.text import Text

    rows = [
        *_about(status),
        *_verdict_rows(verdict),
        *_sizes(status),
        ("Batches", _BATCHES[independent]),
        ("Engines", _engines_text(status.family)),
        *_file_rows(status),
    ]
    return [("Model", Text(on_one_line(status.name), style="bold")), *rows]


def _engines(family: str) -> tuple[str, ...]:
    """Return the engines that can run a model of the family, the default first; none for the test model."""
    from smallsight.engine.torch.packages import FAMILIES
    from smallsight.families.registry import FAMILIES as ALL_FAMILIES

    if family not in ALL_FAMILIES:
        return ()
    return ("openvino", "torch") if family in FAMILIES else ("openvino",)


def _engines_text(family: str) -> str:
    from smallsight.engine.torch.packages import INSTALL, has_torch

    engines = _engines(family)
    if not engines:
        return "none: it has no network"
    text = ", ".join(engines)
    return text if "torch" not in engines or has_torch() else f"{text} (not installed: {INSTALL})"


def _about(status: ModelStatus) -> list[tuple[str, str]]:
    entry = status.entry
    if entry is None:
        return [("Family", status.family), *(variant_details(status.variant) if status.variant else ())]
    rows = [("Summary", entry.summary), ("Good at", entry.good_at), ("Hardware", entry.hardware)]
    rows += [("Licence", f"{entry.licence.spdx}  {entry.licence.url}"), ("Badges", ", ".join(entry.badges))]
    rows += [("Input", " and ".join(modality.value for modality in entry.modalities))]
    rows.append(("Prompt", entry.default_prompt))
    runs = "in this release" if entry.is_runnable else f"from Smallsight {entry.available_in}"
    if entry.video_available_in is not None:
        runs += f", video from {entry.video_available_in}"
    rows.append(("Runs", runs))
    return [(label, value) for label, value in rows if value]


def _verdict_rows(verdict: ModelVerdict) -> list[tuple[str, str]]:
    from smallsight.cli.units import counted, memory_text, moment_text

    rows = [("Verdict", verdict_text(verdict))]
    found = verdict.measured
    if found is None:
        return rows
    where = f"against {found.base}, {moment_text(found.measured_at_s)}, on {found.machine}"
    rows.append(("Validated", f"{where}, {counted(verdict.num_pictures, 'picture')}"))
    measured = []
    if found.loaded_bytes is not None:
        measured.append(f"{memory_text(found.loaded_bytes)} loaded")
    if found.peak_bytes is not None:
        measured.append(f"{memory_text(found.peak_bytes)} at the peak of an answer")
    if found.tokens_per_s is not None:
        measured.append(f"{found.tokens_per_s:.0f} tokens per second")
    if found.pictures_per_min is not None:
        measured.append(f"{found.pictures_per_min:.3g} pictures per minute")
    if measured:
        rows.append(("Measured", ", ".join(measured)))
    rows += [("Why", " ".join(found.reasons))] if found.reasons else []
    return rows


def verdict_text(verdict: ModelVerdict) -> str:
    """Return a verdict with what it rests on: ``stable, quality 98.2 % on 64 pictures``."""
    from smallsight.cli.units import counted

    text = verdict.verdict.value
    if verdict.quality is not None:
        quality = "100" if verdict.quality >= 1 else f"{min(100 * verdict.quality, 99.9):.1f}"
        text += f", quality {quality} % on {counted(verdict.num_pictures, 'picture')}"
    if verdict.measured is not None and not verdict.measured.is_decided:
        text += ", too few to decide"
    return text


def _validation_as_json(verdict: ModelVerdict) -> dict[str, Any] | None:
    found = verdict.measured
    if found is None:
        return None
    return {
        "base": found.base,
        "measured_at_s": found.measured_at_s,
        "machine": found.machine,
        "version": found.version,
        "picture_set": found.picture_set,
        "num_pictures": verdict.num_pictures,
        "quality": verdict.quality,
        "is_decided": found.is_decided,
        "reasons": list(found.reasons),
        "weights_bytes": found.weights_bytes,
        "loaded_bytes": found.loaded_bytes,
        "peak_bytes": found.peak_bytes,
        "first_token_s": found.first_token_s,
        "tokens_per_s": found.tokens_per_s,
        "pictures_per_min": found.pictures_per_min,
    }


def _sizes(status: ModelStatus) -> list[tuple[str, str]]:
    from smallsight.cli.units import memory_text

    rows = [] if status.parameters is None else [("Parameters", f"{status.parameters:,}")]
    if status.memory_bytes:
        listed = (f"{memory_text(size)} in {p.value}" for p, size in status.memory_bytes.items())
        rows.append(("Weights", ", ".join(listed)))
    if status.running_bytes:
        rows.append(("This machine", f"{status.fit.value}, needs about {memory_text(status.running_bytes)}"))
    return rows


def _file_rows(status: ModelStatus) -> list[tuple[str, str]]:
    from smallsight.cli.units import file_size_text

    rows: list[tuple[str, str]] = []
    entry, files = status.entry, status.files
    if entry is not None and entry.repository is not None:
        rows.append(("Repository", f"{entry.repository} at {entry.revision}"))
    if files is not None:
        rows.append(
            ("Files", f"{files.directory} ({files.source.value}, {file_size_text(files.size_bytes)})")
        )
        if files.commit is not None:
            rows.append(("Commit", files.commit))
    elif status.download_bytes is not None:
        rows.append(("Files", f"not here, about {file_size_text(status.download_bytes)} to download"))
    if status.problem is not None:
        rows.append(("Problem", status.problem))
    return rows
