"""Errors about one request to the server, or about its address."""

from __future__ import annotations

from smallsight.errors.root import SmallsightError


class ServerError(SmallsightError):
    """One request to the server cannot be answered.

    ``param`` names the offending field; ``retry_after_s`` is the number of seconds to wait before a retry.
    """

    code = "server_error"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.param = param
        self.retry_after_s = retry_after_s


class BadRequestError(ServerError):
    """A field is missing, invalid, or requests something that this release does not support."""

    code = "bad_request"
    exit_code = 2
    http_status = 400


class PreviousResponseError(BadRequestError):
    """A request continues a response that is not stored."""

    code = "previous_response_not_found"


class TaskNotServedError(ServerError):
    """The protocol has a task that no model of this server can do."""

    code = "task_not_served"
    exit_code = 5
    http_status = 501


class NotAuthorisedError(ServerError):
    """The request has no key, or an unknown one."""

    code = "invalid_api_key"
    exit_code = 2
    http_status = 401


class LoginRequiredError(NotAuthorisedError):
    """The pages have a password, and the request has no session, or one that has ended."""

    code = "login_required"


class ForbiddenError(ServerError):
    """The key does not allow this, or the request comes from a page of another site."""

    code = "forbidden"
    exit_code = 2
    http_status = 403


class PagesClosedError(ForbiddenError):
    """Others can reach the server, and its pages have no password yet."""

    code = "pages_closed"


class RequestTooLargeError(ServerError):
    """The body of a request is over the limit."""

    code = "request_too_large"
    exit_code = 4
    http_status = 413


class RequestTooSlowError(ServerError):
    """The body of a request did not arrive in time."""

    code = "request_too_slow"
    http_status = 408


class UnsupportedEncodingError(ServerError):
    """The body of a request is packed in a way that is not read."""

    code = "unsupported_encoding"
    exit_code = 2
    http_status = 415


class TooManyRequestsError(ServerError):
    """Too many requests are in progress."""

    code = "too_many_requests"
    exit_code = 6
    http_status = 429


class ResponseMissingError(ServerError):
    """No stored response, or item of one, has this id."""

    code = "response_not_found"
    exit_code = 3
    http_status = 404


class UploadMissingError(ServerError):
    """There is no unfinished upload with this name."""

    code = "upload_missing"
    exit_code = 3
    http_status = 404


class UploadConflictError(ServerError):
    """The bytes of an upload do not follow those that have arrived, or something else is sending it."""

    code = "upload_conflict"
    exit_code = 6
    http_status = 409


class ServerStoppingError(ServerError):
    """The server finishes open requests and accepts no new ones."""

    code = "server_stopping"
    exit_code = 6
    http_status = 503


class AddressInUseError(ServerError):
    """Another program listens on the server's address."""

    code = "address_in_use"
    exit_code = 6
    http_status = 503
