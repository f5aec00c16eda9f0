"""What a measuring process loads: a model of this machine in one form, or a model on another server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.checkpoint import open_checkpoint
from smallsight.catalog.entry import Entry, Precision
from smallsight.catalog.registered import RegisteredVariant
from smallsight.engine.remote.remote_engine import RemoteEngine
from smallsight.errors import ModelNotRunnableError, SettingsError
from smallsight.families.registry import find_family
from smallsight.inventory.known_model import AUTO, PRECISION_OF_FOLDERS, KnownModel
from smallsight.inventory.names import FOR_LOADING, TEST_FAMILY, KnownRemote, Names
from smallsight.machine.extension import find_extension
from smallsight.quant.scheme import READABLE_FOR_TORCH, SCHEMES, Scheme, parse_scheme
from smallsight.remote_settings import RemoteSettings
from smallsight.settings import Settings
from smallsight.validation.result import System
from smallsight.version import __version__

OPENVINO, REFERENCE, TORCH, REMOTE = "openvino", "reference", "torch", "remote"
# The first as the settings say. The others are the same engine with the extension, and without it.
KERNELS, OPENVINO_ALONE = "kernels", "openvino-alone"
_SUFFIXES = {
    REFERENCE: " on the reference engine",
    TORCH: " on the torch engine",
    KERNELS: " with smallsight-kernels",
    OPENVINO_ALONE: " in OpenVINO alone",
}
_ENGINES = (OPENVINO, KERNELS, OPENVINO_ALONE, TORCH, REFERENCE)
_ADDRESS = re.compile(r"https?://")
_SERVER_HINT = "write the address that ends in /v1, then # and the model's name there."
_BITS = {
    Precision.FP32: 32,
    Precision.BF16: 16,
    Precision.FP16: 16,
    Precision.INT8: 8,
    Precision.INT4: 4,
    Precision.NF4: 4,
}


@dataclass(frozen=True, slots=True)
class WantedSystem:
    """One side as a person names it, and how to load it: a model, or ``ADDRESS#MODEL`` of a server.

    None for a precision, scheme or engine stands for the default. ``label`` is what a result calls it.
    """

    name: str
    precision: str | None = None
    scheme: str | None = None
    engine: str | None = None
    label: str | None = None


class MeasuredSystem(BaseModel):
    """One side as a measuring process loads it; ``files_mark`` changes when a file of the model does.

    With a ``label`` its form is known by that name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    engine: str
    family: str | None = None
    directory: Path | None = None
    precision: str | None = None
    scheme: str | None = None
    files_mark: str = ""
    remote: RemoteSettings | None = None
    label: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether a process of this machine runs the model, so that its memory and tokens can be measured."""
        return self.remote is None

    @property
    def form(self) -> str | None:
        """The text of the scheme in which it is loaded, a precision or more; None on another server."""
        return self.scheme or self.precision

    @property
    def title(self) -> str:
        """The name and the form, for people."""
        form = None if self.label else self.form
        shown = f"{self.name} in {form}" if form and not self.name.endswith(f"-{form}") else self.name
        return shown + _SUFFIXES.get(self.engine, "")

    @property
    def prompt(self) -> str:
        """The family's prompt for a description."""
        if self.family is None:
            return RemoteEngine.prompts.describe
        return find_family(self.family).prompts.describe

    def reads_text(self, question: str) -> bool:
        """Whether the question is a task of the family that asks for the text in a picture."""
        return self.family is not None and question in find_family(self.family).capabilities.reading_tasks

    def described(self, key: str | None) -> System:
        """Return it as a result names it; ``key`` is that of the loaded model."""
        form = self.form
        scheme = None if form is None else parse_scheme(form, _schemes_of(self.engine)).identity
        return System(
            name=self.name,
            kind="local" if self.is_local else "server",
            precision=self.precision,
            scheme=scheme,
            engine=self.engine,
            url=None if self.remote is None else self.remote.base_url,
            key=key,
            version=__version__,
        )

    def predicted_weights_bytes(self) -> int | None:
        """Return what all parameters of the checkpoint take at the bits that the precision names.

        None for another server and for schemes, whose forms differ by module.
        """
        if self.directory is None or self.precision is None or self.scheme is not None:
            return None
        checkpoint = open_checkpoint(self.directory, load_catalog().model_types)
        return checkpoint.num_parameters * _BITS[Precision(self.precision)] // 8


def resolve_variant(wanted: WantedSystem, settings: Settings, names: Names) -> MeasuredSystem:
    """Return the system that a person names; raises SmallsightError if this machine cannot run it."""
    if _ADDRESS.match(wanted.name):
        return _server(wanted.name)
    found = names.resolve(wanted.name, FOR_LOADING, settings)
    if isinstance(found, KnownRemote):
        without_fallback = {"fallback": None, "model": found.settings.model or found.name}
        return MeasuredSystem(
            name=found.name, engine=REMOTE, remote=found.settings.model_copy(update=without_fallback)
        )
    return _local(found, wanted)


