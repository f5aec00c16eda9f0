"""How the torch engine stores linear layers: plain, or as bitsandbytes does in LLM.int8 and NF4.

Loading goes tensor by tensor, so that the peak stays close to the final size.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BitsAndBytesConfig, PretrainedConfig
from transformers.utils import logging as transformers_logging

from smallsight.engine.torch.checkpoint_tensors import TensorInFile
from smallsight.engine.torch.device import MPS, Device
from smallsight.engine.torch.memory_guard import is_out_of_memory, reporting_memory
from smallsight.engine.torch.packages import require_accelerate, require_bitsandbytes
from smallsight.engine.torch.quantising_in_pieces import quantise_in_pieces
from smallsight.errors import BrokenCheckpointError, ModelNotRunnableError
from smallsight.machine.memory import trim_heap
from smallsight.quant.scheme import TORCH_SCHEMES, Scheme

INT8_THRESHOLD = 6.0  # activations beyond it are multiplied in 16 bits, as LLM.int8 was published

_HAS_FAST_PATH = "support_avx512bf16_for_cpu"
_FAST_PATH_ROWS, _FAST_PATH_COLUMNS = 32, 64  # whose multiples it needs; otherwise it raises errors


class Linears(StrEnum):
    """The forms of linear layers; the quantised ones are those of bitsandbytes."""

    PLAIN = "plain"
    INT8 = "llm-int8"
    NF4 = "nf4-double"


@dataclass(frozen=True)
class Recipe:
    """A form of linear layers, and the number type of everything else and of the arithmetic."""

    linears: Linears
    dtype: torch.dtype

    @property
    def is_quantised(self) -> bool:
        """Whether linear layers need bitsandbytes."""
        return self.linears is not Linears.PLAIN

    def settings(self, skipped: Sequence[str]) -> BitsAndBytesConfig:
        """Return the settings with which transformers quantises; modules in ``skipped`` stay plain."""
        if self.linears is Linears.INT8:
            return BitsAndBytesConfig(
                load_in_8bit=True,
                llm_int8_threshold=INT8_THRESHOLD,
                llm_int8_skip_modules=list(skipped),
            )
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=self.dtype,
            llm_int8_skip_modules=list(skipped),
        )


def recipe_of(scheme: Scheme, device: Device) -> Recipe:
    """Return how a scheme is stored on a device; raises ModelNotRunnableError and MissingExtraError."""
    if scheme.name == "int4":
        raise ModelNotRunnableError(
            "The torch engine stores weights of 4 bits as nf4, not as int4.",
            hint="load the base model with precision='nf4', or choose engine='openvino'.",
        )
    if str(scheme) != scheme.name or scheme.name not in TORCH_SCHEMES:
        raise ModelNotRunnableError(
            f"The torch engine cannot load the scheme {str(scheme)!r}.",
            hint=f"use {', '.join(TORCH_SCHEMES)}, or choose engine='openvino'.",
        )
    plain = {"fp32": torch.float32, "bf16": device.dtype, "fp16": torch.float16}
    if scheme.name in plain:
        return Recipe(Linears.PLAIN, plain[scheme.name])
    require_bitsandbytes()
    if device.kind == MPS:
        raise ModelNotRunnableError(
            f"bitsandbytes cannot compute in {scheme.name} on Apple's GPU.",
            hint="load it in bf16, or with device='cpu'.",
        )
    return Recipe(Linears.INT8 if scheme.name == "int8" else Linears.NF4, device.dtype)


def load_pretrained(
    model_class: Any,  # noqa: ANN401 - a class of transformers
    config: PretrainedConfig,
    state: Mapping[str, TensorInFile | Tensor] | None,
    model_dir: Path,
    recipe: Recipe,
    device: Device,
    *,
    skipped: Sequence[str] = (),
    device_of: Mapping[str, str] | None = None,
) -> nn.Module:
    """Load a network with one of transformers' classes, for inference, in its final place.

    ``state`` has the tensors by transformers' names; without it they are mapped from the folder's files, so
    that some can stay there. ``skipped`` are names of modules that stay plain in a quantised recipe.
    ``device_of`` has the devices of modules, if several share the network. Raises BrokenCheckpointError for
    missing or damaged weights and OutOfResourcesError. Must not be moved afterwards.
    """
    options: dict[str, Any] = {"dtype": recipe.dtype}
    if recipe.is_quantised:
        prepare_bitsandbytes()
        options["quantization_config"] = recipe.settings(skipped)
    if recipe.is_quantised or device_of is not None or not device.is_cpu:
        require_accelerate()
        options["device_map"] = {"": device.name} if device_of is None else dict(device_of)
    if state is not None:
        options["state_dict"] = dict(state)
    transformers_logging.disable_progress_bar()
    with reporting_memory(device, f"loading {model_dir.name}"), _saying_why_quantising_failed():
        model, report = model_class.from_pretrained(
            model_dir if state is None else None,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    if missing := sorted(report["missing_keys"]):
        raise BrokenCheckpointError(
            f"The weights in {model_dir} lack {len(missing)} tensors, such as {missing[0]}.",
            hint="config.json and the safetensors files must belong together; fetch them again.",
        )
    _take_slow_path_where_needed(model)
    trim_heap()  # of the last tensors
    return model.eval()


@contextmanager
def _saying_why_quantising_failed() -> Iterator[None]:
    """Raise the last line of transformers' report in place of an error that only refers to the report.

    Otherwise memory that runs out while quantising looks like any other error (transformers 5.23.0).
    """
    reports: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: reports.append(record.getMessage())  # type: ignore[method-assign]
    reporter = logging.getLogger("transformers.modeling_utils")
    reporter.addHandler(handler)
    try:
        yield
    except RuntimeError as error:
        found = [line for line in "\n".join(reports).splitlines() if is_out_of_memory(RuntimeError(line))]
        if is_out_of_memory(error) or not found:
            raise
        raise RuntimeError(found[-1]) from None
    finally:
        reporter.removeHandler(handler)


def quantised(layer: nn.Linear, recipe: Recipe, device: Device) -> nn.Module:
    """Return a quantised copy of a linear layer, on the device; moving it there is what quantises."""
    prepare_bitsandbytes()
    import bitsandbytes as bnb  # noqa: PLC0415 - its import takes seconds, and plain recipes do not need it

    has_bias = layer.bias is not None
    weight = layer.weight.detach()
    replaced: nn.Module
    if recipe.linears is Linears.INT8:
        replaced = bnb.nn.Linear8bitLt(
            layer.in_features,
            layer.out_features,
            has_bias,
            has_fp16_weights=False,
            threshold=INT8_THRESHOLD,
            device="meta",  # otherwise a random weight in float32 is made first
        )
        replaced.weight = bnb.nn.Int8Params(
            weight.to(torch.float16), requires_grad=False, has_fp16_weights=False
        )
    else:
        replaced = bnb.nn.Linear4bit(
            layer.in_features,
            layer.out_features,
            has_bias,
            compute_dtype=recipe.dtype,
            compress_statistics=True,
            quant_type="nf4",
            device="meta",
        )
        replaced.weight = bnb.nn.Params4bit(
            weight.to(recipe.dtype), requires_grad=False, compress_statistics=True, quant_type="nf4"
        )
    if has_bias:
        replaced.bias = nn.Parameter(layer.bias.detach().to(recipe.dtype), requires_grad=False)
    replaced.requires_grad_(requires_grad=False)
    _take_slow_path_where_needed(replaced)
    return replaced.to(device.name).eval()


def _take_slow_path_where_needed(model: nn.Module) -> None:
    """Keep layers from a product for AVX-512 that fails on other widths (bitsandbytes 0.50.2)."""
    for layer in model.modules():
        if not getattr(layer, _HAS_FAST_PATH, False):
            continue
        rows, columns = (int(getattr(layer, name)) for name in ("out_features", "in_features"))
        if rows % _FAST_PATH_ROWS or columns % _FAST_PATH_COLUMNS:
            setattr(layer, _HAS_FAST_PATH, False)


def prepare_bitsandbytes() -> None:
    """Import bitsandbytes without the package ``kernels``, have it quantise in pieces, and silence a warning.

    With that package it would fetch compiled code from a hub and run it (bitsandbytes 0.50.2).
    """
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    if "bitsandbytes" in sys.modules:
        quantise_in_pieces()
        return
    absent = "kernels" not in sys.modules
    known = sys.modules.get("kernels")
    sys.modules["kernels"] = None  # type: ignore[assignment]  # an import of it fails
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it recommends that package
    try:
        import bitsandbytes  # noqa: F401, PLC0415 - its import takes seconds
    finally:
        logging.disable(level)
        if absent:
            del sys.modules["kernels"]
        elif known is not None:
            sys.modules["kernels"] = known
    quantise_in_pieces()
