"""All settings and limits: defaults, overridden by ``smallsight.toml``, ``SMALLSIGHT_*``, then flags.

Owns names, types, bounds and defaults. Reads no other file and starts nothing.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from smallsight.errors import SettingsError
from smallsight.generator_settings import GeneratorSettings
from smallsight.model_settings import (
    PRECISION_PATTERN,
    InferenceSettings,
    MemorySettings,
    ModelInferenceSettings,
    ModelMemorySettings,
    ModelSettings,
)
from smallsight.policy.alias_chain import end_of_chain
from smallsight.policy.left_alone import LEFT_ALONE
from smallsight.policy.retired_settings import without_retired
from smallsight.policy.setting_error import setting_error
from smallsight.policy.setting_names import names_beside, unknown_name
from smallsight.remote_settings import RemoteSettings
from smallsight.server_settings import ImmichSettings, ServerSettings
from smallsight.settings_places import config_path, default_home, expanded
from smallsight.validation_settings import ValidationSettings

__all__ = [
    "MIB",
    "PRECISION_PATTERN",
    "DescribeSettings",
    "EmbeddingSettings",
    "GeneratorSettings",
    "ImmichSettings",
    "IndexSettings",
    "InferenceSettings",
    "Limits",
    "MemorySettings",
    "ModelInferenceSettings",
    "ModelMemorySettings",
    "ModelSettings",
    "PictureEmbeddingSettings",
    "RemoteSettings",
    "SearchSettings",
    "ServerSettings",
    "Settings",
    "TagsSettings",
    "ValidationSettings",
    "config_path",
    "default_home",
    "load_settings",
    "settings_in_file",
]

MIB = 1024 * 1024


class Limits(BaseModel):
    """Bounds on untrusted input. A picture over any of them raises a typed error, never crashes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_file_bytes: int = Field(256 * MIB, gt=0, description="Largest picture file that is read, in bytes.")
    max_video_bytes: int = Field(4096 * MIB, gt=0, description="Largest video of the library, in bytes.")
    max_image_pixels: int = Field(
        100_000_000,
        gt=0,
        description="Maximum decoded pixels (width x height) of a picture; a JPEG with more is decoded at a "
        "half, quarter or eighth of its size.",
    )
    max_image_side_px: int = Field(65_535, gt=0, description="Longest side of a picture, in pixels.")
    max_frames: int = Field(10_000, gt=0, description="Maximum frames in the header of an animation.")
    max_video_pixels: int = Field(
        16_777_216, gt=0, description="Maximum pixels (width x height) of a video's frames."
    )
    max_video_frames: int = Field(500_000, gt=0, description="Maximum frames of a video.")
    max_video_s: float = Field(7_200.0, gt=0, description="Longest video that is read, in seconds.")
    video_timeout_s: float = Field(
        120.0, gt=0, le=3600, description="Wall-clock seconds one video may take to decode."
    )
    decode_timeout_s: float = Field(
        10.0, gt=0, le=600, description="Wall-clock seconds one picture may take to decode."
    )
    decode_memory_bytes: int = Field(
        2048 * MIB, ge=512 * MIB, description="Address space of the decoding process, in bytes (Linux)."
    )
    require_sandbox: bool = Field(
        False, description="Refuse to start, and to decode, where the decoder lacks one of its restrictions."
    )
    max_query_chars: int = Field(
        1_000, gt=0, description="Maximum characters of a search; the rest is ignored."
    )
    max_text_chars: int = Field(
        20_000,
        gt=0,
        description="Maximum characters of text kept for one picture, from OCR or a description.",
    )


