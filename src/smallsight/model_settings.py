"""Settings of loaded models: their memory, and the defaults of their answers, for all models and for one.

Owns names, types, bounds and defaults; ``settings.py`` holds the table of them.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

PRECISION_PATTERN = "^(auto|fp32|bf16|int8|int4)$"
_PRECISION_OF_ANY_ENGINE = "^(auto|fp32|bf16|fp16|int8|int4|nf4)$"


class MemorySettings(BaseModel):
    """How much memory loaded models may take, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_gb: float | None = Field(
        None,
        gt=0,
        description="Maximum memory of the server process, in GiB; 80 % of the machine's when unset.",
    )
    max_loaded_models: int = Field(
        0, ge=0, le=100, description="Maximum models loaded at once; 0 means 1 below 8 GiB of memory, else 3."
    )
    keep_alive_s: float = Field(
        300.0, ge=-1, description="Seconds until an idle model is unloaded; 0 unloads at once, -1 never."
    )
    cleanup_aggressive: bool = Field(
        False,
        description="Return freed memory to the system after every answer, not only after unloading.",
    )


class InferenceSettings(BaseModel):
    """Defaults for requests that leave a value out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: int | None = Field(
        None, ge=1, le=131_072, description="Longest answer, in tokens; the rest of the context when unset."
    )
    temperature: float = Field(
        0.0, ge=0, le=2, description="Sampling temperature; 0 always takes the most likely token."
    )
    dtype: str = Field(
        "auto",
        pattern=PRECISION_PATTERN,
        description="Precision of weights, with the same values as describe.precision.",
    )


class ModelMemorySettings(BaseModel):
    """Memory of one model; unset values are those of all models, or an estimate from its size."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    required_gb: float | None = Field(None, gt=0)
    max_memory_gb: float | None = Field(None, gt=0)
    cleanup_aggressive: bool | None = None


class ModelInferenceSettings(BaseModel):
    """Defaults of one model's answers; unset values are those of all models."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: int | None = Field(None, ge=1, le=131_072)
    temperature: float | None = Field(None, ge=0, le=2)
    dtype: str | None = Field(None, pattern=_PRECISION_OF_ANY_ENGINE)


class ModelSettings(BaseModel):
    """Settings of a single model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str = Field("auto", pattern="^(auto|openvino|torch)$")
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?(\+cuda:\d+)*)$")
    compile: bool = False
    memory: ModelMemorySettings = ModelMemorySettings()
    inference: ModelInferenceSettings = ModelInferenceSettings()
