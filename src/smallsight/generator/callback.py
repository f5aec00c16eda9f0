"""A message to the application about one job, what its answer means, and when it is sent again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum, IntEnum, auto

from smallsight.generator.job import QueuedJob

__all__ = [
    "DESCRIPTION",
    "STATUS",
    "AnswerMeaning",
    "Callback",
    "CallbackMessage",
    "JobStatus",
    "description_message",
    "judge",
    "pause_s",
    "status_message",
]

STATUS, DESCRIPTION = "status_receiver", "description_receiver"
_MAX_DOUBLINGS = 30


class JobStatus(IntEnum):
    """The numbers that the application knows."""

    NOT_STARTED = 0
    IN_QUEUE = 1
    PROCESSING = 2
    DONE = 3
    FAILED = 5


class AnswerMeaning(Enum):
    """What an answer of the application means for a callback."""

    ACCEPTED = auto()
    REFUSED = auto()  # it would be refused again
    LATER = auto()  # this picture's callback is sent again
    APP_AWAY = auto()  # nothing is sent for a while


@dataclass(frozen=True, slots=True)
class CallbackMessage:
    """A callback before it is stored: the receiver's name and the body."""

    receiver: str
    body: str


@dataclass(frozen=True, slots=True)
class Callback:
    """A stored callback; ``num_tries`` counts failed ones."""

    id: int
    image_core_id: int
    receiver: str
    body: str
    created_s: float
    num_tries: int


def status_message(job: QueuedJob, status: JobStatus, error_message: str | None = None) -> CallbackMessage:
    """Return the message about a job's status; a failed one has an error message."""
    fields: dict[str, object] = {"image_core_id": job.image_core_id, "status": int(status)}
    if error_message is not None:
        fields["error_message"] = error_message
    return _message(STATUS, job, fields)


def description_message(job: QueuedJob, description: str) -> CallbackMessage:
    """Return the message with a picture's description."""
    return _message(DESCRIPTION, job, {"image_core_id": job.image_core_id, "description": description})


def _message(receiver: str, job: QueuedJob, fields: dict[str, object]) -> CallbackMessage:
    if job.attempt_id is not None and job.callback_token:
        fields |= {"attempt_id": job.attempt_id, "callback_token": job.callback_token}
    return CallbackMessage(receiver, json.dumps({"data": fields}))


def judge(status: int) -> AnswerMeaning:
    """Return what a status code means.

    The application answers 401 for an attempt that it does not know or whose token does not fit, and 422 for
    a status that it does not know: neither changes.
    """
    if 200 <= status < 300:
        return AnswerMeaning.ACCEPTED
    if status in (401, 422):
        return AnswerMeaning.REFUSED
    return AnswerMeaning.APP_AWAY if status in (429, 502, 503, 504) else AnswerMeaning.LATER


def pause_s(num_tries: int, first_s: float, longest_s: float) -> float:
    """Return the seconds to wait after this many failed attempts."""
    return min(longest_s, first_s * 2.0 ** min(max(0, num_tries - 1), _MAX_DOUBLINGS))