class IndexSettings(BaseModel):
    """How folders are scanned and pictures are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exclude: tuple[str, ...] = Field(
        LEFT_ALONE,
        description="Glob patterns of file and folder names that are skipped, compared without case; a "
        "pattern with `/` is compared with the end of a path.",
    )
    follow_symlinks: bool = Field(False, description="Follow symbolic links to files and folders.")
    ocr: bool = Field(True, description="Read the text in pictures when the `ocr` extra is installed.")
    ocr_max_side_px: int = Field(
        1600,
        ge=320,
        le=4096,
        description="Longest side to which pictures are reduced for OCR, in pixels; very long pictures and "
        "large screens keep more.",
    )
    looks: bool = Field(True, description="Embed pictures when a picture embedding model is on this machine.")
    metadata: bool = Field(
        True, description="Take captions and keywords from metadata (EXIF, IPTC, XMP) and sidecar files."
    )
    tags: bool = Field(
        False, description="Tag pictures with a Florence-2, which also reads their text without OCR."
    )
    thumbnail_side_px: int = Field(
        320, ge=64, le=1024, description="Longest side of stored thumbnails, in pixels."
    )
    lease_s: float = Field(120.0, ge=10, description="Seconds a piece of work stays reserved for its worker.")

    @model_validator(mode="before")
    @classmethod
    def _drop_retired(cls, values: object) -> object:
        return without_retired(
            values, "index", {"ocr_reader": "there is one reader of text; remove the line"}
        )


class EmbeddingSettings(BaseModel):
    """Text embeddings for semantic search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_dir: Path | None = Field(
        None, description="Folder with all-MiniLM-L6-v2 in Hugging Face layout; searched for when unset."
    )
    precision: str = Field(
        "int8", pattern="^(fp32|int8)$", description="Precision of its weights: fp32 or int8."
    )


class PictureEmbeddingSettings(BaseModel):
    """Picture embeddings, by which pictures are found that nobody has described."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(
        None,
        description="Name or folder of the model; when unset, the first of the catalogue with files here.",
    )
    precision: str = Field(
        "int8", pattern="^(fp32|bf16|int8)$", description="Precision of its weights: fp32, bf16 or int8."
    )
    min_similarity: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="Minimum cosine similarity of a picture to the words of a search; when unset, "
        "that of the model.",
    )


class DescribeSettings(BaseModel):
    """Which model describes pictures, with which prompt and options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(
        None,
        description="Name or folder of the model that describes pictures; when unset, `index` describes "
        "none, and `describe` uses Smallsight-tiny.",
    )
    precision: str = Field(
        "auto",
        pattern=PRECISION_PATTERN,
        description="Precision of its weights: auto, fp32, bf16, int8 or int4.",
    )
    detail: str = Field(
        "auto",
        pattern="^(auto|high|low)$",
        description="Detail at which large pictures are encoded: auto, high or low; more takes longer.",
    )
    max_tokens: int = Field(96, ge=1, le=4096, description="Longest description, in tokens.")
    prompt: str | None = Field(
        None, min_length=1, description="The prompt for descriptions; the model's default prompt when unset."
    )
    length: str | None = Field(
        None,
        pattern="^(short|normal)$",
        description="short or normal, for models with two lengths; the model's default when unset.",
    )
    folders: tuple[Path, ...] = Field(
        (), description="Folders whose pictures `index` describes; the whole library when empty."
    )


class TagsSettings(BaseModel):
    """Which model tags pictures, and which tags are suggested."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(
        None, description="Name or folder of the Florence-2 that tags pictures; describe.model when unset."
    )
    precision: str = Field(
        "auto",
        pattern=PRECISION_PATTERN,
        description="Precision of its weights, with the same values as describe.precision.",
    )
    vocabulary: Path | None = Field(
        None,
        description="File with the things that are suggested as tags; the shipped one when unset.",
    )
    min_score: float = Field(0.5, ge=0, le=1, description="Minimum score of a suggested tag, 0 to 1.")


class SearchSettings(BaseModel):
    """How results are found and ordered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(20, ge=1, le=1000, description="Default number of results.")
    min_similarity: float = Field(
        0.3, ge=-1, le=1, description="Minimum cosine similarity of a semantic hit to the query."
    )


