"""The settings of the server: its address, limits of a request, and the folders it looks after."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

_MIB = 1024 * 1024


def _require_whole_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse patterns, which would match nothing; a slash at the end of an origin does not count."""
    for name in names:
        if "*" in name and name != "*":
            raise ValueError(f"{name!r} is a pattern: write whole names, or * alone for any")
    return tuple(name.strip().rstrip("/") for name in names)


_WholeNames = Annotated[tuple[str, ...], AfterValidator(_require_whole_names)]


class ServerSettings(BaseModel):
    """The server's address, who may use it, and the limits of a request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on; any but loopback requires a key or a password.",
    )
    port: int = Field(8420, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    require_key: bool = Field(
        False, description="Refuse to start, and every request, without a key, on loopback too."
    )
    behind_proxy: bool = Field(
        False, description="Believe X-Forwarded-For and X-Forwarded-Proto of a proxy on this machine."
    )
    allowed_hosts: _WholeNames = Field(
        (),
        description="Names allowed in the Host header, in addition to this machine's names; `*` allows any, "
        "once there is a key or a password.",
    )
    allowed_origins: _WholeNames = Field(
        (),
        description="Web pages of other sites that may use the API, such as `https://chat.example`; `*` "
        "allows any, once there is a key or a password.",
    )
    any_model_name: bool = Field(
        False, description="Answer requests for a model name that nothing here has with the active model."
    )
    picture_hosts: tuple[str, ...] = Field(
        (), description="Hosts from which pictures may be fetched by URL; `*` allows any public host."
    )
    max_fetch_bytes: int = Field(
        20 * _MIB, gt=0, description="Largest picture that is fetched by URL, in bytes."
    )
    fetch_timeout_s: float = Field(
        10.0, gt=0, le=600, description="Seconds that fetching one picture may take in total."
    )
    max_body_bytes: int = Field(64 * _MIB, ge=1024, description="Largest body of a request, in bytes.")
    max_pictures: int = Field(32, ge=1, le=1000, description="Maximum pictures in one request.")
    max_videos: int = Field(4, ge=0, le=100, description="Maximum videos in one request.")
    max_requests: int = Field(
        64,
        ge=1,
        le=10_000,
        description="Maximum requests in progress; more are refused with 429.",
    )
    max_answering: int = Field(
        20,
        ge=1,
        le=1000,
        description="Maximum requests that models process at once; others wait, and clients take turns.",
    )
    result_cache_bytes: int = Field(
        16 * _MIB, ge=0, description="Memory of the cache of greedy answers, in bytes; 0 turns it off."
    )
    stored_responses: int = Field(
        1000,
        ge=0,
        le=100_000,
        description="Maximum responses that are stored, for clients that continue one by its id; 0 stores "
        "none and deletes those that are.",
    )
    stored_response_bytes: int = Field(
        256 * _MIB,
        ge=0,
        le=1024 * 1024 * _MIB,
        description="Disk space of stored responses with their pictures, in bytes; the oldest are evicted.",
    )
    stored_response_days: int = Field(
        30, ge=1, le=3650, description="Days after which a stored response is deleted."
    )
    header_timeout_s: float = Field(
        10.0, gt=0, le=600, description="Seconds within which the head of a request must arrive."
    )
    body_timeout_s: float = Field(
        60.0, gt=0, le=3600, description="Seconds within which the body of a request must arrive."
    )
    drain_timeout_s: int = Field(
        30, ge=0, le=3600, description="Seconds that answers in progress get to finish when the server stops."
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that answer pages, searches and pictures; models, indexing and all changes "
        "are in the first.",
    )
    watch: bool = Field(
        True, description="Keep the library's folders up to date while the server runs, as `watch` does."
    )
    rescan_minutes: float = Field(
        60.0,
        ge=0,
        le=100_000,
        description="Minutes after which the server scans all folders again, for changes that were not "
        "reported; 0 turns it off.",
    )
    folder_roots: tuple[Path, ...] = Field(
        (),
        description="Folders below which the pages may add folders to the library; when empty, the user's "
        "home folder, `/media`, `/mnt` and `/Volumes`.",
    )
    upload_folder: Path | None = Field(
        None,
        description="Folder for uploaded pictures, inside a folder of the library; when unset, `Uploads` in "
        "the first one that can be written to.",
    )


class ImmichSettings(BaseModel):
    """Whether the server is a machine-learning service for Immich, and for whom without a key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(
        False,
        description="Answer Immich's requests at `/predict` and `/ping`: text in pictures, and vectors.",
    )
    allowed_addresses: tuple[str, ...] = Field(
        (),
        description="Addresses and networks, such as `172.18.0.0/16`, that need no key at these two routes, "
        "because Immich cannot send one.",
    )

    @field_validator("allowed_addresses")
    @classmethod
    def _require_networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            ip_network(one, strict=False)
        return given