def resolve_systems(
    variant: WantedSystem, against: WantedSystem | None, settings: Settings
) -> tuple[MeasuredSystem, MeasuredSystem]:
    """Return base and variant. Without a base it is the variant's in the catalogue, or the model in 16 bits.

    Raises SettingsError if both are the same, or if a server has no base, and as ``resolve_variant``.
    """
    names = Names()
    measured = resolve_variant(variant, settings, names)
    if against is None or not against.name:
        default = _base_of(variant, measured, names, settings)
        given = against or WantedSystem("")
        against = WantedSystem(
            default.name, given.precision or default.precision, given.scheme, given.engine or default.engine
        )
    base = resolve_variant(against, settings, names)
    if base == measured:
        raise SettingsError(
            f"{measured.title} would be compared with itself.",
            hint="choose another precision with --precision, or another base with --against.",
        )
    return base, measured


def resolve_explored(name: str, settings: Settings) -> tuple[WantedSystem, KnownModel]:
    """Return the model whose schemes are explored, in 16 bits: a variant's base, else the model itself.

    Raises SettingsError for a model that does not run here, and as ``resolve_variant``.
    """
    names = Names()
    wanted = _in_16_bits(name, names, settings)
    found = names.resolve(wanted.name, FOR_LOADING, settings)
    if isinstance(found, KnownRemote) or found.directory is None:
        raise SettingsError(f"{name} has no weights here to explore.", hint="name a model of this machine.")
    return wanted, found


def _base_of(
    wanted: WantedSystem, measured: MeasuredSystem, names: Names, settings: Settings
) -> WantedSystem:
    if not measured.is_local:
        raise SettingsError(
            f"{measured.name} is on another server, so its base is not known.",
            hint="name one: --against SmolVLM-256M-Instruct.",
        )
    return _in_16_bits(wanted.name, names, settings)


def _in_16_bits(name: str, names: Names, settings: Settings) -> WantedSystem:
    """Return what a local model is compared with: its base, or the model itself in 16 bits."""
    found = names.which(name, FOR_LOADING, settings)
    if isinstance(found, RegisteredVariant):
        return _in_16_bits(found.base, names, settings)
    entry = found if isinstance(found, Entry) else None
    if entry is None:
        return WantedSystem(name, PRECISION_OF_FOLDERS.value)
    if entry.base is not None:
        return WantedSystem(entry.base)
    precision = entry.checkpoint_precision
    stored = precision.value if precision is not None else ""
    is_wide = stored in SCHEMES and stored != Precision.FP32.value
    return WantedSystem(name, stored if is_wide else PRECISION_OF_FOLDERS.value)


def _local(found: KnownModel, wanted: WantedSystem) -> MeasuredSystem:
    engine = wanted.engine or OPENVINO
    if engine not in _ENGINES:
        raise SettingsError(
            f"Unknown engine {engine!r}.", hint=f"use {', '.join(_ENGINES[:-1])} or {_ENGINES[-1]}."
        )
    if engine == KERNELS and (why := find_extension().reason):
        raise ModelNotRunnableError(f"{why[0].upper()}{why[1:]}.", hint="run make kernels.")
    if wanted.scheme is not None:
        found = found.in_scheme(parse_scheme(wanted.scheme, _schemes_of(engine)))
    chosen = wanted.precision or AUTO
    precision = found.precision_in_torch(chosen) if engine == TORCH else found.precision(chosen)
    if found.family == TEST_FAMILY or found.directory is None or precision is None:
        raise ModelNotRunnableError(
            f"{found.name} has no weights, so there is nothing to measure.", hint="name another model."
        )
    return MeasuredSystem(
        name=wanted.label or _variant_name(found, precision),
        engine=engine,
        family=found.family,
        directory=found.directory,
        precision=precision.value if found.scheme is None else None,
        scheme=None if found.scheme is None else str(found.scheme),
        files_mark=found.files_mark,
        label=wanted.label,
    )


def _schemes_of(engine: str) -> Mapping[str, Scheme]:
    return READABLE_FOR_TORCH if engine == TORCH else SCHEMES


def _variant_name(found: KnownModel, precision: Precision) -> str:
    """Return the model's name, or that of its variant in a precision that is not its usual one."""
    if found.scheme is not None or precision is found.precision():
        return found.name
    entries = load_catalog().entries
    variants = [one.name for one in entries if one.base == found.name and one.precision is precision]
    return variants[0] if variants else f"{found.name}-{precision.value}"


def _server(address: str) -> MeasuredSystem:
    url, _, model = address.partition("#")
    if not model:
        raise SettingsError(f"{address} names no model.", hint=_SERVER_HINT)
    try:
        remote = RemoteSettings(base_url=url, model=model)
    except ValueError as error:
        raise SettingsError(f"{url} is not the address of a server.", hint=_SERVER_HINT) from error
    return MeasuredSystem(name=model, engine=REMOTE, remote=remote)