class Settings(BaseSettings):
    """All settings.

    A value is taken from the first of: keyword arguments, environment (``SMALLSIGHT_INDEX__OCR=false``),
    the file named by ``SMALLSIGHT_CONFIG`` or ``smallsight.toml`` in the data folder, the default.
    """

    model_config = SettingsConfigDict(
        env_prefix="SMALLSIGHT_", env_nested_delimiter="__", extra="ignore", frozen=True
    )

    home: Path = Field(
        default_factory=default_home,
        description="The data folder: database, thumbnails, prepared weights, registered models.",
    )
    log_level: str = Field(
        "warning",
        pattern="^(debug|info|warning|error)$",
        description="Lowest level of log lines that are written to standard error.",
    )
    log_format: str = Field(
        "text",
        pattern="^(text|json)$",
        description="Format of log lines: text, or json with one object per line.",
    )
    threads: int = Field(
        0, ge=0, le=1024, description="Threads for inference; 0 means one per physical core."
    )
    kernels: bool = Field(
        True,
        description="Compute the text of SmolVLM and moondream2 and the answers of Florence-2 in int8 and "
        "int4, with AVX2, AVX-512 VNNI or AMX a SmolVLM's tiles and the vision tower of a SigLIP or CLIP, "
        "and with AMX the networks that read text, with the extension smallsight-kernels where it is "
        "installed and OpenVINO is not measured to be faster; OpenVINO does the rest.",
    )
    active_model: str | None = Field(None, description="Model of requests that name none: a name or folder.")
    limits: Limits = Limits()
    index: IndexSettings = IndexSettings()
    describe: DescribeSettings = DescribeSettings()
    tags: TagsSettings = TagsSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    picture_embedding: PictureEmbeddingSettings = PictureEmbeddingSettings()
    search: SearchSettings = SearchSettings()
    server: ServerSettings = ServerSettings()
    immich: ImmichSettings = ImmichSettings()
    generator: GeneratorSettings = GeneratorSettings()
    memory: MemorySettings = MemorySettings()
    inference: InferenceSettings = InferenceSettings()
    validation: ValidationSettings = ValidationSettings()
    remotes: dict[str, RemoteSettings] = Field(
        default_factory=dict,
        description="Models on other servers, by name: see [other servers](#models-on-other-servers).",
    )
    aliases: dict[
        Annotated[str, Field(min_length=1, max_length=300)], Annotated[str, Field(min_length=1)]
    ] = Field(
        default_factory=dict,
        max_length=1000,
        description="Other names of models for clients: see [other names](#other-names-for-models).",
    )
    models: dict[str, ModelSettings] = Field(
        default_factory=dict,
        description="Settings of single models, by name: see [models in memory](#models-in-memory).",
    )

    @field_validator("home", mode="before")
    @classmethod
    def _expand_home(cls, value: object) -> object:
        return expanded(value) if isinstance(value, str) and value else value or default_home()

    @field_validator("aliases")
    @classmethod
    def _end_chains(cls, aliases: dict[str, str]) -> dict[str, str]:
        for alias in aliases:
            end_of_chain(alias, aliases)  # raises ValueError for a circle
        return aliases

    def meant_by(self, name: str) -> str:
        """Return the name that an alias stands for; other names are unchanged."""
        return end_of_chain(name, self.aliases)

    @property
    def database_path(self) -> Path:
        """The SQLite file of the library."""
        return self.home / "library.sqlite3"

    @property
    def thumbnails_dir(self) -> Path:
        """Thumbnails, by content hash."""
        return self.home / "thumbnails"

    @property
    def prepared_dir(self) -> Path:
        """Built and compiled networks; safe to delete."""
        return self.home / "graphs"

    @property
    def models_path(self) -> Path:
        """The file of models the user registered by directory."""
        return self.home / "models.json"

    @property
    def measured_memory_path(self) -> Path:
        """The file of the models' measured memory; safe to delete."""
        return self.home / "measured-memory.json"

    @property
    def api_keys_path(self) -> Path:
        """The file of the server's keys, hashed."""
        return self.home / "api-keys.json"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources as the class docstring says; there are no dotenv files and no secret files."""
        toml = TomlConfigSettingsSource(settings_cls, toml_file=config_path())
        return init_settings, env_settings, toml


def settings_in_file() -> dict[str, Any]:
    """Return the contents of ``smallsight.toml`` without validation; raises OSError and ValueError."""
    return TomlConfigSettingsSource(Settings, toml_file=config_path())()


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401
    """Build the settings in force; raises SettingsError, which names the invalid value."""
    if (named := os.environ.get("SMALLSIGHT_CONFIG")) and not expanded(named).is_file():
        raise SettingsError(
            f"SMALLSIGHT_CONFIG names a file that does not exist: {named}",
            hint="create it, or unset SMALLSIGHT_CONFIG.",
        )
    try:
        if (unknown := unknown_name(Settings, settings_in_file(), str(config_path()))) is None:
            return Settings(**overrides)
    except ValidationError as error:
        source = f"{config_path()} and the SMALLSIGHT_* environment variables"
        message, hint = setting_error(error.errors()[0], overrides, source, partial(names_beside, Settings))
        raise SettingsError(message, hint=hint) from error
    except (OSError, ValueError) as error:  # unreadable or malformed TOML
        raise SettingsError(
            f"The settings could not be read: {error}.", hint=f"fix or remove {config_path()}."
        ) from error
    raise SettingsError(unknown[0], hint=unknown[1])
