"""A job of the generator: as the application sends it, and as it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field, ValidationInfo, field_validator

__all__ = ["DEFAULT_MODEL", "ORIGINAL_MODELS", "TEST_MODEL", "JobRequest", "QueuedJob", "StoredInt"]

TEST_MODEL, DEFAULT_MODEL = "test", "Florence-2-base"
ORIGINAL_MODELS = (
    TEST_MODEL,
    DEFAULT_MODEL,
    "Florence-2-large",
    "SmolVLM-256M-Instruct",
    "SmolVLM-500M-Instruct",
    "moondream2",
    "moondream2-int8",
)
_MAX_TOKEN_CHARS, _MAX_PATH_CHARS = 8192, 4096

StoredInt = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class JobRequest(BaseModel):
    """The body of ``POST /add_job``; validated with the names of the models as context."""

    image_core_id: StoredInt
    image_path: str = Field(max_length=_MAX_PATH_CHARS)
    attempt_id: StoredInt
    callback_token: str = Field(max_length=_MAX_TOKEN_CHARS)
    model: str = DEFAULT_MODEL

    @field_validator("model")
    @classmethod
    def _require_known(cls, value: str, info: ValidationInfo) -> str:
        """Raise ValueError, as the original does, for a name that is not in the list."""
        available = info.context or ORIGINAL_MODELS
        if value not in available:
            message = f"model must be one of {list(available)}"
            raise ValueError(message)
        return value


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A stored job; jobs of old versions have no attempt and no token."""

    id: int
    image_core_id: int
    image_path: str
    model: str
    retry_count: int
    attempt_id: int | None
    callback_token: str | None
