"""Tests which restrictions of the decoding child work on this machine, for ``doctor`` and for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smallsight.errors import DecoderFailedError, DecoderNotStartedError, SettingsError
from smallsight.media.child_process import ChildEndedError, ChildProcess
from smallsight.policy.log import get_logger
from smallsight.settings import Limits

__all__ = ["SandboxReport", "missing_restrictions", "sandbox_features", "sandbox_report"]

log = get_logger(__name__)

_TRIAL_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """Each restriction and whether it is in force; ``reasons`` holds why one could not be applied."""

    features: Mapping[str, bool]
    reasons: Mapping[str, str]

    @property
    def missing(self) -> tuple[str, ...]:
        """The restrictions that are not in force."""
        failed = {name for name, holds in self.features.items() if not holds}
        return tuple(sorted(failed | set(self.reasons)))


def sandbox_report(limits: Limits) -> SandboxReport:
    """Start a child, let it attempt forbidden operations, and return the outcome.

    Raises DecoderNotStartedError when no child can be started, DecoderFailedError when it does not finish.
    """
    child = ChildProcess(limits.decode_memory_bytes)
    try:
        reply, _ = child.exchange({"trial": True}, b"", _TRIAL_TIMEOUT_S, max_reply_bytes=0)
    except ChildEndedError as error:
        raise DecoderFailedError(f"The decoding process did not finish its trial: {error}.") from error
    finally:
        child.close()
    declared = {name: name not in child.not_in_force for name in ("dies_with_parent", "no_new_privileges")}
    return SandboxReport({**reply["trial"], **declared}, child.not_in_force)


def sandbox_features(limits: Limits) -> dict[str, bool]:
    """Return whether each restriction is in force in a decoding child on this machine."""
    return dict(sandbox_report(limits).features)


def missing_restrictions(limits: Limits) -> tuple[str, ...]:
    """Return the restrictions that this machine does not offer, after one warning that names them.

    "decoding_process" stands for a child that does not start. Raises SettingsError instead if
    limits.require_sandbox is set.
    """
    try:
        report = sandbox_report(limits)
    except (DecoderFailedError, DecoderNotStartedError) as error:
        report = SandboxReport({}, {"decoding_process": error.message})
    missing = report.missing
    if missing and limits.require_sandbox:
        raise SettingsError(
            f"Refusing to start: the decoder lacks restrictions here: {', '.join(missing)}.",
            hint="`smallsight doctor` says why; limits.require_sandbox = false starts without them.",
        )
    if missing:
        log.warning(
            "decoder_restrictions_missing",
            missing=missing,
            reasons=dict(report.reasons),
            action="SECURITY.md says what that means; limits.require_sandbox refuses to start",
        )
    return missing
