"""The settings of the generator, which describes pictures for meme-search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class GeneratorSettings(BaseModel):
    """Where the generator listens, which application it serves, and how it repeats what failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mounted: bool = Field(
        False, description="Serve the generator on the main server too, below `/generator`, with its keys."
    )
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address that `smallsight generator` listens on; it has no keys.",
    )
    port: int = Field(
        8000, ge=0, le=65_535, description="Port of `smallsight generator`; 0 takes a free one."
    )
    app_url: str | None = Field(
        None,
        description="Address of the meme-search application; when unset, `GEN_URL`, else port `APP_PORT` "
        "(3000) of this machine.",
    )
    pictures: Path = Field(
        Path("/app/public/memes"),
        description="Folder with the application's pictures; no other file is opened.",
    )
    database: Path | None = Field(
        None, description="SQLite file of the jobs; when unset, `generator.sqlite3` in the data folder."
    )
    batch: int = Field(16, ge=1, le=256, description="Maximum pictures described at once.")
    max_jobs: int = Field(100_000, ge=1, le=10_000_000, description="Maximum jobs that wait.")
    max_tokens: int = Field(250, ge=1, le=4096, description="Longest description, in tokens.")
    retry_delays_s: tuple[Annotated[float, Field(ge=0, le=86_400)], ...] = Field(
        (5.0, 10.0, 20.0),
        min_length=1,
        max_length=20,
        description="Seconds before a job is tried again; it is tried as often as there are delays.",
    )
    test_delay_s: float = Field(
        6.0, ge=0, le=600, description="Seconds that the model `test` takes for a picture."
    )
    callback_timeout_s: float = Field(
        30.0, gt=0, le=600, description="Seconds within which the application must answer a callback."
    )
    callback_pause_s: float = Field(
        1.0, gt=0, le=3600, description="Seconds until a failed callback is repeated; doubles each time."
    )
    max_callback_pause_s: float = Field(
        60.0, gt=0, le=86_400, description="Longest time until a failed callback is repeated, in seconds."
    )
    deliver_for_hours: float = Field(
        72.0,
        gt=0,
        le=10_000,
        description="Hours for which a callback is repeated; then it is listed as undelivered.",
    )
