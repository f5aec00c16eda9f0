"""Two checks of ``smallsight doctor``: what computes answers here, and whether batches change them."""

from __future__ import annotations

from smallsight.cli.check_result import CheckResult, Severity
from smallsight.engine.native.tile_encoder import encoder_obstacle
from smallsight.engine.openvino.weight_store import probe_usual_shapes
from smallsight.graph.known_bands import batch_independence
from smallsight.graph.known_speeds import SpeedComparison, speeds_here
from smallsight.machine.extension import find_extension
from smallsight.settings import Settings


def batch_check(settings: Settings) -> CheckResult:
    """Check whether batches change greedy answers here; measures the shapes of a small model once."""
    holds = probe_usual_shapes(settings.threads, settings.prepared_dir).holds
    if not holds or batch_independence(settings.prepared_dir) is False:
        return CheckResult(
            "batches",
            Severity.NOTE,
            "on this processor a greedy answer may depend on the other requests in its batch",
            "answers to identical questions are not reused; for repeatable text, send one request at a time",
        )
    return CheckResult("batches", Severity.GOOD, "a greedy answer is the same alone and in any batch")


def decoding_check(settings: Settings) -> CheckResult:
    """Say what computes text, and why not the extension where it does not."""
    extension = find_extension()
    if not settings.kernels:
        return CheckResult(
            "decoding", Severity.GOOD, "OpenVINO computes all of it: the setting kernels is off"
        )
    if extension.module is None:
        hint = "run make kernels; answers come about twice as fast with it"
        return CheckResult(
            "decoding", Severity.NOTE, f"OpenVINO computes all of it: {extension.reason}", hint
        )
    text = f"smallsight-kernels ({extension.path}) computes the text of every family in int8 and int4"
    obstacle = encoder_obstacle()
    tiles = f"; OpenVINO encodes tiles: {obstacle}" if obstacle else ", and encodes tiles, also for a SigLIP"
    measured = "".join(_measured(name, one) for name, one in speeds_here(settings.prepared_dir).items())
    return CheckResult("decoding", Severity.GOOD, text + tiles + measured)


def _measured(name: str, found: SpeedComparison) -> str:
    """Return how a network was measured on this machine, and who computes it therefore."""
    times = f"{1e3 * found.extension_s:.2f} ms, OpenVINO {1e3 * found.openvino_s:.2f}"
    chosen = "" if found.extension_is_faster else ", which computes it"
    return f"; measured for {name}: smallsight-kernels {times}{chosen}"
