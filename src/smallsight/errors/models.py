"""Errors about one model."""

from __future__ import annotations

from smallsight.errors.root import SmallsightError


class ModelError(SmallsightError):
    """One model cannot be used."""

    code = "bad_model"
    exit_code = 4


class UnknownModelError(ModelError):
    """No model has this name, no such folder exists, or there are no files to remove."""

    code = "unknown_model"
    exit_code = 3
    http_status = 404


class ModelUnavailableError(ModelError):
    """The model's files are not on this machine."""

    code = "model_unavailable"
    exit_code = 5
    http_status = 503


class ModelClosedError(ModelError):
    """The model was closed before the call, or while a request was in progress."""

    code = "model_closed"
    exit_code = 1
    http_status = 503


class ModelNotRunnableError(ModelError):
    """The catalogue knows the model, but this release cannot run it yet."""

    code = "model_not_runnable"
    exit_code = 5
    http_status = 501


class BrokenCheckpointError(ModelError):
    """A checkpoint's files are truncated, inconsistent, or not what the family needs."""

    code = "broken_checkpoint"


class PromptTooLongError(ModelError):
    """A prompt, its pictures included, does not fit into the model's context."""

    code = "prompt_too_long"
    http_status = 400


class DownloadError(ModelError):
    """Files could not be fetched, or did not match their checksum."""

    code = "download_failed"
    exit_code = 5
    http_status = 502


class RemoteModelError(ModelError):
    """The server that runs the model cannot be reached, failed, or sent an invalid response."""

    code = "remote_model"
    exit_code = 5
    http_status = 502
